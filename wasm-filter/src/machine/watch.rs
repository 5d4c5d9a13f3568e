//! When to open the Watch stream, when to give it up and when to send what; it opens and sends nothing itself.

use authz_core::time::Timestamp;

/// The life of the stream as far as time matters.
#[derive(Clone, Hash)]
pub struct Watch {
    state: State,
    backoff_ms: u64,
    next_beat: Timestamp,
    next_flush: Timestamp,
    heard: Timestamp,
    good: bool,
}

#[derive(Copy, Clone, Hash)]
enum State {
    /// Not open; not tried again before this moment.
    Down(Timestamp),
    Up,
}

/// What is due at a tick.
#[derive(PartialEq, Eq, Debug)]
pub enum Due {
    /// Open the stream.
    Connect,
    /// Give the stream up: it is open, but nobody answers.
    GiveUp,
    /// Nothing, the stream is down.
    Nothing,
    /// Send what is due on the open stream.
    Send {
        /// A question for a lease.
        beat: bool,
        /// Counts.
        flush: bool,
    },
}

const FIRST_BACKOFF_MS: u64 = 100;
const MAX_BACKOFF_MS: u64 = 1000;
/// How often counts go up.
const FLUSH_MS: u64 = 1000;
/// A stream on which nothing came for so long, or for four leases if that is longer, is given up.
const SILENCE_MS: u64 = 5000;

impl Default for Watch {
    fn default() -> Self {
        let now = Timestamp::default();
        let state = State::Down(now);
        Self { state, backoff_ms: FIRST_BACKOFF_MS, next_beat: now, next_flush: now, heard: now, good: false }
    }
}

impl Watch {
    /// What is due now, if leases are asked for every `interval_ms`.
    pub fn due(&mut self, now: Timestamp, interval_ms: u64) -> Due {
        match self.state {
            State::Down(until) if now < until => Due::Nothing,
            State::Down(_) => Due::Connect,
            State::Up if now.millis_since(self.heard) > SILENCE_MS.max(interval_ms.saturating_mul(16)) => Due::GiveUp,
            State::Up => Due::Send { beat: self.next_beat <= now, flush: self.next_flush <= now },
        }
    }

    /// The stream was opened and a question for a lease sent with it.
    pub fn opened(&mut self, now: Timestamp, interval_ms: u64) {
        self.state = State::Up;
        self.heard = now;
        self.next_flush = now;
        self.beaten(now, interval_ms);
    }

    /// A question for a lease was sent.
    pub fn beaten(&mut self, now: Timestamp, interval_ms: u64) {
        self.next_beat = now.saturating_add_millis(interval_ms);
    }

    /// It became known how often to ask for a lease.
    pub fn beat_within(&mut self, now: Timestamp, interval_ms: u64) {
        self.next_beat = self.next_beat.min(now.saturating_add_millis(interval_ms));
    }

    /// Counts were sent.
    pub fn flushed(&mut self, now: Timestamp) {
        self.next_flush = now.saturating_add_millis(FLUSH_MS);
    }

    /// Something came down the stream, so it is good; returns whether it is the first on this stream.
    pub fn hear(&mut self, now: Timestamp) -> bool {
        self.heard = now;
        self.backoff_ms = FIRST_BACKOFF_MS;
        !std::mem::replace(&mut self.good, true)
    }

    /// The stream is gone, or could not be opened; returns whether anything had ever come down it.
    pub fn closed(&mut self, now: Timestamp) -> bool {
        self.state = State::Down(now.saturating_add_millis(self.backoff_ms));
        self.backoff_ms = self.backoff_ms.saturating_mul(2).min(MAX_BACKOFF_MS);
        std::mem::take(&mut self.good)
    }

    /// The clock stepped back: moments to come would not come for long.
    pub fn clock_stepped_back(&mut self, now: Timestamp) {
        if let State::Down(_) = self.state {
            self.state = State::Down(now);
        }
        self.next_beat = now;
        self.next_flush = now;
        self.heard = now;
    }

    /// Whether the stream is open.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn it_connects_at_once_and_then_ever_more_slowly_until_it_hears_something() {
        let mut watch = Watch::default();
        let mut now = 1_000_000;
        assert_eq!(watch.due(at(now), 500), Due::Connect);
        for wait in [100, 200, 400, 800, 1000, 1000] {
            watch.opened(at(now), 500);
            watch.closed(at(now));
            assert_eq!(watch.due(at(now + wait - 1), 500), Due::Nothing, "{wait}");
            now += wait;
            assert_eq!(watch.due(at(now), 500), Due::Connect, "{wait}");
        }
        watch.opened(at(now), 500);
        watch.hear(at(now));
        watch.closed(at(now));
        assert_eq!(watch.due(at(now + 100), 500), Due::Connect);
    }

    #[test]
    fn beats_and_counts_have_their_own_times() {
        let mut watch = Watch::default();
        watch.opened(at(0), 250);
        assert_eq!(watch.due(at(0), 250), Due::Send { beat: false, flush: true });
        watch.flushed(at(0));
        assert_eq!(watch.due(at(249), 250), Due::Send { beat: false, flush: false });
        assert_eq!(watch.due(at(250), 250), Due::Send { beat: true, flush: false });
        watch.beaten(at(250), 250);
        assert_eq!(watch.due(at(499), 250), Due::Send { beat: false, flush: false });
        assert_eq!(watch.due(at(1000), 250), Due::Send { beat: true, flush: true });
    }

    #[test]
    fn a_silent_stream_is_given_up() {
        let mut watch = Watch::default();
        watch.opened(at(0), 100);
        assert!(matches!(watch.due(at(5000), 100), Due::Send { .. }));
        assert_eq!(watch.due(at(5001), 100), Due::GiveUp);
        assert!(matches!(watch.due(at(5001), 1000), Due::Send { .. }), "long leases are patient");
        watch.hear(at(5001));
        assert!(matches!(watch.due(at(5001), 100), Due::Send { .. }));
    }

    #[test]
    fn a_clock_that_steps_back_delays_nothing() {
        let mut watch = Watch::default();
        watch.closed(at(1_000_000));
        watch.clock_stepped_back(at(10));
        assert_eq!(watch.due(at(10), 500), Due::Connect);
    }
}
