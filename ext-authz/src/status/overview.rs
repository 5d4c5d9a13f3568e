//! Looks at every part at one moment and writes down what is there; what of it is wrong is judged elsewhere.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use authz_core::{signal::Seq, time::Timestamp};

use super::{PolicyNews, problems};
use crate::{
    filters::FilterState,
    grpc::watch::Watching,
    identity::{Held, Missing, Origin, OwnIdentity, TrustStore},
    metrics::Metrics,
    readiness::Readiness,
    signals::{FleetState, Refused},
    state::{Snapshot, State},
    wire::control::{
        AuditStatus, BundleStatus, ControlPolicyStatus, FilterStatus, FleetStatus, LogStatus, OwnStatus, PolicyStatus,
        StatusResponse,
    },
};

/// The parts that are looked at.
pub struct Overview {
    /// The service behind this sidecar.
    pub service: String,
    /// When the sidecar started.
    pub started: Timestamp,
    /// Whether requests are decided.
    pub readiness: Readiness,
    /// Policies and log.
    pub state: Arc<State>,
    /// Who is connected, and how far.
    pub watching: Arc<Watching>,
    /// The bundles of all sources.
    pub trust: TrustStore,
    /// Our own SVID.
    pub own: OwnIdentity,
    /// Where it should come from; `None` if none is configured.
    pub own_source: Option<String>,
    /// What became of the policy files.
    pub policy: PolicyNews,
    /// What became of the control policy files.
    pub control_policy: PolicyNews,
    /// What audit has lost.
    pub metrics: Arc<Metrics>,
}

impl Overview {
    /// Everything at one moment, which is `now` and `instant`, and what is wrong in it.
    pub fn look(&self, now: Timestamp, instant: Instant) -> StatusResponse {
        let snapshot = self.state.load();
        let mut status = StatusResponse {
            problems: Vec::new(),
            at_ms: now.as_millis(),
            started_ms: self.started.as_millis(),
            service: self.service.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            draining: self.readiness.is_draining(),
            identity: Some(self.identity()),
            bundles: self.bundles(),
            policy: Some(self.policy(&snapshot)),
            log: Some(self.log(&snapshot, instant)),
            filters: self.filters(now, instant),
            audit: Some(self.audit()),
            ready: self.readiness.is_ready(),
            control_policy: Some(self.control_policy()),
        };
        status.problems = problems(&status);
        status
    }

    fn identity(&self) -> OwnStatus {
        let source = self.own_source.clone();
        let Some(svid) = self.own.current() else {
            return OwnStatus { source: source.unwrap_or_default(), ..OwnStatus::default() };
        };
        OwnStatus {
            source: source.unwrap_or_else(|| "set".to_owned()),
            id: svid.id().to_string(),
            not_before_ms: svid.not_before().as_millis(),
            not_after_ms: svid.not_after().as_millis(),
        }
    }

    fn bundles(&self) -> Vec<BundleStatus> {
        let held = self.trust.in_force().into_iter().map(|(name, origin, held)| held_bundle(&name, origin, &held));
        let mut bundles: Vec<BundleStatus> = held.chain(self.trust.missing().into_iter().map(missing_bundle)).collect();
        bundles.sort_by(|one, other| (&one.trust_domain, one.missing).cmp(&(&other.trust_domain, other.missing)));
        bundles
    }

    fn policy(&self, snapshot: &Snapshot) -> PolicyStatus {
        let (last, policy) = (self.policy.last(), snapshot.policy());
        let (refused_at, refused) = last.refused.unwrap_or_default();
        PolicyStatus {
            digest: policy.map(|policy| policy.digest().to_string()).unwrap_or_default(),
            policies: policy.map_or(0, |policy| count(policy.len())),
            accepted_at_ms: last.accepted.map_or(0, Timestamp::as_millis),
            refused,
            refused_at_ms: refused_at.as_millis(),
        }
    }

    fn control_policy(&self) -> ControlPolicyStatus {
        let last = self.control_policy.last();
        let (refused_at, refused) = last.refused.unwrap_or_default();
        ControlPolicyStatus {
            accepted_at_ms: last.accepted.map_or(0, Timestamp::as_millis),
            refused,
            refused_at_ms: refused_at.as_millis(),
        }
    }

    fn log(&self, snapshot: &Snapshot, now: Instant) -> LogStatus {
        let view = snapshot.view();
        let standing = self.watching.degraded.assess(now);
        let (condition, conduct) =
            standing.trouble.map_or(("", ""), |(condition, conduct)| (condition.as_str(), conduct.as_str()));
        let (contradicted_at, contradiction) = self.watching.log_news.last().unwrap_or_default();
        LogStatus {
            contradiction,
            contradicted_at_ms: contradicted_at.as_millis(),
            replayed: view.is_some(),
            head_seq: view.map_or(0, |view| view.seq.0),
            revocations: view.map_or(0, |view| count(view.revocations.len())),
            taken: self.readiness.takes_signals(),
            degraded: condition.to_owned(),
            conduct: conduct.to_owned(),
            view_age_ms: standing.view_age.map(millis),
            fleet: self.watching.plane.fleet().map(|state| fleet(&state.borrow())),
        }
    }

    fn filters(&self, now: Timestamp, instant: Instant) -> Vec<FilterStatus> {
        let Watching { plane, filters, .. } = &*self.watching;
        let state = filters.enforcement(plane.head(), None, instant);
        let uptime = Duration::from_millis(now.millis_since(self.started));
        // A signal that came in before our memory of them begins has waited since the start, for all we know.
        let waited = |next: Seq| plane.received(next).map_or(uptime, |at| instant.saturating_duration_since(at));
        let behind = |filter: &FilterState| waited(Seq(filter.enforced.0.saturating_add(1)));
        let lease = |until: Instant| now.saturating_add_millis(millis(until.saturating_duration_since(instant)));
        let of = |filter: &FilterState, connected: bool, behind: Duration| FilterStatus {
            node: filter.node.to_string(),
            instance: filter.instance.to_string(),
            connected,
            enforced_seq: filter.enforced.0,
            behind_ms: millis(behind),
            lease_until_ms: filter.lease_until.filter(|at| *at > instant).map_or(0, |at| lease(at).as_millis()),
        };
        let enforcing =
            state.enforcing.iter().map(|filter| of(filter, filters.is_connected(&filter.instance), Duration::ZERO));
        let pending = state.pending.iter().map(|filter| of(filter, true, behind(filter)));
        let unreachable = state.unreachable.iter().map(|filter| of(filter, false, behind(filter)));
        enforcing.chain(pending).chain(unreachable).collect()
    }

    fn audit(&self) -> AuditStatus {
        AuditStatus {
            written: self.metrics.audit_written.get(),
            lost: self.metrics.audit_lost.get(),
            lost_at_ms: self.metrics.audit_lost_at().map_or(0, Timestamp::as_millis),
        }
    }
}

fn fleet(state: &FleetState) -> FleetStatus {
    let FleetState { reachable, caught_up, end, refused, trouble, .. } = state.clone();
    let (refused, remedy) = refused.map(|Refused { what, remedy }| (what, remedy)).unwrap_or_default();
    let trouble = trouble.unwrap_or_default();
    FleetStatus { reachable, caught_up, end_seq: end.0, refused, remedy, trouble }
}

fn held_bundle(trust_domain: &authz_core::identity::TrustDomain, origin: Origin, held: &Held) -> BundleStatus {
    BundleStatus {
        trust_domain: trust_domain.to_string(),
        origin: origin.as_str().to_owned(),
        missing: false,
        authorities: u32::try_from(held.bundle.authorities()).unwrap_or(u32::MAX),
        sequence: held.bundle.sequence(),
        fetched_at_ms: held.fetched_at.as_millis(),
        next_refresh_ms: held.next_refresh.map(Timestamp::as_millis),
        authorities_end_ms: held.bundle.not_after().map(Timestamp::as_millis),
        trouble: held.trouble.clone().unwrap_or_default(),
    }
}

fn missing_bundle(missing: Missing) -> BundleStatus {
    BundleStatus {
        trust_domain: missing.trust_domain.to_string(),
        origin: missing.origin.as_str().to_owned(),
        missing: true,
        next_refresh_ms: missing.next_refresh.map(Timestamp::as_millis),
        trouble: missing.trouble.unwrap_or_default(),
        ..BundleStatus::default()
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
