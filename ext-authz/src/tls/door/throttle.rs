//! Keeps a flood of one kind from filling the log: one line a second each. It counts nothing, metrics do.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{clock, tls::outcome::Outcome};

/// When a line of each kind was last written.
#[derive(Default)]
pub(super) struct Throttle([AtomicU64; Outcome::ALL.len()]);

impl Throttle {
    /// Whether a line about `outcome` may be written now.
    pub(super) fn passes(&self, outcome: Outcome) -> bool {
        let now = clock::now().as_millis();
        let last = self.0.get(outcome as usize);
        // A clock that was set back must not silence us.
        last.is_some_and(|last| {
            let before = last.load(Ordering::Relaxed);
            let due = now.abs_diff(before) >= EVERY_MS;
            due && last.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        })
    }
}

const EVERY_MS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_line_of_a_kind_waits_and_another_kind_does_not() {
        let throttle = Throttle::default();
        for outcome in Outcome::ALL {
            assert!(throttle.passes(*outcome), "{outcome:?}");
            assert!(!throttle.passes(*outcome), "{outcome:?}");
        }
    }
}
