//! When the log is worth compacting, and how far; it keeps no time and starts no thread.

use authz_core::{signal::Seq, time::Timestamp};

use super::{Compacted, Log, LogError, dead::Needed};

/// Remembers what the last compaction could not remove, so that the log is not read again and again in vain.
#[derive(Debug, Default)]
pub struct Upkeep {
    /// Entries that looked dead and stayed.
    stubborn: u64,
}

/// From how many entries that look dead on a compaction is worth reading the log.
pub const WORTH: u64 = 4096;
/// The last entries stay whatever they are, so that filters find their place after a restart of the sidecar.
pub const STAY: u64 = 4096;

impl Upkeep {
    /// Compacts `log` if that is worth it at `now`: more than half of it looks dead, of which [`WORTH`] were not looked at
    /// before. `live` is the number of scopes revoked now. Blocks on the disk; signals are taken meanwhile.
    pub fn run(&mut self, log: &Log, live: u64, now: Timestamp) -> Result<Option<Compacted>, LogError> {
        let stored = log.stored()?;
        let looks_dead = stored.saturating_sub(live).saturating_sub(STAY);
        if looks_dead <= stored / 2 || looks_dead < self.stubborn.saturating_add(WORTH) {
            // What was stubborn once may have left by other ways.
            self.stubborn = self.stubborn.min(looks_dead);
            return Ok(None);
        }
        let base = Seq(log.head().0.saturating_sub(STAY));
        let needed = Needed::at(now, log)?;
        let done = log.compact(base, now, |seq, _| needed.lacks(seq))?;
        self.stubborn = looks_dead.saturating_sub(done.removed);
        Ok(Some(done))
    }
}

#[cfg(test)]
mod tests {
    use authz_core::{
        revocation::Mark,
        signal::{Action, Signal},
    };

    use super::*;

    fn signal(number: u64, expires_at: Timestamp) -> Signal {
        Signal {
            id: format!("id-{number}").into(),
            scope: format!("spiffe-id:spiffe://demo.test/n{number}").parse().unwrap(),
            action: Action::Revoke(Mark { issued_before: Timestamp::NEVER, expires_at }),
            who: "".into(),
            why: "".into(),
            source: "".into(),
            at: Timestamp::from_secs(1000),
            event_at: None,
        }
    }

    #[test]
    fn a_log_is_compacted_once_enough_is_dead_and_not_again_in_vain() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::open(&directory.path().join("log")).unwrap();
        let (count, hour) = (2 * WORTH + 2 * STAY, 3600);
        let signals = (1..=count).map(|n| signal(n, Timestamp::from_secs(2000 + hour * u64::from(n > 100))));
        drop(log.append_all(signals.collect()).unwrap());
        let mut upkeep = Upkeep::default();
        let mut run = |live, secs| upkeep.run(&log, live, Timestamp::from_secs(secs)).unwrap();
        assert_eq!(run(count, 1000), None, "all is live");
        assert_eq!(run(count / 2, 1000), None, "not half of it");
        // A caller that takes too little for live can't make it remove anything.
        assert_eq!(run(0, 1000).map(|done| done.removed), Some(0));
        assert_eq!(run(0, 1000), None, "in vain");
        assert_eq!(run(count, 1001), None);
        assert_eq!(run(0, 2000 + hour).map(|done| done.removed), Some(100));
        assert_eq!(run(count, 1001), None);
        assert_eq!(run(0, 2000 + 2 * hour).map(|done| done.removed), Some(count - STAY - 100));
        assert_eq!((log.stored().unwrap(), log.head(), log.base().unwrap()), (STAY, Seq(count), Seq(count - STAY)));
    }
}
