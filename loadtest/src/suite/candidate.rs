//! One scenario, booted and connected, measured round by round. It must not average: that is the report's business.

use std::fs;
use std::num::NonZeroU32;
use std::time::Duration;

use countersign_tests::envoy::Envoy;

use super::SuiteFailed;
use super::policies::{PREFIX, SERVICE};
use super::proof::Witness;
use super::scenario::{Kind, Scenario};
use super::stage::Stage;
use crate::endpoint::Endpoint;
use crate::generator::arrivals::Schedule;
use crate::generator::measurement::Measurement;
use crate::generator::request::{NUMBER, Request};
use crate::generator::{LoadFailed, Session};
use crate::report::Round;

/// A scenario that is ready to be measured.
pub struct Candidate {
    name: String,
    envoy: Envoy,
    process: u32,
    session: Session,
    witnesses: Vec<Witness>,
}

impl Candidate {
    /// Boots `scenario` and connects to it.
    pub async fn boot(stage: &mut Stage, scenario: Scenario, connections: usize) -> Result<Self, SuiteFailed> {
        let (mut envoy, witnesses) = stage.boot(&scenario.kind).await?;
        // A miss is a request that differs in what the policy reads.
        let path = if scenario.kind == Kind::CheckMiss { format!("{PREFIX}{NUMBER}") } else { PREFIX.to_owned() };
        let request = Request::get(SERVICE, &path)?;
        let endpoint = Endpoint::try_from(envoy.address())?;
        let session = Session::connect(endpoint, Some(&stage.tls()?), connections, request).await;
        let session = session.map_err(|source| SuiteFailed::Load { scenario: scenario.name.clone(), source })?;
        let process = envoy.process().id();
        Ok(Self { name: scenario.name, envoy, process, session, witnesses })
    }

    /// The scenario's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Warms up, measures throughput, then latency, then asks for proof.
    pub async fn round(&mut self, phase: Duration, rate: NonZeroU32) -> Result<Round, SuiteFailed> {
        let warm = self.session.saturate(WARM_UP).await;
        self.check(warm)?;
        let before = self.witnessed().await;
        let started = processor_time(self.process);
        let saturated = self.session.saturate(phase).await;
        let saturated = self.check(saturated)?;
        let used = processor_time(self.process).saturating_sub(started);
        let paced = self.session.pace(Schedule::new(rate, phase)).await;
        let paced = self.check(paced)?;
        self.confirm(&before, saturated.answers() + paced.answers()).await?;
        let micros = |percent| paced.percentile(percent).unwrap_or_default().as_secs_f64() * 1e6;
        Ok(Round {
            requests_per_second: saturated.rate(),
            envoy_cpu_us: per_request(used, saturated.answers()),
            p50_us: micros(50.0),
            p99_us: micros(99.0),
            unfinished: paced.unfinished,
        })
    }

    fn check(&self, measured: Result<Measurement, LoadFailed>) -> Result<Measurement, SuiteFailed> {
        let measured = measured.map_err(|source| SuiteFailed::Load { scenario: self.name.clone(), source })?;
        if measured.failures() == 0 && measured.answers() > 0 {
            return Ok(measured);
        }
        let statuses = measured.statuses.iter().map(|(status, count)| format!("{count} x {status}"));
        let statuses = statuses.collect::<Vec<_>>().join(", ");
        Err(SuiteFailed::NotAllowed { scenario: self.name.clone(), statuses })
    }

    async fn witnessed(&self) -> Vec<f64> {
        let mut counts = Vec::new();
        for witness in &self.witnesses {
            counts.push(witness.count(&self.envoy).await);
        }
        counts
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    async fn confirm(&self, before: &[f64], answers: u64) -> Result<(), SuiteFailed> {
        for (witness, before) in self.witnesses.iter().zip(before) {
            let confirmed = witness.confirm(&self.envoy, *before, answers as f64).await;
            confirmed.map_err(|source| SuiteFailed::Unproven { scenario: self.name.clone(), source })?;
        }
        Ok(())
    }
}

/// The processor time that all threads of a process have used; zero where the kernel does not say.
fn processor_time(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    let each = threads.into_iter().flatten().flatten().filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(each.sum())
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn per_request(time: Duration, requests: u64) -> f64 {
    time.as_secs_f64() * 1e6 / requests.max(1) as f64
}

const WARM_UP: Duration = Duration::from_millis(100);
