//! How old the sidecar's knowledge of the log may be. It asks nobody; whoever follows the log says when it was known to be whole.

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
        Self(Arc::new(Known { began: Instant::now(), at: AtomicU64::new(ALWAYS) }))
    }

    /// Of a log whose end has not been heard of yet.
    pub fn unknown() -> Self {
        Self(Arc::new(Known { began: Instant::now(), at: AtomicU64::new(NEVER) }))
    }

    /// Everything that was in the log when its end was *asked* for, at `asked`, is in force here. Never goes back.
    pub fn confirm(&self, asked: Instant) {
        let asked = asked.saturating_duration_since(self.0.began).as_millis();
        let asked = u64::try_from(asked).unwrap_or(NEVER).min(NEVER - 1);
        // A closure that changes nothing is no failure.
        let _ = self.0.at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| {
            (known == NEVER || (known != ALWAYS && known < asked)).then_some(asked)
        });
    }

    /// How long ago at `now` everything was known: zero where that is always so, `None` if it never was.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        match self.0.at.load(Ordering::Relaxed) {
            ALWAYS => Some(Duration::ZERO),
            NEVER => None,
            // Whole milliseconds, rounded up: a view is never younger than it looks.
            at => Some(
                (now.saturating_duration_since(self.0.began) + MILLISECOND).saturating_sub(Duration::from_millis(at)),
            ),
        }
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);

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
        assert_eq!(freshness.age(after(100)), Some(MILLISECOND));
    }

    #[test]
    fn a_log_of_our_own_is_always_known() {
        let freshness = Freshness::always();
        freshness.confirm(freshness.0.began);
        assert_eq!(freshness.age(freshness.0.began + Duration::from_secs(99)), Some(Duration::ZERO));
    }
}
