//! What of the log is in force, with who sent it and why; the gate asks `RevocationSet`, never this.

use std::collections::BTreeSet;

use authz_core::{
    revocation::RevocationSet,
    signal::{Seq, Signal},
    standing::Standings,
    time::Timestamp,
};

use super::{Log, LogError};

/// At most `limit` revocations, risks and postures after `after` that are in force at `now`, in order. Reads the whole log.
pub fn after(log: &Log, after: Seq, limit: usize, now: Timestamp) -> Result<Vec<(Seq, Signal)>, LogError> {
    let (mut revocations, mut standings) = (RevocationSet::default(), Standings::default());
    log.replay(|seq, signal| {
        revocations.apply(seq, &signal);
        standings.apply(seq, &signal);
    })?;
    revocations.expire(now);
    standings.forget_ended(now.saturating_add_millis(1));
    let live = revocations.mark_positions().chain(standings.positions());
    let live: BTreeSet<Seq> = live.filter(|seq| *seq > after).collect();
    let mut entries = Vec::new();
    for seq in live.into_iter().take(limit) {
        entries.extend(log.read_after(Seq(seq.0.saturating_sub(1)), 1)?);
    }
    Ok(entries)
}
