//! What a caller remembers of the last set of revocations that was asked about it: that nothing in it concerns it. It holds no revocations.

use std::sync::atomic::{AtomicU64, Ordering};

/// Two sets of one edition hold the same revocations.
// INVARIANT: the empty set that nobody changed has edition 0; every change of any set takes a number never used in this process.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Edition(u64);

impl Edition {
    /// One that no set has.
    pub(crate) fn fresh() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Where a caller was last found clear: its scopes are in no way revoked there, whatever the time.
///
/// A statement about contents that never change, so it needs no order with other memory; `Relaxed` will do.
#[derive(Debug, Default)]
pub(crate) struct Clearance(AtomicU64);

impl Clearance {
    /// Whether it was found clear in `edition`.
    pub(crate) fn is_for(&self, edition: Edition) -> bool {
        self.0.load(Ordering::Relaxed) == edition.0
    }

    /// Remembers that it is clear in `edition`, and forgets the one before.
    pub(crate) fn give(&self, edition: Edition) {
        self.0.store(edition.0, Ordering::Relaxed);
    }
}

impl Clone for Clearance {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// The one thing all sets of a process share: editions must differ even between sets that never met.
static NEXT: AtomicU64 = AtomicU64::new(1);
