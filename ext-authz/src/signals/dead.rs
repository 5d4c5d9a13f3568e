//! Which entries of the log matter no more, so that compaction can take them out. It removes nothing.

use std::collections::{HashMap, HashSet};

use authz_core::{
    revocation::Mark,
    scope::Scope,
    signal::{Action, Seq, Signal},
    time::Timestamp,
};

use super::{Log, LogError};

/// The positions that must stay; everything else is dead.
#[derive(Debug)]
pub struct Needed(HashSet<Seq>);

impl Needed {
    /// What `log` needs from `now` on, whatever comes. Reads the whole log; keeps one mark for each live revocation.
    ///
    /// Dead are revocations that have been over for an hour, that a later restore lifted, or that another live one of the
    /// same scope includes, and restores of more than seven days ago: what they lifted is dead, and nothing that could
    /// still come from before them is accepted.
    pub fn at(now: Timestamp, log: &Log) -> Result<Self, LogError> {
        let mut live = Live::default();
        log.replay(|seq, signal| live.take(seq, &signal, now))?;
        let marks = live.revocations.into_values().flatten().map(|(seq, _)| seq);
        Ok(Self(marks.chain(live.restores).collect()))
    }

    /// Whether the entry at `seq`, which was in the log then, matters no more.
    pub fn lacks(&self, seq: Seq) -> bool {
        !self.0.contains(&seq)
    }
}

#[derive(Default)]
struct Live {
    revocations: HashMap<Scope, Vec<(Seq, Mark)>>,
    restores: Vec<Seq>,
}

impl Live {
    fn take(&mut self, seq: Seq, signal: &Signal, now: Timestamp) {
        match signal.action {
            Action::Restore => {
                self.revocations.remove(&signal.scope);
                if signal.at.saturating_add_millis(RESTORE_MEMORY_MS) > now {
                    self.restores.push(seq);
                }
            }
            Action::Revoke(mark) if mark.expires_at.saturating_add_millis(CLOCK_DOUBT_MS) > now => {
                let marks = self.revocations.entry(signal.scope.clone()).or_default();
                if !marks.iter().any(|(_, old)| includes(old, &mark)) {
                    marks.retain(|(_, old)| !includes(&mark, old));
                    marks.push((seq, mark));
                }
            }
            Action::Revoke(_) => {}
        }
    }
}

/// Whether `one` revokes all that `other` revokes.
fn includes(one: &Mark, other: &Mark) -> bool {
    one.issued_before >= other.issued_before && one.expires_at >= other.expires_at
}

/// A revocation stays for an hour after its end: the clock may have been ahead.
const CLOCK_DOUBT_MS: u64 = 60 * 60 * 1000;
/// How late a signal may come that happened before a restore: seven days.
const RESTORE_MEMORY_MS: u64 = 7 * 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests;
