//! `link`: what filters may do without asking.

use std::time::Duration;

use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
    tree::Node,
};

/// The bond with filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// For how long a filter may answer from memory without hearing from us.
    pub lease: Duration,
}

pub(super) const KNOBS: &[Knob] = &[Knob::new(
    "link.lease",
    KnobDefault::Value("3s"),
    "Longest time for which a filter that can't hear this sidecar still answers from memory: the bound on a missed revocation.",
)];

impl LinkConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        Some(Self { lease: reader.value("link.lease", lease)? })
    }
}

/// Filters act on ticks, so shorter than a few ticks means none; longer than minutes would be no bound.
fn lease(node: &Node) -> Result<Duration, String> {
    scalar::duration(node, Duration::from_millis(500), Duration::from_mins(5))
}
