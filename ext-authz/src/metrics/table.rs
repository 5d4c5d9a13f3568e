//! What each metric means, in one sentence; README's table and the help texts come from here.

/// One metric.
pub struct MetricRow {
    /// Its name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels.
    pub labels: &'static str,
    /// What it says.
    pub help: &'static str,
}

const fn row(name: &'static str, kind: &'static str, labels: &'static str, help: &'static str) -> MetricRow {
    MetricRow { name, kind, labels, help }
}

/// Every metric of the sidecar, by name.
pub const TABLE: &[MetricRow] = &[
    row(
        "countersign_audit_lost_total",
        "counter",
        "",
        "Audit records that could not be written; alert on any increase.",
    ),
    row("countersign_audit_records_total", "counter", "", "Audit records written."),
    row("countersign_build_info", "gauge", "version", "Always 1, labelled with the version."),
    row(
        "countersign_bundle_age_seconds",
        "gauge",
        "origin, trust_domain",
        "Time since a trust bundle was last confirmed by its source; of a file, since the files last changed.",
    ),
    row(
        "countersign_bundle_authorities",
        "gauge",
        "trust_domain",
        "Authorities in a trust bundle; 0 revokes its whole trust domain.",
    ),
    row(
        "countersign_bundle_fetches_total",
        "counter",
        "origin, result",
        "Attempts to read or fetch trust bundles: accepted, refused for what came, or failed because nothing did.",
    ),
    row(
        "countersign_bundle_next_refresh_seconds",
        "gauge",
        "trust_domain",
        "Time until a trust bundle is fetched again; 0 where it is watched instead, far below 0 means nobody fetches.",
    ),
    row("countersign_bundle_reloads_total", "counter", "result", "Trust bundle sets read, accepted or refused."),
    row(
        "countersign_bundle_sequence",
        "gauge",
        "trust_domain",
        "spiffe_sequence of a trust bundle, which grows with each change; 0 if it has none.",
    ),
    row("countersign_cached_decisions", "gauge", "", "Decisions in the sidecar's cache, about."),
    row(
        "countersign_control_policy_reloads_total",
        "counter",
        "result",
        "Sets of control policies read, accepted or refused; a refused one changes nothing.",
    ),
    row(
        "countersign_control_requests_total",
        "counter",
        "action, result",
        "Uses of the control API, and each signal of a batch: allowed, denied, error where a control policy could not be evaluated, failed, or invalid.",
    ),
    row(
        "countersign_decision_duration_seconds",
        "histogram",
        "mode",
        "Time from a request's arrival in the sidecar to its answer.",
    ),
    row(
        "countersign_decisions_total",
        "counter",
        "mode, reason, source, verdict",
        "Decisions made by the sidecar; source says whether the gate, the cache or the policies gave it.",
    ),
    row(
        "countersign_degraded",
        "gauge",
        "condition",
        "1 while the log is lost (log_lost) or takes no signals (store_unwritable): see degraded in the configuration.",
    ),
    row(
        "countersign_enforcement_seconds",
        "histogram",
        "",
        "Time from acceptance of a signal to a filter's word that it is in force there.",
    ),
    row("countersign_filter_cached_decisions", "gauge", "", "Decisions that connected filters remember, all together."),
    row(
        "countersign_filter_events_total",
        "counter",
        "event",
        "What filters count about themselves: misses, denials, answers not given from memory for want of a lease, streams cut.",
    ),
    row("countersign_filter_hits_total", "counter", "verdict", "Answers that filters gave from their own memory."),
    row(
        "countersign_filter_local_decisions_total",
        "counter",
        "reason",
        "Denials that filters made without their sidecar, as reported once it was back.",
    ),
    row(
        "countersign_filter_resyncs_total",
        "counter",
        "",
        "Filters that had to start over, their position not at hand.",
    ),
    row("countersign_filters", "gauge", "", "Filter VMs connected now."),
    row(
        "countersign_fleet_connected",
        "gauge",
        "",
        "1 while the fleet's stream of signals is followed; 0 out of reach, refused, or without a fleet.",
    ),
    row(
        "countersign_fleet_connects_total",
        "counter",
        "result",
        "Connections to the fleet's stream: connected, failed, or lost afterwards.",
    ),
    row(
        "countersign_fleet_end_seq",
        "gauge",
        "",
        "The end of the fleet's stream as last heard; what it is above countersign_log_seq is still to come.",
    ),
    row(
        "countersign_fleet_publish_retries_total",
        "counter",
        "",
        "Signals published again because their acknowledgement did not come, or another had their id.",
    ),
    row(
        "countersign_fleet_refusals_total",
        "counter",
        "reason",
        "Times the fleet's stream was refused: shorter than seen, another history, made anew, purged, unfit; alert on any.",
    ),
    row(
        "countersign_fleet_refused",
        "gauge",
        "",
        "1 while the fleet's stream is refused: alert, no revocation arrives.",
    ),
    row(
        "countersign_filters_cut_total",
        "counter",
        "reason",
        "Streams of filters that the sidecar ended: stuck for taking nothing for the length of a lease, refused for what was said.",
    ),
    row(
        "countersign_filters_overdue_total",
        "counter",
        "",
        "Times that a connected filter had not put in force what it was told for the length of a lease.",
    ),
    row("countersign_leases_granted_total", "counter", "", "Leases granted to filters."),
    row(
        "countersign_log_compacted_entries_total",
        "counter",
        "",
        "Entries taken out of the log of signals because they mattered no more.",
    ),
    row("countersign_log_entries", "gauge", "", "Entries that the log of signals holds, counted every 30 seconds."),
    row(
        "countersign_log_contradictions_total",
        "counter",
        "how",
        "Filters that had seen another past than the log has: the log was set back or exchanged; alert on any.",
    ),
    row("countersign_log_seq", "gauge", "", "The last position of the log of signals."),
    row("countersign_policies", "gauge", "", "Policies in force."),
    row("countersign_policy_reloads_total", "counter", "result", "Policy sets read, accepted or refused."),
    row("countersign_ready", "gauge", "part", "1 for each part that is in; the sidecar denies until all are."),
    row("countersign_revocations", "gauge", "", "Scopes revoked now."),
    row("countersign_signals_total", "counter", "kind", "Signals accepted since the start."),
    row(
        "countersign_takes_signals",
        "gauge",
        "",
        "1 while revocations are taken; 0 once the log can't be written: alert, nobody can be revoked.",
    ),
    row(
        "countersign_own_svid_expiration_timestamp_seconds",
        "gauge",
        "",
        "When the sidecar's own SVID ends, in seconds since 1970; 0 without one.",
    ),
    row(
        "countersign_svid_reloads_total",
        "counter",
        "result",
        "SVIDs of our own read, accepted or refused, or withdrawn by their source.",
    ),
    row(
        "countersign_tls_handshakes_total",
        "counter",
        "listener, result",
        "TLS handshakes on TCP listeners, by how they ended: ok, or why a client did not come in.",
    ),
    row(
        "countersign_tls_refused_requests_total",
        "counter",
        "listener, result",
        "Requests on open TLS connections whose client was revoked or lost its trust since it came in.",
    ),
    row(
        "countersign_view_age_seconds",
        "gauge",
        "",
        "Age of the knowledge of the log; 0 with a log of our own that can be written, +Inf before it was ever whole.",
    ),
    row(
        "countersign_workload_api_held",
        "gauge",
        "kind",
        "What is held from the Workload API: SVIDs that may be ours, bundles by trust domain, CRLs.",
    ),
    row(
        "countersign_workload_api_up",
        "gauge",
        "stream",
        "1 while a stream of the Workload API is open and has brought a message.",
    ),
    row(
        "countersign_workload_api_updates_total",
        "counter",
        "stream, result",
        "What streams of the Workload API brought: messages accepted or refused, and ends: lost, denied, call rejected.",
    ),
    row("countersign_filter_open_streams", "gauge", "", "Requests that connected filters have open, all together."),
];
