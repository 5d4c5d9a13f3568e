//! Until when answers may be given from memory; it neither sends the questions nor asks a clock.

use std::collections::VecDeque;

use authz_core::time::Timestamp;

/// The lease: it runs from when the question was sent, so that the way there and back only ever shortens it.
#[derive(Clone, Hash, Default)]
pub struct Lease {
    end: Timestamp,
    ttl_ms: u64,
    last_beat: u64,
    sent: VecDeque<(u64, Timestamp)>,
    seen: Timestamp,
}

/// Questions remembered; more than this without an answer, and the oldest can't be answered any more.
const OPEN_BEATS: usize = 64;
/// Clocks are corrected by less than this all the time; after a larger step nothing measured before it is believed.
const STEP_BACK_MS: u64 = 1000;
/// How often to ask while the length of the lease is unknown.
const FIRST_INTERVAL_MS: u64 = 500;

impl Lease {
    /// Looks at the clock; returns whether it stepped back far, which ends the lease and every open question.
    ///
    /// A small step back takes lease and questions with it: what is left of a lease never grows. (What passed between
    /// the last look and the step can't be seen; looks are a tick apart at most, but for a stall.)
    pub fn see(&mut self, now: Timestamp) -> bool {
        let back = self.seen.millis_since(now);
        if back > STEP_BACK_MS {
            self.drop_all();
        } else if back > 0 {
            self.end = earlier(self.end, back);
            self.sent.iter_mut().for_each(|(_, sent)| *sent = earlier(*sent, back));
        }
        self.seen = now;
        back > STEP_BACK_MS
    }

    /// Numbers a question that is sent now.
    pub fn ask(&mut self, now: Timestamp) -> u64 {
        self.last_beat = self.last_beat.saturating_add(1);
        if self.sent.len() >= OPEN_BEATS {
            self.sent.pop_front();
        }
        self.sent.push_back((self.last_beat, now));
        self.last_beat
    }

    /// Takes the answer to question `beat`; one that was not asked, or answered before a later one, changes nothing.
    pub fn grant(&mut self, beat: u64, ttl_ms: u64) {
        let Some(&(_, sent)) = self.sent.iter().find(|(number, _)| *number == beat) else { return };
        self.sent.retain(|(number, _)| *number > beat);
        self.end = sent.saturating_add_millis(ttl_ms);
        self.ttl_ms = ttl_ms;
    }

    /// Whether answers may be given from memory at `now`.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        now < self.end
    }

    /// Milliseconds left at `now`.
    pub fn remaining_ms(&self, now: Timestamp) -> u64 {
        self.end.millis_since(now)
    }

    /// Ends the lease and forgets the open questions.
    pub fn drop_all(&mut self) {
        self.end = Timestamp::default();
        self.sent.clear();
    }

    /// Milliseconds until the next question: four in the time of a lease, so that one may get lost.
    pub fn interval_ms(&self) -> u64 {
        if self.ttl_ms == 0 { FIRST_INTERVAL_MS } else { self.ttl_ms / 4 }
    }
}

fn earlier(moment: Timestamp, millis: u64) -> Timestamp {
    Timestamp::from_millis(moment.as_millis().saturating_sub(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_lease_runs_from_when_it_was_asked_for() {
        let mut lease = Lease::default();
        assert!(!lease.holds_at(at(0)));
        let beat = lease.ask(at(1000));
        lease.grant(beat, 100);
        for (now, expected) in [(1099, true), (1100, false), (5000, false)] {
            assert_eq!(lease.holds_at(at(now)), expected, "{now}");
        }
        assert_eq!((lease.remaining_ms(at(1060)), lease.interval_ms()), (40, 25));
    }

    #[test]
    fn only_open_questions_can_be_answered_and_the_latest_answer_counts() {
        let mut lease = Lease::default();
        lease.grant(1, 1000);
        assert!(!lease.holds_at(at(0)), "nothing was asked");
        let (first, second) = (lease.ask(at(10)), lease.ask(at(20)));
        lease.grant(second, 5);
        lease.grant(first, 1_000_000);
        lease.grant(second, 1_000_000);
        assert!(lease.holds_at(at(24)) && !lease.holds_at(at(25)));
        let third = lease.ask(at(22));
        lease.grant(third, 0);
        assert!(!lease.holds_at(at(22)), "a sidecar can take a lease back");
    }

    #[test]
    fn a_clock_that_steps_back_ends_the_lease_and_the_questions_before_it() {
        let mut lease = Lease::default();
        let (first, second) = (lease.ask(at(10_000)), lease.ask(at(10_000)));
        lease.grant(first, 60_000);
        assert!(!lease.see(at(10_500)));
        assert!(lease.see(at(9_499)));
        assert!(!lease.holds_at(at(9_499)));
        lease.grant(second, 60_000);
        assert!(!lease.holds_at(at(9_499)), "sent at a moment that has yet to come");
        assert!(!lease.see(at(9_499)));
    }

    #[test]
    fn a_small_step_back_does_not_prolong_a_lease() {
        let mut lease = Lease::default();
        lease.see(at(10_000));
        let (first, second) = (lease.ask(at(10_000)), lease.ask(at(10_000)));
        lease.grant(first, 2_000);
        for _ in 0..3 {
            assert!(!lease.see(at(10_500)));
            let left = lease.remaining_ms(at(10_500));
            assert!(!lease.see(at(9_500)), "a correction");
            assert_eq!(lease.remaining_ms(at(9_500)), left);
            lease.see(at(9_600));
            lease.see(at(9_000));
        }
        lease.grant(second, 2_000);
        assert!(lease.remaining_ms(at(9_000)) < 2_000);
    }

    #[test]
    fn old_questions_are_forgotten() {
        let mut lease = Lease::default();
        let first = lease.ask(at(0));
        for _ in 0..OPEN_BEATS {
            lease.ask(at(0));
        }
        lease.grant(first, 1000);
        assert!(!lease.holds_at(at(0)));
    }
}
