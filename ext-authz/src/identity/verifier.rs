//! The one door to identity: what was presented in, a verified caller or a reason out. Revocation is not asked here but at the gate, every time.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use authz_core::{
    facts::Caller,
    hops::{Forwarders, walk},
    identity::{Credential, Element, Limits},
    reason::Reason,
    time::Timestamp,
};
use rustls_pki_types::CertificateDer;

use super::{
    bundle::{Bundles, TrustDigest},
    identified::Identified,
    memo::{Memo, key_of_chain, key_of_presented},
    presented::{Chain, PresentedCertificate, carried},
    refusal::Refusal,
    svid::{self, Proof},
    validity::Validity,
};

/// Verifies what connections present, against bundles that may be replaced at any time.
pub struct Verifier {
    trust: ArcSwap<Trust>,
    forwarding: Forwarding,
    memo: Memo,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// How much of `x-forwarded-client-cert` is believed, and of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarding {
    /// Whether the leaf may come from that header alone.
    pub trust_xfcc: bool,
    /// Whose word about their own callers counts.
    pub forwarders: Forwarders,
    /// What is read of the header before it is refused.
    pub limits: Limits,
}

impl Default for Forwarding {
    /// Believes nobody, and reads a bit more than Envoy takes as headers of one request by default (60 KiB).
    fn default() -> Self {
        let limits = Limits { max_bytes: 64 * 1024, max_elements: 16 };
        Self { trust_xfcc: false, forwarders: Forwarders::default(), limits }
    }
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
    /// A verifier for these bundles.
    pub fn new(bundles: Bundles, forwarding: Forwarding) -> Self {
        Self {
            trust: ArcSwap::from_pointee(Trust { bundles, generation: 1 }),
            forwarding,
            memo: Memo::new(MEMO_BYTES),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Who `presented` proves to be on the other end at `now`, and who is behind it as far as trust reaches.
    ///
    /// # Errors
    /// A reason of class identity, with words for the log.
    pub fn verify(&self, presented: &PresentedCertificate<'_>, now: Timestamp) -> Result<Identified, Refusal> {
        if presented.is_empty() {
            return Err(Refusal::new(Reason::CertificateMissing, "nothing was presented"));
        }
        // Loaded once: what is verified under it is also kept under it, whatever replaces it meanwhile.
        let trust = self.trust.load();
        let key = key_of_presented(presented);
        if let Some((identified, _)) = self.memo.get(&key, trust.generation, now) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(identified);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let (identified, window) = self.read(presented, &trust, now)?;
        self.memo.keep(key, trust.generation, identified.clone(), window);
        Ok(identified)
    }

    fn read(
        &self,
        presented: &PresentedCertificate<'_>,
        trust: &Trust,
        now: Timestamp,
    ) -> Result<(Identified, Validity), Refusal> {
        let Forwarding { trust_xfcc, forwarders, limits } = &self.forwarding;
        let presentation = presented.read(*trust_xfcc, *limits)?;
        let (caller, mut window) = self.proven(&presentation.certificates, trust, now)?;
        let chain = walk(&caller, presentation.earlier(), forwarders, |element| {
            match self.hop(element, trust, now) {
                Ok((hop, valid)) => {
                    window = window.and(valid);
                    Some(hop)
                }
                Err(refusal) => {
                    tracing::debug!(reason = %refusal.reason(), detail = refusal.detail(), "a hop behind the caller is not proven");
                    // It may be with time: what is not valid yet ends the walk only for now.
                    window = window.until(refusal.claim().map(Credential::not_before), now);
                    None
                }
            }
        });
        Ok((Identified::behind(caller, chain), window))
    }

    /// Verifies what an earlier element says of its subject, like a caller of our own.
    fn hop(&self, element: &Element, trust: &Trust, now: Timestamp) -> Result<(Arc<Caller>, Validity), Refusal> {
        let (hop, window) = self.proven(&carried(element)?, trust, now)?;
        if element.uris().all(|uri| uri == hop.credential().id().as_str()) {
            return Ok((hop, window));
        }
        Err(Refusal::new(Reason::CertificateMismatch, "URI of an XFCC element is not that of its certificate"))
    }

    /// Verifies one certificate; known ones are known until they expire or a bundle changes.
    fn proven(&self, chain: &Chain, trust: &Trust, now: Timestamp) -> Result<(Arc<Caller>, Validity), Refusal> {
        let key = key_of_chain(chain);
        if let Some((identified, window)) = self.memo.get(&key, trust.generation, now) {
            return Ok((Arc::clone(identified.caller()), window));
        }
        let Proof { caller, window } = svid::verify(&chain.leaf, &chain.intermediates, &trust.bundles, now)?;
        self.memo.keep(key, trust.generation, Identified::direct(Arc::clone(&caller)), window);
        Ok((caller, window))
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

    /// Names all that identities rest on: the bundles in force, and whose word about others counts.
    pub fn digest(&self) -> TrustDigest {
        let forwarders = self.forwarding.forwarders.iter().map(ToString::to_string);
        self.trust.load().bundles.digest().with(forwarders)
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
