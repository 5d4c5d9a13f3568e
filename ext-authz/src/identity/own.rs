//! The sidecar's own X.509-SVID: what it is, and the cell that holds the one in force. Where it comes from is its sources' business.

use std::{fmt, sync::Arc};

use authz_core::{
    identity::{Digest, SpiffeId},
    time::Timestamp,
};
use rustls::{
    crypto::ring,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio::sync::watch;

use super::{leaf::Leaf, refusal::Refusal};

/// An X.509-SVID with its private key, usable for TLS; it prints as its ID, never as its key.
pub struct OwnSvid {
    id: SpiffeId,
    digest: Digest,
    not_before: Timestamp,
    not_after: Timestamp,
    key: Arc<CertifiedKey>,
}

/// What can't serve as an SVID of our own.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidOwnSvid {
    /// There is no certificate.
    #[error("own SVID has no certificate, write the chain leaf first")]
    Empty,
    /// The private key is of no kind that TLS can use.
    #[error(
        "own SVID {id} has a private key that can't be used: {what}; write unencrypted PKCS#8, ECDSA P-256/P-384, Ed25519 or RSA"
    )]
    Key {
        /// Whose.
        id: SpiffeId,
        /// What is wrong.
        what: String,
    },
    /// The leaf breaks a rule for SVIDs.
    #[error("own SVID is none: {0}")]
    Leaf(Refusal),
    /// The key belongs to another certificate.
    #[error("own SVID {id} has a private key that belongs to another certificate; write both from one issuance")]
    Mismatch {
        /// Whose.
        id: SpiffeId,
    },
}

impl OwnSvid {
    /// From a chain, leaf first, and the leaf's key. Whether somebody will believe it is not asked; whether it is an SVID is.
    ///
    /// # Errors
    /// An empty chain, a leaf that is no X.509-SVID (X509-SVID §4-5), or a key that is not the leaf's.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'_>) -> Result<Self, InvalidOwnSvid> {
        let leaf = Leaf::read(chain.first().ok_or(InvalidOwnSvid::Empty)?).map_err(InvalidOwnSvid::Leaf)?;
        let id = leaf.id.clone();
        let signer = ring::sign::any_supported_type(key)
            .map_err(|error| InvalidOwnSvid::Key { id: id.clone(), what: error.to_string() })?;
        let key = CertifiedKey::new(chain, signer);
        key.keys_match().map_err(|_| InvalidOwnSvid::Mismatch { id: id.clone() })?;
        Ok(Self {
            id,
            digest: leaf.digest,
            not_before: leaf.validity.not_before,
            not_after: leaf.validity.not_after,
            key: Arc::new(key),
        })
    }

    /// Who we are.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// SHA-256 of the leaf's DER.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// First moment at which the leaf is valid.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Last moment at which the leaf is valid.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether anybody would accept it at `now`.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// For TLS.
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }

    /// For TLS, as server and as client: always this one, whatever the other end asks for.
    pub fn resolver(&self) -> SingleCertAndKey {
        SingleCertAndKey::from(self.certified_key())
    }
}

impl fmt::Debug for OwnSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnSvid").field("id", &self.id).field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

/// The SVID in force, if there is one; cheap to clone, all clones see the same.
#[derive(Clone, Debug)]
pub struct OwnIdentity(Arc<watch::Sender<Option<Arc<OwnSvid>>>>);

impl Default for OwnIdentity {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl OwnIdentity {
    /// Puts another SVID in force, or takes it away: from then on no new connection uses the old one.
    pub fn set(&self, svid: Option<Arc<OwnSvid>>) {
        self.0.send_replace(svid);
    }

    /// The SVID in force.
    pub fn current(&self) -> Option<Arc<OwnSvid>> {
        self.0.borrow().clone()
    }

    /// A receiver that wakes whenever it changes.
    pub fn subscribe(&self) -> watch::Receiver<Option<Arc<OwnSvid>>> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, KeyUsagePurpose};
    use rustls_pki_types::PrivatePkcs8KeyDer;

    use super::*;
    use crate::identity::test_pki::{Ca, now};

    fn key_of(pair: &KeyPair) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()))
    }

    #[test]
    fn a_leaf_with_its_own_key_is_an_svid_and_prints_no_key() {
        let (ca, pair) = (Ca::root("root"), KeyPair::generate().unwrap());
        let svid = OwnSvid::new(vec![ca.leaf_for(&pair, |_| ())], &key_of(&pair)).unwrap();
        assert_eq!(svid.id().as_str(), "spiffe://td/web");
        assert!(svid.holds_at(now()) && !svid.holds_at(now().saturating_add_millis(2 * 3_600_000)));
        assert!(!format!("{svid:?}").contains("key"));
    }

    #[test]
    fn what_is_no_svid_or_not_ours_is_refused() {
        let (ca, pair) = (Ca::root("root"), KeyPair::generate().unwrap());
        let other = key_of(&KeyPair::generate().unwrap());
        assert_eq!(OwnSvid::new(Vec::new(), &other).unwrap_err(), InvalidOwnSvid::Empty);
        let mismatch = OwnSvid::new(vec![ca.leaf_for(&pair, |_| ())], &other).unwrap_err();
        assert!(matches!(mismatch, InvalidOwnSvid::Mismatch { .. }), "{mismatch}");
        let ca_like = ca.leaf_for(&pair, |params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign]);
        assert!(matches!(OwnSvid::new(vec![ca_like], &key_of(&pair)).unwrap_err(), InvalidOwnSvid::Leaf(_)));
    }

    #[tokio::test]
    async fn whoever_waits_hears_of_another_svid() {
        let (ca, pair) = (Ca::root("root"), KeyPair::generate().unwrap());
        let own = OwnIdentity::default();
        let mut changes = own.subscribe();
        assert!(own.current().is_none());
        own.set(Some(Arc::new(OwnSvid::new(vec![ca.leaf_for(&pair, |_| ())], &key_of(&pair)).unwrap())));
        changes.changed().await.unwrap();
        assert!(own.clone().current().is_some());
    }
}
