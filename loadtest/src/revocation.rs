//! How long a revocation takes until every filter has it in force, as the one who revokes sees it. It must not believe a filter that it did not count.

mod control;
mod stage;

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::time::timeout;

use self::control::{Control, ControlFailed};
pub use self::stage::Log;
use self::stage::{Stage, StageFailed};
use crate::crowd::{Crowd, FilterLost};
use crate::process::open_many_files;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Logs to measure with.
    pub logs: Vec<Log>,
    /// Numbers of filters.
    pub filters: Vec<usize>,
    /// Numbers of revocations that are in force before, measured with [`AMONG`] filters on an embedded log.
    pub live: Vec<u32>,
    /// Revocations one after another, for each number of filters; as many again in a burst.
    pub revocations: usize,
}

/// What was measured with one log and number of filters; all times in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Enforced {
    /// Who orders the signals.
    pub log: Log,
    /// Filters connected.
    pub filters: usize,
    /// Revocations in force before.
    pub live: u32,
    /// Revocations one after another.
    pub revocations: usize,
    /// From sending a revocation to the sidecar's word that all filters have it in force: half of them took less.
    pub revocation_p50_ms: f64,
    /// The same, 99 of 100.
    pub revocation_p99_ms: f64,
    /// From its acceptance by the sidecar (before it is durable) to the last acknowledgement.
    pub last_acknowledgement_p50_ms: f64,
    /// The same, 99 of 100.
    pub last_acknowledgement_p99_ms: f64,
    /// As many revocations sent at once: from the first until all are in force in all filters.
    pub burst_ms: f64,
    /// Processor time of the sidecar for each revocation and filter, in microseconds.
    pub sidecar_cpu_us: f64,
    /// Seconds from the sidecar's start until it was ready, its log replayed.
    pub ready_s: f64,
    /// Memory of the sidecar at the end, in MiB.
    pub resident_mib: f64,
    /// Seconds from the first filter's start until all had acknowledged something.
    pub gathered_s: f64,
    /// Seconds until the first thousand live signals were listed.
    pub listed_s: f64,
}

/// Measures what `plan` says, telling `progress` what is going on.
///
/// # Errors
/// Something can't be booted, a filter is lost, or a revocation does not come into force.
pub async fn run(plan: &Plan, progress: impl Fn(&str)) -> Result<Vec<Enforced>, RevocationFailed> {
    open_many_files();
    let mut found = Vec::new();
    for log in &plan.logs {
        for filters in &plan.filters {
            progress(&format!("revocations with {filters} filters, {} log", log.as_str()));
            let stage = Stage::boot(*log, 0).await?;
            found.push(one(&stage, *filters, plan.revocations).await?);
        }
    }
    for live in &plan.live {
        progress(&format!("revocations with {live} in force"));
        let stage = Stage::boot(Log::Embedded, *live).await?;
        found.push(one(&stage, AMONG, plan.revocations).await?);
    }
    Ok(found)
}

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub enum RevocationFailed {
    /// The control API.
    #[error(transparent)]
    Control(#[from] ControlFailed),
    /// A filter went away.
    #[error(transparent)]
    Filter(#[from] FilterLost),
    /// Some filter does not acknowledge.
    #[error("{0} of {1} filters did not come, or did not acknowledge, within {PATIENCE:?}")]
    Missing(usize, usize),
    /// The sidecar or nats-server.
    #[error(transparent)]
    Stage(#[from] StageFailed),
}

async fn one(stage: &Stage, filters: usize, revocations: usize) -> Result<Enforced, RevocationFailed> {
    let mut crowd = Crowd::start(stage.link(), filters);
    let measured = tokio::select! {
        measured = measure(stage, filters, revocations) => measured?,
        lost = crowd.lost() => return Err(lost.into()),
    };
    Ok(measured)
}

async fn measure(stage: &Stage, filters: usize, revocations: usize) -> Result<Enforced, RevocationFailed> {
    let mut control = Control::connect(stage.control()).await?;
    let began = Instant::now();
    gather(&mut control, filters).await?;
    let gathered_s = began.elapsed().as_secs_f64();
    let (mut whole, mut last) = (Times::default(), Times::default());
    let cpu_before = stage.cpu();
    for number in 0..revocations {
        let sent = Instant::now();
        let seq = control.revoke(&scope("one", number)).await?;
        let enforced = in_force(&mut control, seq, filters).await?;
        whole.add(sent.elapsed());
        last.add(enforced);
    }
    let cpu = stage.cpu().saturating_sub(cpu_before);
    let sent = Instant::now();
    let scopes: Vec<_> = (0..revocations).map(|number| scope("burst", number)).collect();
    let seq = control.revoke_at_once(&scopes).await?;
    in_force(&mut control, seq, filters).await?;
    let burst_ms = millis(sent.elapsed());
    let began = Instant::now();
    control.list_live().await?;
    let listed_s = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "both are small")]
    let each = (revocations * filters) as f64;
    Ok(Enforced {
        log: stage.log(),
        filters,
        live: stage.live(),
        revocations,
        revocation_p50_ms: whole.percentile(50),
        revocation_p99_ms: whole.percentile(99),
        last_acknowledgement_p50_ms: last.percentile(50),
        last_acknowledgement_p99_ms: last.percentile(99),
        burst_ms,
        sidecar_cpu_us: cpu.as_secs_f64() * 1e6 / each,
        ready_s: stage.ready_after().as_secs_f64(),
        resident_mib: stage.resident_mib(),
        gathered_s,
        listed_s,
    })
}

/// Waits until so many filters acknowledge a first signal: from then on each of them counts.
async fn gather(control: &mut Control, filters: usize) -> Result<(), RevocationFailed> {
    let began = Instant::now();
    loop {
        let seq = control.revoke(&format!("token:gather-{}", began.elapsed().as_nanos())).await?;
        let there = timeout(PATIENCE, control.enforced(seq)).await.map_or(Ok(0), |it| it.map(|it| it.filters))?;
        if there == filters {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(RevocationFailed::Missing(filters.saturating_sub(there), filters));
        }
        tokio::time::sleep(BETWEEN_PROBES).await;
    }
}

/// Waits until the signal at `seq` is in force in all `filters`; how long the slowest took from its acceptance.
async fn in_force(control: &mut Control, seq: u64, filters: usize) -> Result<Duration, RevocationFailed> {
    let enforced = timeout(PATIENCE, control.enforced(seq)).await;
    match enforced.map_err(|_| RevocationFailed::Missing(filters, filters))?? {
        enforced if enforced.filters == filters => Ok(enforced.slowest),
        enforced => Err(RevocationFailed::Missing(filters.saturating_sub(enforced.filters), filters)),
    }
}

fn scope(kind: &str, number: usize) -> String {
    format!("spiffe-id:spiffe://bench.test/ns/{kind}/sa/{number}")
}

/// How long each of several things took, in milliseconds.
#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    fn add(&mut self, time: Duration) {
        self.0.push(millis(time));
        self.0.sort_by(f64::total_cmp);
    }

    /// So many of 100 took no longer.
    fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl Enforced {
    /// What the 99th percentile should be at most (DESIGN §7); none where nothing was promised.
    pub fn goal_ms(&self) -> Option<f64> {
        (self.filters == 100 && self.live == 0).then_some(10.0)
    }
}

/// Filters beside many live revocations.
pub const AMONG: usize = 10;
const PATIENCE: Duration = Duration::from_mins(1);
const BETWEEN_PROBES: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
