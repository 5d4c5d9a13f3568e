//! The composition root: builds the parts, owns their tasks, and takes them down in order; it decides nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use authz_core::signal::Seq;
use tokio::{sync::watch, task::JoinSet};
use tracing::{error, info, warn};

use crate::{
    admin::{self, Admin},
    audit::{self, Audit, AuditWriter, Change, Record, SignalRecord},
    cache::DecisionCache,
    check::Checker,
    clock,
    config::{Config, NatsConfig},
    control::Guard,
    degraded::Degraded,
    filters::Filters,
    grpc::{desk::Desk, watch::Watching},
    identity::{
        Bundles, InvalidSvidFiles, OwnIdentity, TrustStore, Verifier,
        workload_api::{JwtBundles, RevocationLists},
    },
    metrics::Metrics,
    policy::PolicyError,
    readiness::Readiness,
    signals::{Entry, JoinError, Log, LogError, SignalPlane, SubmitError, fleet::Members},
    socket::UnboundSocket,
    state::State,
    status::{LogNews, Overview, PolicyNews},
};

mod control_policies;
mod degraded;
mod federation;
mod fleet;
mod health;
mod log;
mod own;
mod policies;
mod servers;
mod siblings;
mod trust;
mod workload_api;

/// Why a sidecar could not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum SidecarError {
    /// The audit trail can't be opened.
    #[error("audit trail: {0}, check audit.file")]
    Audit(#[source] std::io::Error),
    /// Nobody may be asked who may signal: whoever could mend it must hear of it now.
    #[error("control.policy can't be used:\n{0}")]
    ControlPolicy(#[source] PolicyError),
    /// A file watch can't be set up, or the like.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The log of signals can't be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What the log holds can't be brought into the stream of the fleet.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// A metric is wrong: a fault of ours.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A part ended that should not.
    #[error("{part} ended: {why}")]
    Part {
        /// Which.
        part: &'static str,
        /// What it said.
        why: String,
    },
    /// A socket can't be bound.
    #[error(transparent)]
    Socket(#[from] UnboundSocket),
    /// Our own private key is open to others.
    #[error("own SVID: {0}")]
    Svid(#[from] InvalidSvidFiles),
    /// The signal plane can't be started.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

/// The parts everything shares.
pub(crate) struct Parts {
    state: Arc<State>,
    verifier: Arc<Verifier>,
    /// The bundles of all sources.
    trust: TrustStore,
    /// The SVID for our own listeners and requests.
    own: OwnIdentity,
    /// CRLs that the agent gives.
    lists: RevocationLists,
    /// Keys for tokens that the agent gives.
    jwt_bundles: JwtBundles,
    metrics: Arc<Metrics>,
    audit: Audit,
    desk: Arc<Desk>,
    /// Who may signal what.
    guard: Arc<Guard>,
    /// The other sidecars, in a fleet.
    members: Option<Arc<Members>>,
    watching: Arc<Watching>,
    readiness: Readiness,
    overview: Arc<Overview>,
    degraded: Degraded,
}

/// How often revocations that are over are forgotten.
const EXPIRE_EVERY: Duration = Duration::from_secs(30);
/// How long to wait for another process that still holds the log, as during a restart.
const LOG_PATIENCE: Duration = Duration::from_secs(30);
/// After the drain: how long open answers may take to finish.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// While draining: no request for this long means that the load has moved on.
const QUIET: Duration = Duration::from_secs(1);

/// Runs a sidecar until `stop` ends, then drains it.
///
/// # Errors
/// When a part can't be built, or ends by itself.
pub async fn run(config: Config, stop: impl Future<Output = ()>) -> Result<(), SidecarError> {
    if let Some(files) = &config.identity.svid {
        files.check_key()?;
    }
    let rights = config.control_files().load().map_err(SidecarError::ControlPolicy)?;
    let metrics = Arc::new(Metrics::new()?);
    let (audit, writer) =
        audit::open(&config.audit.target, config.audit.queue, Arc::clone(&metrics)).map_err(SidecarError::Audit)?;
    let guard = Arc::new(Guard::new(rights, Arc::clone(&metrics), audit.clone()));
    let parts = build(&config, metrics, audit, guard).await?;
    let outcome = serve(&config, parts, stop).await;
    close_audit(writer).await;
    outcome
}

async fn build(config: &Config, metrics: Arc<Metrics>, audit: Audit, guard: Arc<Guard>) -> Result<Parts, SidecarError> {
    let state = Arc::new(State::default());
    let verifier = Arc::new(Verifier::new(Bundles::default(), config.identity.forwarding.clone()));
    let log = fleet::joined(open_log(config, &audit).await?, config).await?;
    // Filters that an earlier run left behind may still answer on its leases.
    let unknown_until = (!log.is_fresh()).then(|| Instant::now() + config.link.lease);
    let plane = Arc::new(start_plane(log, config.signals.nats.as_ref(), &state, audit.clone(), Arc::clone(&metrics))?);
    let degraded = Degraded::new(config.degraded, Arc::clone(&plane));
    audit.watch(degraded.clone());
    let checker = Checker::new(Arc::clone(&state), Arc::clone(&verifier), cache(config), degraded.clone());
    let desk = Arc::new(Desk {
        checker: Arc::new(checker),
        metrics: Arc::clone(&metrics),
        audit: audit.clone(),
        service: Arc::from(config.service.name.as_str()),
    });
    let watching = Arc::new(Watching {
        state: Arc::clone(&state),
        plane,
        filters: Filters::new(unknown_until),
        metrics: Arc::clone(&metrics),
        audit: audit.clone(),
        lease: config.link.lease,
        degraded: degraded.clone(),
        log_news: LogNews::default(),
    });
    let (trust, own) = (TrustStore::default(), OwnIdentity::default());
    let needed = (!config.listen.needing_own_svid().is_empty()).then(|| own.clone());
    let readiness = Readiness::new(Arc::clone(&state), Arc::clone(&watching.plane), needed, degraded.clone());
    metrics.show_bundles(trust.clone())?;
    let overview = Arc::new(Overview {
        service: config.service.name.clone(),
        started: clock::now(),
        readiness: readiness.clone(),
        state: Arc::clone(&state),
        watching: Arc::clone(&watching),
        trust: trust.clone(),
        own: own.clone(),
        own_source: None,
        policy: PolicyNews::default(),
        control_policy: PolicyNews::default(),
        metrics: Arc::clone(&metrics),
    });
    Ok(Parts {
        state,
        verifier,
        trust,
        own,
        lists: RevocationLists::default(),
        jwt_bundles: JwtBundles::default(),
        metrics,
        audit,
        desk,
        guard,
        members: siblings::members(config, &watching),
        watching,
        readiness,
        overview,
        degraded,
    })
}

fn cache(config: &Config) -> DecisionCache {
    let longest = config.policy.decision_ttl.max(config.policy.deny_ttl);
    DecisionCache::new(config.cache.max_decisions, longest)
}

/// Opens the log; while another process holds it, waits for that process to end.
async fn open_log(config: &Config, audit: &Audit) -> Result<Log, SidecarError> {
    let deadline = tokio::time::Instant::now() + LOG_PATIENCE;
    let mut told = false;
    loop {
        match Log::open(&config.signals.log) {
            Err(LogError::Busy { .. }) if tokio::time::Instant::now() < deadline => {
                if !std::mem::replace(&mut told, true) {
                    warn!(log = %config.signals.log.display(), "another process holds the signal log, waiting for it to end");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            opened => {
                let log = opened?;
                if log.is_unwitnessed() {
                    audit.record(Record::Change(unwitnessed(log.head())));
                }
                return Ok(log);
            }
        }
    }
}

/// The record of a log that somebody put there: it may be an old copy.
fn unwitnessed(head: Seq) -> Change {
    let detail = format!("taken without its witness, it ends at signal {head}: whatever came later is not revoked");
    Change { at: clock::now(), what: "log", result: "accepted", detail }
}

/// Replays the log into the state; from then on every new signal takes effect there before anybody hears of it.
fn start_plane(
    log: Log,
    fleet: Option<&NatsConfig>,
    state: &Arc<State>,
    audit: Audit,
    metrics: Arc<Metrics>,
) -> Result<SignalPlane, LogError> {
    let replayed = log.head();
    let (applied, shared) = (Arc::clone(state), Arc::clone(&metrics));
    let apply = move |entries: &mut [Entry]| {
        applied.apply(entries);
        for entry in entries.iter().filter(|entry| entry.seq > replayed) {
            metrics.signals.with_label_values(&[entry.signal.action.as_str()]).inc();
            audit.record(Record::Signal(SignalRecord {
                seq: entry.seq,
                signal: (*entry.signal).clone(),
                outcome: entry.outcome,
            }));
        }
    };
    let plane = match fleet {
        Some(fleet) => SignalPlane::follow(log, apply, fleet.clone(), shared)?,
        None => SignalPlane::start(log, apply)?,
    };
    state.expire(clock::now());
    // The last entries may have been removed.
    state.reach(plane.head());
    if plane.fleet().is_none() {
        state.set_replayed();
    }
    info!(head = replayed.0, "signal log replayed");
    Ok(plane)
}

async fn serve(config: &Config, parts: Parts, stop: impl Future<Output = ()>) -> Result<(), SidecarError> {
    let parts = Arc::new(parts);
    let (shutdown, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    servers::spawn(config, &parts, &stopped, &mut tasks)?;
    tasks.spawn(named("trust", trust::keep(Arc::clone(&parts), stopped.clone())));
    let files = config.identity.trust_bundles.clone();
    if !files.is_empty() {
        tasks.spawn(named("bundle files", trust::keep_files(files, Arc::clone(&parts), stopped.clone())));
    }
    tasks.spawn(named("own svid", own::keep(Arc::clone(&parts), stopped.clone())));
    let files = config.identity.svid.clone();
    tasks.spawn(named("svid files", own::keep_files(files, Arc::clone(&parts), stopped.clone())));
    if let Some(agent) = &config.identity.workload_api {
        workload_api::spawn(agent, &parts, &stopped, &mut tasks);
    }
    if !config.identity.federation.is_empty() {
        let endpoints = config.identity.federation.clone();
        tasks.spawn(named("federation", federation::keep(endpoints, Arc::clone(&parts), stopped.clone())));
    }
    tasks.spawn(named("policy", policies::keep(config.policy_files(), Arc::clone(&parts), stopped.clone())));
    if !config.control.policy.is_empty() {
        let control = control_policies::keep(config.control_files(), Arc::clone(&parts), stopped.clone());
        tasks.spawn(named("control policy", control));
    }
    tasks.spawn(named("degraded states", degraded::keep(Arc::clone(&parts), stopped.clone())));
    tasks.spawn(named("expiry", expire(Arc::clone(&parts), stopped.clone())));
    tasks.spawn(named("fleet", fleet::catch_up(Arc::clone(&parts), stopped.clone())));
    tasks.spawn(named("siblings", siblings::keep(Arc::clone(&parts), stopped.clone())));
    tasks.spawn(named("signal log", log::keep(Arc::clone(&parts), stopped.clone())));
    let early = tokio::select! {
        () = stop => None,
        ended = tasks.join_next() => ended,
    };
    if early.is_none() {
        drain(&parts, config.drain.grace).await;
    }
    // Streams that follow the log have no end of their own.
    parts.watching.plane.close();
    shutdown.send_replace(true);
    let mut outcome = early.map_or(Ok(()), |ended| flatten(ended).and(Err(ended_early())));
    let joined = tokio::time::timeout(LAST_WORDS, async {
        while let Some(ended) = tasks.join_next().await {
            outcome = std::mem::replace(&mut outcome, Ok(())).and(flatten(ended));
        }
    });
    if joined.await.is_err() {
        warn!(left = tasks.len(), "open streams were cut, their clients did not let go");
    }
    outcome
}

/// Tells everybody to go elsewhere, and keeps answering until they have or the grace is over.
async fn drain(parts: &Parts, grace: Duration) {
    parts.readiness.drain();
    info!(grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX), "draining");
    let deadline = tokio::time::Instant::now() + grace;
    let mut answered = parts.metrics.answered();
    let mut quiet_since = tokio::time::Instant::now();
    while tokio::time::Instant::now() < deadline && quiet_since.elapsed() < QUIET {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now_answered = parts.metrics.answered();
        if now_answered != answered {
            answered = now_answered;
            quiet_since = tokio::time::Instant::now();
        }
    }
}

async fn expire(parts: Arc<Parts>, mut stopped: watch::Receiver<bool>) -> Result<(), SidecarError> {
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return Ok(()),
            () = tokio::time::sleep(EXPIRE_EVERY) => {
                let gone = parts.state.expire(clock::now());
                if gone > 0 {
                    info!(gone, "revocations are over");
                }
            }
        }
    }
}

/// Runs a part under its name, so that its end can be told from another's.
async fn named(part: &'static str, work: impl Future<Output = Result<(), SidecarError>>) -> Result<(), SidecarError> {
    let outcome = work.await;
    if let Err(cause) = &outcome {
        error!(part, %cause, "a part of the sidecar failed");
    }
    outcome
}

fn flatten(ended: Result<Result<(), SidecarError>, tokio::task::JoinError>) -> Result<(), SidecarError> {
    ended.unwrap_or_else(|cause| Err(SidecarError::Part { part: "a task", why: cause.to_string() }))
}

fn ended_early() -> SidecarError {
    SidecarError::Part { part: "a part", why: "it ended before it was told to".to_owned() }
}

/// Blocks until the trail is on disk.
async fn close_audit(writer: AuditWriter) {
    if let Err(cause) = tokio::task::spawn_blocking(move || writer.close()).await {
        error!(%cause, "audit trail could not be closed");
    }
}
