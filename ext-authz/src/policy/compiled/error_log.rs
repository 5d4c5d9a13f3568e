//! Telling operators that a policy fails, without letting whoever provokes it flood the log.

use std::sync::atomic::{AtomicU64, Ordering};

use authz_core::time::Timestamp;
use cedar_policy::PolicyId;

/// Logs evaluation errors at a bounded rate.
#[derive(Default)]
pub(in crate::policy) struct ErrorLog {
    /// When the next line may be written, in milliseconds since the epoch.
    next: AtomicU64,
    suppressed: AtomicU64,
}

/// Shortest time between two lines, in milliseconds.
const INTERVAL_MILLIS: u64 = 1000;

impl ErrorLog {
    /// Logs the failures, or counts them for the next line.
    pub fn report(&self, failures: &[(PolicyId, String)], now: Timestamp) {
        let Some(suppressed) = self.turn(now) else { return };
        for (policy, error) in failures {
            tracing::warn!(%policy, %error, suppressed, "policy could not be evaluated, request denied");
        }
    }

    /// How many reports were left out since the last line, if a line may be written now.
    fn turn(&self, now: Timestamp) -> Option<u64> {
        let (now, next) = (now.as_millis(), self.next.load(Ordering::Relaxed));
        let mine = now >= next
            && self
                .next
                .compare_exchange(next, now.saturating_add(INTERVAL_MILLIS), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if mine {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_report_per_interval_is_written_and_the_rest_is_counted() {
        let log = ErrorLog::default();
        let turns: Vec<_> =
            [0, 1, 999, 1000, 1001, 2000].iter().map(|now| log.turn(Timestamp::from_millis(*now))).collect();
        assert_eq!(turns, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
