//! What one phase saw. It must not drop an observation: what is too slow for the histogram counts as its slowest.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::{CreationError, Histogram};

/// The result of one phase.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// How long the phase was.
    pub elapsed: Duration,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Arrivals that were due but never sent: the server did not keep up with the rate.
    pub unfinished: u64,
    latency: Histogram<u64>,
}

impl Measurement {
    /// Answers of any status.
    pub fn answers(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Answers per second.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn rate(&self) -> f64 {
        self.answers() as f64 / self.elapsed.as_secs_f64()
    }

    /// Answers with another status than 200.
    pub fn failures(&self) -> u64 {
        self.statuses.iter().filter(|(status, _)| **status != 200).map(|(_, count)| count).sum()
    }

    /// The latency that `percent` of the arrivals stayed within; none in a closed-loop phase.
    pub fn percentile(&self, percent: f64) -> Option<Duration> {
        (!self.latency.is_empty()).then(|| Duration::from_nanos(self.latency.value_at_percentile(percent)))
    }
}

/// Collects what the connections of one phase see.
#[derive(Debug)]
pub struct Recorder {
    // One thread records, so this lock is never waited for.
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    latency: Histogram<u64>,
    statuses: BTreeMap<u16, u64>,
    unfinished: u64,
}

impl Recorder {
    /// An empty record.
    ///
    /// # Errors
    /// Never in practice: the bounds are constants that the histogram accepts.
    pub fn new() -> Result<Self, CreationError> {
        let latency = Histogram::new_with_bounds(1, SLOWEST_NANOS, SIGNIFICANT_DIGITS)?;
        Ok(Self { seen: Mutex::new(Seen { latency, statuses: BTreeMap::new(), unfinished: 0 }) })
    }

    /// An answer came.
    pub fn answered(&self, status: u16) {
        *self.lock().statuses.entry(status).or_default() += 1;
    }

    /// An arrival was answered this long after it was due.
    pub fn took(&self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.lock().latency.saturating_record(nanos.max(1));
    }

    /// An arrival was still waiting when the phase ended, this long after it was due.
    pub fn unfinished(&self, waited: Duration) {
        self.took(waited);
        self.lock().unfinished += 1;
    }

    /// The result after a phase of `elapsed`.
    pub fn finish(&self, elapsed: Duration) -> Measurement {
        let seen = self.lock();
        Measurement {
            elapsed,
            statuses: seen.statuses.clone(),
            unfinished: seen.unfinished,
            latency: seen.latency.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const SIGNIFICANT_DIGITS: u8 = 3;
const SLOWEST_NANOS: u64 = 60_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_count_every_arrival_also_the_unfinished() {
        let recorder = Recorder::new().unwrap();
        for _ in 0..98 {
            recorder.answered(200);
            recorder.took(Duration::from_millis(1));
        }
        recorder.unfinished(Duration::from_secs(2));
        recorder.unfinished(Duration::from_secs(100));
        let measured = recorder.finish(Duration::from_secs(2));
        let close = |percent, millis: u128| {
            let got = measured.percentile(percent).unwrap().as_millis();
            assert!(got.abs_diff(millis) * 500 <= millis, "p{percent} is {got} ms, not {millis} ms");
        };
        close(50.0, 1);
        close(99.0, 2_000);
        close(100.0, 60_000);
        assert_eq!((measured.answers(), measured.unfinished), (98, 2));
        assert!((measured.rate() - 49.0).abs() < 1e-9);
    }

    #[test]
    fn every_status_but_200_is_a_failure() {
        let recorder = Recorder::new().unwrap();
        for status in [200, 200, 204, 403, 503] {
            recorder.answered(status);
        }
        let measured = recorder.finish(Duration::from_secs(1));
        assert_eq!((measured.answers(), measured.failures()), (5, 3));
        assert_eq!(measured.percentile(50.0), None);
    }
}
