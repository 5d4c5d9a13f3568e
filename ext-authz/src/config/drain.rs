//! `drain`: how we leave.

use std::time::Duration;

use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
    tree::Node,
};

/// The end of a sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainConfig {
    /// For how long we go on answering after being told to stop.
    pub grace: Duration,
}

pub(super) const KNOBS: &[Knob] = &[Knob::new(
    "drain.grace",
    KnobDefault::Value("10s"),
    "Longest time for which requests are still answered after SIGTERM; less if none come.",
)];

impl DrainConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        Some(Self { grace: reader.value("drain.grace", grace)? })
    }
}

fn grace(node: &Node) -> Result<Duration, String> {
    scalar::duration(node, Duration::ZERO, Duration::from_mins(10))
}
