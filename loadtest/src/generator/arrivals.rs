//! When each request is due. It must not look at what the server does: that is the whole point of an open loop.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A constant arrival rate for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    rate: NonZeroU32,
    duration: Duration,
}

impl Schedule {
    /// `rate` arrivals per second for `duration`.
    pub fn new(rate: NonZeroU32, duration: Duration) -> Self {
        Self { rate, duration }
    }

    /// How long arrivals keep coming.
    pub fn duration(self) -> Duration {
        self.duration
    }

    /// How many arrivals there are; at least one.
    pub fn total(self) -> u64 {
        let exact = self.duration.as_nanos() * u128::from(self.rate.get()) / NANOS_PER_SECOND;
        u64::try_from(exact).unwrap_or(u64::MAX).max(1)
    }

    /// How long after the start arrival number `index` (from 0) is due. Computed from the index each time, so that
    /// rounding never adds up to a drift.
    pub fn offset(self, index: u64) -> Duration {
        let nanos = u128::from(index) * NANOS_PER_SECOND / u128::from(self.rate.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// The arrivals of one phase, handed out in order to whichever connection is free.
#[derive(Debug)]
pub struct Arrivals {
    schedule: Schedule,
    start: Instant,
    next: AtomicU64,
}

impl Arrivals {
    /// The arrivals of `schedule`, the first of them due at `start`.
    pub fn new(schedule: Schedule, start: Instant) -> Self {
        Self { schedule, start, next: AtomicU64::new(0) }
    }

    /// The moment the next arrival is (or was) due; none when all are handed out or the phase's end is long past, because
    /// a server that can't keep up would otherwise hold the phase open for ever.
    pub fn claim(&self, now: Instant) -> Option<Instant> {
        if now > self.start + self.schedule.duration + CATCH_UP {
            return None;
        }
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < self.schedule.total()).then(|| self.start + self.schedule.offset(index))
    }

    /// The due moments of the arrivals that nobody claimed.
    pub fn unclaimed(&self) -> impl Iterator<Item = Instant> + '_ {
        let next = self.next.load(Ordering::Relaxed);
        (next..self.schedule.total()).map(|index| self.start + self.schedule.offset(index))
    }
}

/// How long a server may take after the end to get to the arrivals that are waiting.
const CATCH_UP: Duration = Duration::from_millis(500);
const NANOS_PER_SECOND: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(rate: u32, millis: u64) -> Schedule {
        Schedule::new(NonZeroU32::new(rate).unwrap(), Duration::from_millis(millis))
    }

    #[test]
    fn arrivals_are_evenly_spaced_and_do_not_drift() {
        let cases = [
            (1_000, 0, Duration::ZERO),
            (1_000, 1, Duration::from_millis(1)),
            (3, 1, Duration::from_nanos(333_333_333)),
            (3, 3_000_000, Duration::from_secs(1_000_000)),
            (7_777, 7_777 * 3_600, Duration::from_hours(1)),
        ];
        for (rate, index, expected) in cases {
            assert_eq!(schedule(rate, 1).offset(index), expected, "{rate}/s, arrival {index}");
        }
    }

    #[test]
    fn the_number_of_arrivals_is_rate_times_duration_and_never_zero() {
        for (rate, millis, expected) in [(1_000, 1_000, 1_000), (1_000, 250, 250), (3, 1_000, 3), (1, 10, 1)] {
            assert_eq!(schedule(rate, millis).total(), expected, "{rate}/s for {millis} ms");
        }
    }

    #[test]
    fn every_arrival_is_handed_out_once_and_in_order() {
        let start = Instant::now();
        let arrivals = Arrivals::new(schedule(100, 100), start);
        let due: Vec<_> = std::iter::from_fn(|| arrivals.claim(start)).collect();
        let expected: Vec<_> = (0..10).map(|n| start + Duration::from_millis(n * 10)).collect();
        assert_eq!(due, expected);
        assert_eq!(arrivals.unclaimed().count(), 0);
    }

    #[test]
    fn arrivals_left_at_the_end_are_not_forgotten() {
        let start = Instant::now();
        let arrivals = Arrivals::new(schedule(100, 100), start);
        assert!(arrivals.claim(start).is_some());
        assert!(arrivals.claim(start + Duration::from_millis(101)).is_some(), "it may still catch up");
        assert_eq!(arrivals.claim(start + Duration::from_millis(601)), None);
        assert_eq!(arrivals.unclaimed().count(), 8);
    }
}
