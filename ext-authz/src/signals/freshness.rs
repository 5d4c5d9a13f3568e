//! How old the sidecar's knowledge of the log may be. It asks nobody; whoever keeps or follows the log says when it was whole.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The last moment at which everything in the log was known and in force here. Clones are the same.
///
/// All times are of the monotonic clock: a step of the wall clock makes no view younger.
#[derive(Clone, Debug)]
pub struct Freshness(Arc<Known>);

#[derive(Debug)]
struct Known {
    began: Instant,
    /// Whether the order of the log is decided here.
    own: bool,
    /// Milliseconds after `began`, or one of the two words below.
    at: AtomicU64,
}

/// Nothing can be in the log that is not known here.
const ALWAYS: u64 = u64::MAX;
/// Not known since the start of this process.
const NEVER: u64 = u64::MAX - 1;

impl Freshness {
    /// Of a log whose order is decided here: nobody else can add to it.
    pub fn always() -> Self {
        Self::new(true, ALWAYS)
    }

    /// Of a log that others add to, and whose end has not been heard of yet.
    pub fn unknown() -> Self {
        Self::new(false, NEVER)
    }

    fn new(own: bool, at: u64) -> Self {
        Self(Arc::new(Known { began: Instant::now(), own, at: AtomicU64::new(at) }))
    }

    /// Whether the order of the log is decided here.
    pub fn is_own(&self) -> bool {
        self.0.own
    }

    /// Everything that was in the log when its end was *asked* for, at `asked`, is in force here. Never goes back.
    pub fn confirm(&self, asked: Instant) {
        let asked = self.millis(asked);
        self.change(|known| known == NEVER || (known != ALWAYS && known < asked), asked);
    }

    /// From `moment` on a log of our own takes nothing: what somebody wants to revoke is not known.
    pub fn lose(&self, moment: Instant) {
        self.change(|known| known == ALWAYS, self.millis(moment));
    }

    /// A log of our own takes signals again.
    pub fn regain(&self) {
        self.change(|known| self.0.own && known != ALWAYS, ALWAYS);
    }

    /// How long ago at `now` everything was known: zero where that is so now, `None` if it never was.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        match self.0.at.load(Ordering::Relaxed) {
            ALWAYS => Some(Duration::ZERO),
            NEVER => None,
            // Rounded up: a view is never younger than it looks.
            at => Some(Duration::from_millis(self.millis(now).saturating_add(1).saturating_sub(at))),
        }
    }

    /// Whether everything is known, at any moment: no clock need be asked.
    pub fn is_whole(&self) -> bool {
        self.0.at.load(Ordering::Relaxed) == ALWAYS
    }

    fn millis(&self, moment: Instant) -> u64 {
        let millis = moment.saturating_duration_since(self.0.began).as_millis();
        u64::try_from(millis).unwrap_or(NEVER).min(NEVER - 1)
    }

    fn change(&self, when: impl Fn(u64) -> bool, to: u64) {
        // That nothing is to be changed is no failure.
        let _ = self.0.at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| when(known).then_some(to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_as_old_as_the_last_question_that_was_answered() {
        let freshness = Freshness::unknown();
        let began = freshness.0.began;
        let after = |millis| began + Duration::from_millis(millis);
        assert_eq!(freshness.age(after(5)), None);
        freshness.confirm(after(10));
        freshness.confirm(after(7));
        assert_eq!(freshness.age(after(15)), Some(Duration::from_millis(6)));
        assert!(freshness.clone().age(after(100)) > freshness.age(after(15)));
        freshness.confirm(after(100));
        assert_eq!(freshness.age(after(100)), Some(Duration::from_millis(1)));
        freshness.lose(after(101));
        freshness.regain();
        assert_eq!(freshness.age(after(102)), Some(Duration::from_millis(3)), "others' log is known by asking only");
    }

    #[test]
    fn a_log_of_our_own_is_always_known_while_it_can_be_written() {
        let freshness = Freshness::always();
        let after = |millis| freshness.0.began + Duration::from_millis(millis);
        freshness.confirm(after(0));
        assert_eq!(freshness.age(after(99)), Some(Duration::ZERO));
        assert!(freshness.is_whole() && !Freshness::unknown().is_whole());
        freshness.lose(after(100));
        assert!(!freshness.is_whole());
        freshness.lose(after(150));
        assert_eq!(freshness.age(after(200)), Some(Duration::from_millis(101)), "since the first failure");
        freshness.regain();
        assert_eq!(freshness.age(after(300)), Some(Duration::ZERO));
    }
}
