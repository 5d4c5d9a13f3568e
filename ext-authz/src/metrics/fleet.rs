//! What is counted about the stream of a fleet; every label value is there from the start. It measures nothing itself.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::maker::Maker;
use crate::signals::fleet::follower::Refusal;

/// Handles of the metrics of a fleet.
pub struct FleetMetrics {
    /// 1 while the stream is followed.
    pub connected: IntGauge,
    /// Connections to it, by what became of them.
    pub connects: IntCounterVec,
    /// Its end.
    pub end: IntGauge,
    /// Signals that were published again.
    pub publish_retries: IntCounter,
    /// Times it was refused, by why.
    pub refusals: IntCounterVec,
    /// 1 while it is refused.
    pub refused: IntGauge,
}

impl FleetMetrics {
    pub(super) fn new(make: &Maker<'_>) -> Result<Self, prometheus::Error> {
        let connects = make.counters("countersign_fleet_connects_total", &["result"])?;
        for result in ["connected", "failed", "lost"] {
            connects.with_label_values(&[result]);
        }
        let refusals = make.counters("countersign_fleet_refusals_total", &["reason"])?;
        for reason in Refusal::NAMES {
            refusals.with_label_values(&[reason]);
        }
        Ok(Self {
            connected: make.gauge("countersign_fleet_connected")?,
            connects,
            end: make.gauge("countersign_fleet_end_seq")?,
            publish_retries: make.counter("countersign_fleet_publish_retries_total")?,
            refusals,
            refused: make.gauge("countersign_fleet_refused")?,
        })
    }
}
