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
            parts.metrics.svid_rotations.inc();
            parts.metrics.svid_expiry.set(i64::try_from(expires).unwrap_or(i64::MAX));
            info!(%id, expires, offered, "own SVID in use");
            record(parts, "accepted", format!("{id} until {expires}, {offered}"));
        }
        SvidChange::Gone { id, why } => {
            parts.metrics.svid_expiry.set(0);
            error!(%id, why, "own SVID is no longer used, new connections of ours have none");
            record(parts, "dropped", format!("{id}: {why}"));
        }
    }
}

fn record(parts: &Parts, result: &'static str, detail: String) {
    parts.audit.record(Record::Change(Change { at: clock::now(), what: "svid", result, detail }));
}
