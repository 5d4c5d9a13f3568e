//! Verifications already done, by the very bytes that were presented. It answers only within the time and under the bundles they were done for.

use authz_core::time::Timestamp;
use hashbrown::DefaultHashBuilder;
use moka::sync::Cache;
use rustls_pki_types::CertificateDer;

use super::{
    identified::Identified,
    presented::{Chain, PresentedCertificate},
    validity::Validity,
};

/// A bounded memory of proofs. Refusals are not kept: nobody's stranger can push out a caller.
pub(super) struct Memo {
    proofs: Cache<Key, Entry, DefaultHashBuilder>,
}

/// The bytes themselves and not a digest: comparing them is cheaper than hashing them in a way that can't be forged.
pub(super) type Key = Box<[u8]>;

#[derive(Clone)]
struct Entry {
    identified: Identified,
    window: Validity,
    generation: u64,
}

impl Memo {
    /// An empty memory of at most `max_bytes`, counted by keys.
    pub(super) fn new(max_bytes: u64) -> Self {
        let proofs = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|key: &Key, _: &Entry| u32::try_from(key.len()).unwrap_or(u32::MAX).saturating_add(ENTRY_BYTES))
            .build_with_hasher(DefaultHashBuilder::default());
        Self { proofs }
    }

    /// Whom `key` proved under the bundles of `generation`, if that holds at `now`.
    pub(super) fn get(&self, key: &[u8], generation: u64, now: Timestamp) -> Option<(Identified, Validity)> {
        let entry = self.proofs.get(key)?;
        let holds = entry.generation == generation && entry.window.contains(now);
        holds.then_some((entry.identified, entry.window))
    }

    /// Keeps whom `key` proved under the bundles of `generation`, for as long as `window`.
    pub(super) fn keep(&self, key: Key, generation: u64, identified: Identified, window: Validity) {
        self.proofs.insert(key, Entry { identified, window, generation });
    }

    /// Frees what no lookup would use any more; safety does not rest on it.
    pub(super) fn clear(&self) {
        self.proofs.invalidate_all();
    }
}

/// The key of what arrived, before anybody looked into it.
pub(super) fn key_of_presented(presented: &PresentedCertificate<'_>) -> Key {
    let certificate = presented.source_certificate.unwrap_or_default().as_bytes();
    joined(AS_PRESENTED, [certificate].into_iter().chain(presented.xfcc.iter().copied()))
}

/// The key of what it meant: behind forwarding proxies the same certificates come with ever other elements to the left of them.
pub(super) fn key_of_chain(chain: &Chain) -> Key {
    let Chain { leaf, intermediates } = chain;
    joined(AS_READ, [leaf].into_iter().chain(intermediates).map(CertificateDer::as_ref))
}

/// Parts with their lengths before them, so that no two lists of parts are the same bytes.
fn joined<'a>(kind: u8, parts: impl Iterator<Item = &'a [u8]> + Clone) -> Key {
    let length = parts.clone().map(|part| part.len() + size_of::<usize>()).sum::<usize>();
    let mut bytes = Vec::with_capacity(length + 1);
    bytes.push(kind);
    for part in parts {
        bytes.extend_from_slice(&part.len().to_ne_bytes());
        bytes.extend_from_slice(part);
    }
    bytes.into_boxed_slice()
}

const AS_PRESENTED: u8 = 0;
const AS_READ: u8 = 1;

/// About what an entry takes besides its key: caller, scopes, the cache's own nodes.
const ENTRY_BYTES: u32 = 2048;
