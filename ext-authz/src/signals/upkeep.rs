//! When the log is worth compacting, and how far; it keeps no time and starts no thread.

use authz_core::{
    revocation::RevocationSet,
    signal::{Seq, Signal},
    standing::Standings,
    time::Timestamp,
};

use super::{
    Compacted, Log, LogError,
    dead::{Needed, Round},
};

/// Remembers what the last compaction could not remove, so that the log is not read again and again in vain.
#[derive(Debug)]
pub struct Upkeep {
    /// From how many entries that look dead on the log is worth reading.
    worth: u64,
    /// How many of the last entries stay whatever they are, so that filters find their place after a restart.
    stay: u64,
    /// Entries that looked dead and stayed.
    stubborn: u64,
    /// When to try those again: what has ended stays for a while.
    again: Timestamp,
}

/// Few enough that a log of this size is read in no time.
const WORTH: u64 = 4096;
/// As many as are kept in memory for followers.
const STAY: u64 = 4096;
/// An hour.
const AGAIN_AFTER_MS: u64 = 60 * 60 * 1000;

impl Default for Upkeep {
    fn default() -> Self {
        Self { worth: WORTH, stay: STAY, stubborn: 0, again: Timestamp::NEVER }
    }
}

impl Upkeep {
    /// Compacts `log` if that is worth it at `now`: more than half of it looks dead, of which enough were not looked at
    /// in the last hour. `revocations` and `standings` are the state of `now`. Blocks on the disk; signals are taken meanwhile.
    /// From when `stop` says so it removes nothing more and ends soon.
    pub fn run(
        &mut self,
        log: &Log,
        (revocations, standings): (&RevocationSet, &Standings),
        now: Timestamp,
        stop: impl Fn() -> bool,
    ) -> Result<Option<Compacted>, LogError> {
        let (stored, base) = (log.stored()?, Seq(log.head().0.saturating_sub(self.stay)));
        let live = revocations.positions().chain(standings.positions()).count() as u64;
        let looks_dead = stored.saturating_sub(live).saturating_sub(self.stay);
        // What was stubborn once may have left by other ways.
        self.stubborn = if now < self.again { self.stubborn.min(looks_dead) } else { 0 };
        if looks_dead <= stored / 2 || looks_dead < self.stubborn.saturating_add(self.worth) {
            return Ok(None);
        }
        let stay = log.read_after(base, usize::MAX)?;
        let oldest = stay.iter().map(|(_, signal)| signal.at).min().unwrap_or(Timestamp::NEVER);
        let needed = Needed::of(revocations, standings, oldest, now);
        let leaves = |seq, signal: &Signal, round| needed.lacks(seq, signal, round) && !stop();
        let first = log.compact(base, now, |seq, it| leaves(seq, it, Round::Overruled))?;
        let last = log.compact(base, now, |seq, it| leaves(seq, it, Round::LastWords))?;
        let done = Compacted {
            removed: first.removed.saturating_add(last.removed),
            forgotten: first.forgotten.saturating_add(last.forgotten),
            ..last
        };
        self.stubborn = looks_dead.saturating_sub(done.removed);
        self.again = now.saturating_add_millis(AGAIN_AFTER_MS);
        Ok(Some(done))
    }
}

#[cfg(test)]
mod tests {
    use authz_core::{revocation::Mark, signal::Action};

    use super::*;

    fn signal(number: u64, expires_at: Timestamp) -> Signal {
        Signal {
            id: format!("id-{number}").into(),
            scope: format!("spiffe-id:spiffe://demo.test/n{number}").parse().unwrap(),
            action: Action::Revoke(Mark { issued_before: Timestamp::NEVER, expires_at }),
            who: "".into(),
            why: "".into(),
            source: "".into(),
            at: START,
            event_at: None,
        }
    }

    #[test]
    fn a_log_is_compacted_once_enough_is_dead_and_not_again_in_vain() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::open(&directory.path().join("log")).unwrap();
        let (worth, stay, count) = (64, 64, 256);
        let hours = |hours: u64| START.saturating_add_millis(hours * 60 * 60 * 1000);
        // A few end now, the others later.
        let signals: Vec<_> = (1..=count).map(|n| signal(n, hours(if n > 10 { 50 } else { 10 }))).collect();
        let mut live = RevocationSet::default();
        for (signal, seq) in signals.iter().zip(1..) {
            live.apply(Seq(seq), signal);
        }
        drop(log.append_all(signals).unwrap());
        let small = || Upkeep { worth, stay, ..Upkeep::default() };
        let mut upkeep = small();
        let mut stopped = live.clone();
        stopped.expire(hours(52));
        let done = small().run(&log, (&stopped, &Standings::default()), hours(52), || true).unwrap();
        assert_eq!(done.map(|done| done.removed), Some(0));
        let mut run = |now: Timestamp| {
            live.expire(now);
            let done = upkeep.run(&log, (&live, &Standings::default()), now, || false).unwrap();
            done.map(|done| (done.removed, log.stored().unwrap()))
        };
        assert_eq!(run(hours(1)), None, "all is live");
        assert_eq!(run(hours(12)), None, "too few are dead");
        // Over, but not for long enough to be sure of it.
        assert_eq!(run(hours(50)), Some((10, count - 10)));
        assert_eq!(run(hours(50)), None, "in vain");
        assert_eq!(run(hours(52)), Some((count - stay - 10, stay)));
        assert_eq!(run(hours(53)), None, "all that may leave has left");
    }

    const START: Timestamp = Timestamp::from_secs(1_700_000_000);
}
