//! What one filter VM counts about itself, added to the sums of all; it books no decision, that is the audit's business.

use std::sync::Arc;

use crate::{metrics::Metrics, wire::link::Gauges};

/// The last counts of one stream. Its drop takes the filter's sizes out of the sums again.
pub struct Vitals {
    metrics: Arc<Metrics>,
    last: Option<Gauges>,
}

impl Vitals {
    /// Of a filter that has said nothing yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, last: None }
    }

    /// Adds what has happened since the last counts; the first ones of a stream are where counting begins.
    pub fn take(&mut self, now: Gauges) {
        let last = self.last.replace(now).unwrap_or(Gauges { cached_decisions: 0, open_streams: 0, ..now });
        let events = [
            ("deny", now.denied, last.denied),
            ("miss", now.misses, last.misses),
            ("reset", now.resets, last.resets),
            ("stale", now.stale, last.stale),
        ];
        for (event, now, last) in events {
            self.metrics.filter_events.with_label_values(&[event]).inc_by(now.saturating_sub(last));
        }
        self.metrics.filter_cached.add(signed(now.cached_decisions) - signed(last.cached_decisions));
        self.metrics.filter_streams.add(signed(now.open_streams) - signed(last.open_streams));
    }
}

impl Drop for Vitals {
    fn drop(&mut self) {
        let Some(last) = self.last else { return };
        self.metrics.filter_cached.sub(signed(last.cached_decisions));
        self.metrics.filter_streams.sub(signed(last.open_streams));
    }
}

/// A count a filter sent, small enough to be added and taken away without overflow.
fn signed(count: u64) -> i64 {
    i64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_follow_each_filter_and_forget_those_that_are_gone() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let counts = |misses, cached_decisions| Gauges { misses, cached_decisions, ..Gauges::default() };
        let missed = || metrics.filter_events.with_label_values(&["miss"]).get();
        let (mut one, mut two) = (Vitals::new(Arc::clone(&metrics)), Vitals::new(Arc::clone(&metrics)));
        one.take(counts(100, 5));
        two.take(counts(0, 2));
        assert_eq!((missed(), metrics.filter_cached.get()), (0, 7), "what was before the stream is not counted again");
        one.take(counts(103, 4));
        assert_eq!((missed(), metrics.filter_cached.get()), (3, 6));
        one.take(counts(1, u64::MAX));
        assert_eq!(missed(), 3, "a count that goes back adds nothing");
        drop((one, two));
        assert_eq!(metrics.filter_cached.get(), 0);
    }
}
