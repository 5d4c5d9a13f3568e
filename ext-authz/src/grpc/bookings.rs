//! Enters what a filter answered by itself into metrics and audit; it judges none of it.

use authz_core::{decision::Verdict, reason::Reason, time::Timestamp};

use super::watch::hex;
use crate::{
    audit::{Audit, HitsRecord, LocalRecord, Record},
    metrics::Metrics,
    wire::link::{self, Report},
};

/// Where the answers of one filter are entered.
pub(super) struct Bookings<'a> {
    pub(super) metrics: &'a Metrics,
    pub(super) audit: &'a Audit,
    pub(super) filter: &'a str,
}

impl Bookings<'_> {
    /// Enters a report that was not received before.
    pub(super) fn book(&self, report: &Report, now: Timestamp) {
        for hits in &report.hits {
            let verdict = match hits.verdict() {
                link::Verdict::Allow => Verdict::Allow,
                link::Verdict::Challenge => Verdict::Challenge,
                link::Verdict::Deny | link::Verdict::Unspecified => Verdict::Deny,
            };
            self.metrics.filter_hits.with_label_values(&[verdict.as_str()]).inc_by(hits.count);
            self.audit.record(Record::Hits(HitsRecord {
                at: Timestamp::from_millis(hits.last_ms),
                decision_id: hex(&hits.decision_id),
                count: hits.count,
                verdict,
                reason: known_reason(&hits.reason).to_owned(),
                caller: hits.caller.chars().take(2048).collect(),
                filter: self.filter.to_owned(),
                report: report.number,
            }));
        }
        for local in &report.local {
            let reason = known_reason(&local.reason);
            self.metrics.filter_local.with_label_values(&[reason]).inc_by(local.count);
            let (reason, filter) = (reason.to_owned(), self.filter.to_owned());
            let (count, report) = (local.count, report.number);
            self.audit.record(Record::Local(LocalRecord { at: now, reason, count, filter, report }));
        }
    }
}

/// A label must come from the closed set, whatever a filter sends.
fn known_reason(text: &str) -> &'static str {
    Reason::parse(text).unwrap_or(Reason::LinkInvalid).as_str()
}
