//! The one door to identity: what was presented in, a verified caller or a reason out. Revocation is not asked here but at the gate, every time.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use authz_core::{facts::Caller, reason::Reason, time::Timestamp};
use rustls_pki_types::CertificateDer;

use super::{
    bundle::Bundles,
    memo::{Memo, key_of_chain, key_of_presented},
    presented::PresentedCertificate,
    refusal::Refusal,
    svid,
};

/// Verifies what connections present, against bundles that may be replaced at any time.
pub struct Verifier {
    trust: ArcSwap<Trust>,
    trust_xfcc: bool,
    memo: Memo,
    hits: AtomicU64,
    misses: AtomicU64,
}

struct Trust {
    bundles: Bundles,
    generation: u64,
}

/// How often a verification could be remembered, since the start.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct MemoCounts {
    /// Callers answered from memory.
    pub hits: u64,
    /// What had to be read and verified, refusals included.
    pub misses: u64,
}

impl Verifier {
    /// A verifier for these bundles. With `trust_xfcc` the leaf may come from `x-forwarded-client-cert` alone.
    pub fn new(bundles: Bundles, trust_xfcc: bool) -> Self {
        Self {
            trust: ArcSwap::from_pointee(Trust { bundles, generation: 1 }),
            trust_xfcc,
            memo: Memo::new(MEMO_BYTES),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Who `presented` proves to be on the other end at `now`.
    ///
    /// # Errors
    /// A reason of class identity.
    pub fn verify(&self, presented: &PresentedCertificate<'_>, now: Timestamp) -> Result<Arc<Caller>, Reason> {
        self.verify_or_explain(presented, now).map_err(|refusal| {
            tracing::debug!(reason = %refusal.reason(), detail = refusal.detail(), "certificate refused");
            refusal.reason()
        })
    }

    /// As [`Verifier::verify`], with the refusal in words.
    pub fn verify_or_explain(
        &self,
        presented: &PresentedCertificate<'_>,
        now: Timestamp,
    ) -> Result<Arc<Caller>, Refusal> {
        if presented.is_empty() {
            return Err(Refusal::new(Reason::CertificateMissing, "nothing was presented"));
        }
        // Loaded once: what is verified under it is also kept under it, whatever replaces it meanwhile.
        let trust = self.trust.load();
        let key = key_of_presented(presented);
        if let Some(caller) = self.memo.get(&key, trust.generation, now) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(caller);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let chain = presented.chain(self.trust_xfcc)?;
        let chain_key = key_of_chain(&chain);
        if let Some(caller) = self.memo.get(&chain_key, trust.generation, now) {
            return Ok(caller);
        }
        let proof = svid::verify(&chain.leaf, &chain.intermediates, &trust.bundles, now)?;
        self.memo.keep(chain_key, trust.generation, proof.clone());
        self.memo.keep(key, trust.generation, proof.clone());
        Ok(proof.caller)
    }

    /// Who the other end of a TLS connection of our own proves to be, by the chain it presented there, leaf first.
    ///
    /// # Errors
    /// A reason of class identity, with words for the log.
    pub fn verify_peer(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<Arc<Caller>, Refusal> {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Err(Refusal::new(Reason::CertificateMissing, "the connection carries no certificate"));
        };
        svid::verify(leaf, intermediates, &self.trust.load().bundles, now).map(|proof| proof.caller)
    }

    /// Puts other bundles in force and gives their generation; nothing verified under older ones is remembered any more.
    #[expect(clippy::needless_pass_by_value, reason = "whoever replaces bundles is done with them")]
    pub fn replace(&self, bundles: Bundles) -> u64 {
        let old = self.trust.rcu(|old| Trust { bundles: bundles.clone(), generation: old.generation + 1 });
        self.memo.clear();
        old.generation + 1
    }

    /// The bundles in force.
    pub fn bundles(&self) -> Bundles {
        self.trust.load().bundles.clone()
    }

    /// Grows with each [`Verifier::replace`].
    pub fn generation(&self) -> u64 {
        self.trust.load().generation
    }

    /// How well the memory works.
    pub fn memo_counts(&self) -> MemoCounts {
        MemoCounts { hits: self.hits.load(Ordering::Relaxed), misses: self.misses.load(Ordering::Relaxed) }
    }
}

/// Room for about 4,000 callers with chains of common size.
const MEMO_BYTES: u64 = 32 * 1024 * 1024;

#[cfg(test)]
mod tests;
