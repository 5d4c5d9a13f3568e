//! Which entries of the log matter no more, so that compaction can take them out. It reads no file.

use authz_core::{
    revocation::RevocationSet,
    signal::{Action, MAX_LATENESS_MS, Seq, Signal},
    standing::Standings,
    time::Timestamp,
};

/// What the log must keep, besides its last entries.
#[derive(Debug)]
pub struct Needed {
    // Sorted.
    positions: Vec<Seq>,
    now: Timestamp,
    /// What ended before this has ended, whatever is wrong with the clock.
    over: Timestamp,
    /// What can still be contradicted by late events happened after this.
    settled: Timestamp,
}

/// Entries leave in two rounds: what a word overruled must be gone before the word that overruled it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Round {
    /// What is overruled, or over.
    Overruled,
    /// What overruled it: restores, and risk and posture that have ended.
    LastWords,
}

impl Needed {
    /// What is needed to come to this state of `now` again, and to the same state whatever comes.
    ///
    /// `oldest` is the oldest acceptance among the entries that stay in any case.
    pub fn of(revocations: &RevocationSet, standings: &Standings, oldest: Timestamp, now: Timestamp) -> Self {
        let mut positions: Vec<_> = revocations.positions().chain(standings.positions()).collect();
        positions.sort_unstable();
        let before = |moment: Timestamp, by: u64| Timestamp::from_millis(moment.as_millis().saturating_sub(by));
        Self {
            positions,
            now,
            over: before(now, CLOCK_DOUBT_MS),
            settled: before(now.min(oldest), MAX_LATENESS_MS.saturating_add(CLOCK_DOUBT_MS)),
        }
    }

    /// Whether `signal` at `seq`, which had been applied then, matters no more and leaves in `round`.
    pub fn lacks(&self, seq: Seq, signal: &Signal, round: Round) -> bool {
        if self.positions.binary_search(&seq).is_ok() {
            return false;
        }
        match round {
            Round::Overruled => !self.is_last_word(signal) && !self.is_in_doubt(signal),
            Round::LastWords => self.is_last_word(signal) && signal.moment(seq).at < self.settled,
        }
    }

    /// Whether it may overrule others although it is not needed for what it says itself.
    fn is_last_word(&self, signal: &Signal) -> bool {
        match signal.action {
            Action::Restore => true,
            Action::Revoke(_) => false,
            Action::Posture(_, expires_at) | Action::Risk(_, expires_at) => expires_at < self.over,
        }
    }

    /// Whether it is a revocation that only just ended: the clock may have been ahead.
    fn is_in_doubt(&self, signal: &Signal) -> bool {
        matches!(signal.action, Action::Revoke(mark) if (self.over..=self.now).contains(&mark.expires_at))
    }
}

/// How far a clock may be wrong: an hour.
const CLOCK_DOUBT_MS: u64 = 60 * 60 * 1000;

#[cfg(test)]
mod tests;
