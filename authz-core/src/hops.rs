//! The verified callers behind the caller, as far as trust reaches; it proves nobody and allows nothing.

use std::sync::Arc;

use crate::{facts::Caller, identity::SpiffeId};

mod forwarders;
#[cfg(test)]
mod tests;
mod walk;

pub use self::{forwarders::Forwarders, walk::walk};

/// Who stands behind the caller, the nearest first, each verified like the caller itself.
#[derive(Clone, Debug)]
pub struct Chain {
    hops: Vec<Arc<Caller>>,
    reach: Reach,
}

/// Where trust in a chain ended.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Reach {
    /// The one who wrote the next claim is not among the configured forwarders, so the claim counts for nothing.
    Forwarder,
    /// At the origin: nothing is claimed beyond it.
    Origin,
    /// The next claim comes with no certificate, or with one that proves nothing.
    Proof,
    /// The next claim says that somebody else wrote it (`By`) than who must have.
    Writer,
}

impl Reach {
    /// Every one.
    pub const ALL: &[Self] = &[Self::Forwarder, Self::Origin, Self::Proof, Self::Writer];

    /// The name in audit, metrics and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forwarder => "no_forwarder",
            Self::Origin => "origin",
            Self::Proof => "unproven",
            Self::Writer => "wrong_writer",
        }
    }

    /// Reads the name back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reach| reach.as_str() == text)
    }
}

/// A caller with nobody behind it: the common case, so it costs nothing.
static DIRECT: Chain = Chain { hops: Vec::new(), reach: Reach::Origin };

impl Chain {
    /// Of `hops`, the nearest to the caller first.
    pub fn new(hops: Vec<Arc<Caller>>, reach: Reach) -> Self {
        Self { hops, reach }
    }

    /// Nobody behind the caller.
    pub fn direct() -> &'static Self {
        &DIRECT
    }

    /// The verified callers behind the caller, the nearest first.
    pub fn hops(&self) -> &[Arc<Caller>] {
        &self.hops
    }

    /// Where trust ended.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Connections the request is known to have crossed, ours included.
    pub fn count(&self) -> usize {
        self.hops.len().saturating_add(1)
    }

    /// Whether it is known to the workload that began.
    pub fn is_complete(&self) -> bool {
        self.reach == Reach::Origin
    }

    /// The workload that began, if trust reaches that far; `caller` itself if nobody stands behind it.
    pub fn origin<'a>(&'a self, caller: &'a Caller) -> Option<&'a SpiffeId> {
        let first = self.hops.last().map_or(caller, AsRef::as_ref);
        self.is_complete().then(|| first.credential().id())
    }
}
