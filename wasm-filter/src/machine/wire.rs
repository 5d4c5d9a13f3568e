//! From the filter's types to messages for the sidecar; it decides nothing about what is sent.

use authz_core::decision::Verdict;
use authz_wire::link;

use super::{decisions::Kept, ledger::Batch};

/// A count of zero for one decision.
pub fn no_hits(kept: &Kept) -> link::Hits {
    link::Hits {
        decision_id: kept.id.0.to_be_bytes().to_vec(),
        count: 0,
        verdict: i32::from(verdict(kept.verdict)),
        reason: kept.reason.as_str().into(),
        caller: kept.caller.credential().id().as_str().into(),
        last_ms: 0,
        link_lost: false,
    }
}

/// A report with the counts of a batch.
pub fn report(batch: &Batch) -> link::Report {
    link::Report {
        number: batch.number,
        hits: batch.hits.clone(),
        local: batch.local.clone(),
        ..link::Report::default()
    }
}

fn verdict(verdict: Verdict) -> link::Verdict {
    match verdict {
        Verdict::Allow => link::Verdict::Allow,
        Verdict::Challenge => link::Verdict::Challenge,
        Verdict::Deny => link::Verdict::Deny,
    }
}
