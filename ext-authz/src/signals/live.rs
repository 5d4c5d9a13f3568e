//! Which revocations of the log are in force, with who sent them and why; the gate asks `RevocationSet`, never this.

use std::collections::HashMap;

use authz_core::{
    scope::Scope,
    signal::{Action, Seq, Signal},
    time::Timestamp,
};

use super::{Log, LogError};

/// At most `limit` revocations after `after` that are in force at `now`, in order. Reads the whole log.
pub fn after(log: &Log, after: Seq, limit: usize, now: Timestamp) -> Result<Vec<(Seq, Signal)>, LogError> {
    let mut live: HashMap<Scope, Vec<(Seq, Signal)>> = HashMap::new();
    log.replay(|seq, signal| match signal.action {
        Action::Restore => drop(live.remove(&signal.scope)),
        Action::Revoke(mark) if now < mark.expires_at => {
            live.entry(signal.scope.clone()).or_default().push((seq, signal));
        }
        Action::Revoke(_) => {}
    })?;
    let mut entries: Vec<_> = live.into_values().flatten().filter(|(seq, _)| *seq > after).collect();
    entries.sort_unstable_by_key(|(seq, _)| *seq);
    entries.truncate(limit);
    Ok(entries)
}
