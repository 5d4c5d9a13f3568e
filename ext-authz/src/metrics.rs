//! Every metric of the sidecar, registered in a passed registry with closed label sets; it measures nothing itself.

use std::sync::atomic::{AtomicU64, Ordering};

use authz_core::{
    decision::{Decision, Verdict},
    reason::{Class, Reason},
    time::Timestamp,
};
use prometheus::{Encoder, Gauge, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder};

use self::{bundles::BundleGauges, maker::Maker};
use crate::{
    check::Source,
    identity::{Origin, TrustStore},
};

mod bundles;
mod fleet;
mod labels;
mod maker;
mod table;

pub use self::fleet::FleetMetrics;
pub use self::table::{MetricRow, TABLE};

/// By which door a request came.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Mode {
    /// `envoy.service.auth.v3.Authorization/Check`.
    ExtAuthz,
    /// A filter's `Decide` about a request.
    Link,
    /// A filter's `Decide` about a connection.
    LinkNetwork,
    /// The same check for a TCP connection, by Envoy's network filter.
    Network,
}

impl Mode {
    /// Every mode.
    pub const ALL: &[Self] = &[Self::ExtAuthz, Self::Link, Self::LinkNetwork, Self::Network];

    /// The name in metrics and audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ExtAuthz => "ext_authz",
            Self::Link => "link",
            Self::LinkNetwork => "link_network",
            Self::Network => "network",
        }
    }
}

/// Handles of all metrics. Handles on the request path are resolved once.
pub struct Metrics {
    registry: Registry,
    decisions: Vec<IntCounter>,
    durations: Vec<Histogram>,
    /// Answers filters gave from memory, by verdict.
    pub filter_hits: IntCounterVec,
    /// Decisions filters made without their sidecar, by reason.
    pub filter_local: IntCounterVec,
    /// What filters count about themselves, by event.
    pub filter_events: IntCounterVec,
    /// Decisions that connected filters remember.
    pub filter_cached: IntGauge,
    /// Requests that connected filters have open.
    pub filter_streams: IntGauge,
    /// Connected filter VMs.
    pub filters: IntGauge,
    /// Filters whose stream the sidecar ended, by reason.
    pub filters_cut: IntCounterVec,
    /// Times that a filter did not acknowledge in time.
    pub filters_overdue: IntCounter,
    /// Filters that had seen another past of the log, by how it differs.
    pub log_contradictions: IntCounterVec,
    /// Leases granted.
    pub leases: IntCounter,
    /// Seconds from acceptance of a signal to a filter's acknowledgement.
    pub enforcement: Histogram,
    /// Resyncs sent to filters whose position was not at hand.
    pub resyncs: IntCounter,
    /// Signals accepted, by kind.
    pub signals: IntCounterVec,
    /// 1 while signals are taken.
    pub takes_signals: IntGauge,
    /// 1 for the degraded state that the sidecar is in.
    pub degraded: IntGaugeVec,
    /// Entries that the log holds.
    pub log_entries: IntGauge,
    /// Entries that compaction removed.
    pub log_compacted: IntCounter,
    /// The last position of the log.
    pub log_seq: IntGauge,
    /// Scopes revoked now.
    pub revocations: IntGauge,
    /// Policy sets loaded, by result.
    pub policy_reloads: IntCounterVec,
    /// Policies in force.
    pub policies: IntGauge,
    /// Uses of the control API, by action and result.
    pub control_requests: IntCounterVec,
    /// Sets of control policies loaded, by result.
    pub control_policy_reloads: IntCounterVec,
    /// Bundle sets loaded, by result.
    pub bundle_reloads: IntCounterVec,
    bundle_fetches: IntCounterVec,
    /// Decisions cached.
    pub cached: IntGauge,
    /// Audit records written.
    pub audit_written: IntCounter,
    /// Audit records lost.
    pub audit_lost: IntCounter,
    audit_lost_at: AtomicU64,
    /// 1 for each part that is in.
    pub ready: IntGaugeVec,
    /// SVIDs of our own, by result.
    pub svid_reloads: IntCounterVec,
    /// When our own SVID ends, in seconds since 1970.
    pub own_svid_expires: IntGauge,
    /// Handshakes, by listener and result.
    pub tls_handshakes: IntCounterVec,
    /// Requests of peers that may not go on, by listener and result.
    pub tls_refused_requests: IntCounterVec,
    /// Age of the knowledge of the log.
    pub view_age: Gauge,
    /// 1 while a stream of the Workload API is open and has brought a message.
    pub workload_api_up: IntGaugeVec,
    /// How the stream of the fleet is followed.
    pub fleet: FleetMetrics,
    /// What is held from the Workload API, by kind.
    pub workload_api_held: IntGaugeVec,
    /// What the streams of the Workload API brought, by stream and result.
    pub workload_api_updates: IntCounterVec,
}

/// From a cached hit in memory to a slow evaluation, in seconds.
const DURATIONS: &[f64] = &[1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 0.1, 1.0];
/// From one local socket write to a lease.
const ENFORCEMENTS: &[f64] = &[1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.5, 1.0, 5.0];

impl Metrics {
    /// All metrics, registered; every label value that can occur is there from the start.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let make = Maker { registry: &registry };
        let decisions = make.counters("countersign_decisions_total", &["mode", "source", "verdict", "reason"])?;
        let durations = make.histograms("countersign_decision_duration_seconds", &["mode"], DURATIONS)?;
        make.gauges("countersign_build_info", &["version"])?.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Self {
            decisions: all_decisions(&decisions),
            durations: Mode::ALL.iter().map(|mode| durations.with_label_values(&[mode.as_str()])).collect(),
            filter_hits: make.counters("countersign_filter_hits_total", &["verdict"])?,
            filter_local: make.counters("countersign_filter_local_decisions_total", &["reason"])?,
            filter_events: make.counters("countersign_filter_events_total", &["event"])?,
            filter_cached: make.gauge("countersign_filter_cached_decisions")?,
            filter_streams: make.gauge("countersign_filter_open_streams")?,
            filters: make.gauge("countersign_filters")?,
            filters_cut: make.counters("countersign_filters_cut_total", &["reason"])?,
            filters_overdue: make.counter("countersign_filters_overdue_total")?,
            log_contradictions: make.counters("countersign_log_contradictions_total", &["how"])?,
            leases: make.counter("countersign_leases_granted_total")?,
            enforcement: make.histogram("countersign_enforcement_seconds", ENFORCEMENTS)?,
            resyncs: make.counter("countersign_filter_resyncs_total")?,
            signals: make.counters("countersign_signals_total", &["kind"])?,
            takes_signals: make.gauge("countersign_takes_signals")?,
            degraded: make.gauges("countersign_degraded", &["condition"])?,
            log_entries: make.gauge("countersign_log_entries")?,
            log_compacted: make.counter("countersign_log_compacted_entries_total")?,
            log_seq: make.gauge("countersign_log_seq")?,
            revocations: make.gauge("countersign_revocations")?,
            policy_reloads: make.counters("countersign_policy_reloads_total", &["result"])?,
            policies: make.gauge("countersign_policies")?,
            control_requests: make.counters("countersign_control_requests_total", &["action", "result"])?,
            control_policy_reloads: make.counters("countersign_control_policy_reloads_total", &["result"])?,
            bundle_reloads: make.counters("countersign_bundle_reloads_total", &["result"])?,
            bundle_fetches: make.counters("countersign_bundle_fetches_total", &["origin", "result"])?,
            cached: make.gauge("countersign_cached_decisions")?,
            audit_written: make.counter("countersign_audit_records_total")?,
            audit_lost: make.counter("countersign_audit_lost_total")?,
            audit_lost_at: AtomicU64::new(0),
            ready: make.gauges("countersign_ready", &["part"])?,
            tls_handshakes: make.counters("countersign_tls_handshakes_total", &["listener", "result"])?,
            tls_refused_requests: make.counters("countersign_tls_refused_requests_total", &["listener", "result"])?,
            view_age: make.float("countersign_view_age_seconds")?,
            svid_reloads: make.counters("countersign_svid_reloads_total", &["result"])?,
            own_svid_expires: make.gauge("countersign_own_svid_expiration_timestamp_seconds")?,
            fleet: FleetMetrics::new(&make)?,
            workload_api_up: make.gauges("countersign_workload_api_up", &["stream"])?,
            workload_api_held: make.gauges("countersign_workload_api_held", &["kind"])?,
            workload_api_updates: make.counters("countersign_workload_api_updates_total", &["stream", "result"])?,
            registry: registry.clone(),
        };
        metrics.create_closed_labels();
        Ok(metrics)
    }

    /// Counts one decision and the seconds it took.
    pub fn decided(&self, mode: Mode, source: Source, decision: &Decision, seconds: f64) {
        if let Some(counter) = self.decisions.get(slot(mode, source, decision.reason)) {
            counter.inc();
        }
        if let Some(histogram) = self.durations.get(mode as usize) {
            histogram.observe(seconds);
        }
    }

    /// Counts audit records that were lost at `now`.
    pub fn lose_audit(&self, records: u64, now: Timestamp) {
        self.audit_lost.inc_by(records);
        self.audit_lost_at.store(now.as_millis(), Ordering::Relaxed);
    }

    /// When the last audit record was lost, if any was.
    pub fn audit_lost_at(&self) -> Option<Timestamp> {
        Some(Timestamp::from_millis(self.audit_lost_at.load(Ordering::Relaxed))).filter(|_| self.audit_lost.get() > 0)
    }

    /// Counts one attempt to read or fetch bundles.
    pub fn bundle_fetched(&self, origin: Origin, result: &str) {
        self.bundle_fetches.with_label_values(&[origin.as_str(), result]).inc();
    }

    /// Shows the bundles of `trust` from now on, as they are whenever somebody looks.
    ///
    /// # Errors
    /// That it was called before.
    pub fn show_bundles(&self, trust: TrustStore) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(BundleGauges::new(trust)?))
    }

    /// Decisions counted so far, all together.
    pub fn answered(&self) -> u64 {
        self.decisions.iter().map(IntCounter::get).sum()
    }

    /// The exposition format of Prometheus, text version 0.0.4.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// One counter for each mode, source and reason, in the order of [`slot`].
fn all_decisions(vector: &IntCounterVec) -> Vec<IntCounter> {
    let mut counters = Vec::new();
    for mode in Mode::ALL {
        for source in Source::ALL {
            for reason in Reason::ALL {
                let verdict = if reason.class() == Class::Allow { Verdict::Allow } else { Verdict::Deny };
                let labels = [mode.as_str(), source.as_str(), verdict.as_str(), reason.as_str()];
                counters.push(vector.with_label_values(&labels));
            }
        }
    }
    counters
}

fn slot(mode: Mode, source: Source, reason: Reason) -> usize {
    (mode as usize * Source::ALL.len() + source as usize) * Reason::ALL.len() + reason as usize
}

#[cfg(test)]
mod tests {
    use authz_core::decision::DecisionId;

    use super::*;

    #[test]
    fn a_decision_is_counted_under_its_own_labels_only() {
        let metrics = Metrics::new().unwrap();
        let decision = Decision::refuse(DecisionId(1), Reason::Revoked);
        metrics.decided(Mode::Link, Source::Gate, &decision, 0.001);
        let text = metrics.render().unwrap();
        let counted: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("countersign_decisions_total") && !line.ends_with(" 0"))
            .collect();
        assert_eq!(
            counted,
            [r#"countersign_decisions_total{mode="link",reason="revoked",source="gate",verdict="deny"} 1"#]
        );
    }

    #[test]
    fn the_table_and_the_registry_name_the_same_metrics() {
        let metrics = Metrics::new().unwrap();
        metrics.show_bundles(bundles::tests::one_bundle()).unwrap();
        let registered: Vec<String> = metrics.registry.gather().iter().map(|family| family.name().to_owned()).collect();
        let mut listed: Vec<String> = TABLE.iter().map(|row| row.name.to_owned()).collect();
        listed.sort();
        assert_eq!(registered, listed);
        assert!(TABLE.iter().all(|row| row.help.ends_with('.')));
    }
}
