//! `cache`: how many decisions are remembered.

use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
    tree::Node,
};

/// The cache of decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// How many decisions it holds at most; 0 for none.
    pub max_decisions: u64,
}

pub(super) const KNOBS: &[Knob] = &[Knob::new(
    "cache.max_decisions",
    KnobDefault::Value("100000"),
    "Most decisions that are remembered, a few hundred bytes each; 0 remembers none.",
)];

impl CacheConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        Some(Self { max_decisions: reader.value("cache.max_decisions", count)? })
    }
}

fn count(node: &Node) -> Result<u64, String> {
    scalar::number(node, 0, 100_000_000)
}
