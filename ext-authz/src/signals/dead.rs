//! Which entries of the log matter no more, so that compaction can take them out. It removes nothing.

use std::collections::HashSet;

use authz_core::{
    revocation::RevocationSet,
    signal::{Seq, settled_before},
    standing::Standings,
    time::Timestamp,
};

use super::{Log, LogError};

/// The positions that must stay; everything else is dead.
#[derive(Debug)]
pub struct Needed(HashSet<Seq>);

impl Needed {
    /// What `log` needs from `now` on, whatever comes. Reads the whole log; keeps the state that it gives.
    ///
    /// Dead is what the state at the end of the log does not rest on: revocations that have been over for an hour, were
    /// lifted, or are included by another; restores, risk and posture of which nothing that is still accepted could be
    /// older, as far as they are over; and all that something later took the place of.
    pub fn at(now: Timestamp, log: &Log) -> Result<Self, LogError> {
        let (mut revocations, mut standings) = (RevocationSet::default(), Standings::default());
        log.replay(|seq, signal| {
            revocations.apply(seq, &signal);
            standings.apply(seq, &signal);
        })?;
        revocations.expire(Timestamp::from_millis(now.as_millis().saturating_sub(CLOCK_DOUBT_MS)));
        revocations.forget_restores(settled_before(now));
        standings.forget_ended(settled_before(now));
        Ok(Self(revocations.positions().chain(standings.positions()).collect()))
    }

    /// Whether the entry at `seq`, which was in the log then, matters no more.
    pub fn lacks(&self, seq: Seq) -> bool {
        !self.0.contains(&seq)
    }
}

/// A revocation stays for an hour after its end: the clock may have been ahead.
const CLOCK_DOUBT_MS: u64 = 60 * 60 * 1000;

#[cfg(test)]
mod tests;
