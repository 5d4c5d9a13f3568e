//! The workloads whose word about their own caller counts; it reads no header.

use crate::identity::{IdPattern, SpiffeId};

/// Proxies that forward for others: exact IDs, or whole-segment prefixes. Empty: nobody's word counts, no chain is followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarders(Box<[IdPattern]>);

impl Forwarders {
    /// These; order and repetition don't matter.
    pub fn new(patterns: impl IntoIterator<Item = IdPattern>) -> Self {
        let mut patterns: Vec<IdPattern> = patterns.into_iter().collect();
        patterns.sort_unstable();
        patterns.dedup();
        Self(patterns.into())
    }

    /// Whether `id` is one of them.
    pub fn contain(&self, id: &SpiffeId) -> bool {
        self.0.iter().any(|pattern| pattern.matches(id))
    }

    /// All of them, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &IdPattern> {
        self.0.iter()
    }
}
