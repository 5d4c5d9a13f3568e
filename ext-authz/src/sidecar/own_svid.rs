//! Accounts for every change of our own SVID: metrics, trail, log. Which one it is its sources decide.

use tracing::{error, info};

use super::Parts;
use crate::{
    audit::{Change, Record},
    clock,
    identity::workload_api::SvidChange,
};

/// Accounts for what a source did; `offered` says what it was chosen from.
pub(super) fn note(parts: &Parts, change: &SvidChange, offered: &str) {
    match change {
        SvidChange::Same => {}
        SvidChange::New { id, not_after } => {
            let expires = not_after.as_millis() / 1000;
            parts.metrics.own_svid_expires.set(i64::try_from(expires).unwrap_or(i64::MAX));
            info!(%id, expires, offered, "own SVID in use");
            record(parts, "accepted", format!("{id} until {expires}, {offered}"));
        }
        SvidChange::Gone { id, why } => {
            parts.metrics.own_svid_expires.set(0);
            error!(%id, why, "own SVID is no longer used, new connections of ours have none");
            record(parts, "withdrawn", format!("{id}: {why}"));
        }
    }
}

/// Accounts for an SVID that was not taken.
pub(super) fn refused(parts: &Parts, why: String) {
    record(parts, "refused", why);
}

fn record(parts: &Parts, result: &'static str, detail: String) {
    parts.metrics.svid_reloads.with_label_values(&[result]).inc();
    parts.audit.record(Record::Change(Change { at: clock::now(), what: "svid", result, detail }));
}
