//! Trust bundles: the authorities of a trust domain, parsed once and then immutable. Bundles of different domains are never merged.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use authz_core::{
    identity::{SpiffeId, TrustDomain},
    time::Timestamp,
};
use rustls_pki_types::{CertificateDer, TrustAnchor};
use sha2::{Digest, Sha256};

use super::{der, pem, validity::Validity};

mod authority;
mod error;
mod json;
mod jwks;

pub use error::InvalidBundle;

/// The X.509 authorities of one trust domain. None at all is a bundle too: it revokes every SVID of the domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    // INVARIANT: as many validities as anchors, in the same order.
    anchors: Box<[TrustAnchor<'static>]>,
    validities: Box<[Validity]>,
    intermediates: Box<[CertificateDer<'static>]>,
    sequence: Option<u64>,
    refresh_hint: Option<Duration>,
}

impl Bundle {
    /// Reads PEM with one certificate or more, or a SPIFFE bundle (JSON, SPIFFE Trust Domain and Bundle §4), whichever it is.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidBundle> {
        if bytes.len() > MAX_BUNDLE_BYTES {
            return Err(InvalidBundle::TooLong { bytes: bytes.len() });
        }
        let text = str::from_utf8(bytes).map_err(|error| InvalidBundle::NotText { offset: error.valid_up_to() })?;
        if text.trim_start().starts_with('{') { jwks::parse(text) } else { Self::from_pem(text) }
    }

    /// Reads a SPIFFE bundle only, as endpoints serve it (SPIFFE Federation §5): PEM is none.
    pub fn parse_spiffe(bytes: &[u8]) -> Result<Self, InvalidBundle> {
        if bytes.len() > MAX_BUNDLE_BYTES {
            return Err(InvalidBundle::TooLong { bytes: bytes.len() });
        }
        let text = str::from_utf8(bytes)
            .map_err(|error| InvalidBundle::Json { what: format!("byte {} is not UTF-8", error.valid_up_to()) })?;
        jwks::parse(text)
    }

    /// The same bundle with CA certificates, PEM, that may stand between a leaf and an authority but are none.
    ///
    /// # Errors
    /// PEM that can't be read, holds no certificate or too many, or one that is no CA.
    pub fn with_intermediates(self, pem: &[u8]) -> Result<Self, InvalidBundle> {
        let text = str::from_utf8(pem).map_err(|error| InvalidBundle::NotText { offset: error.valid_up_to() })?;
        let certificates = pem::certificates(text, MAX_INTERMEDIATES)?;
        if certificates.is_empty() {
            return Err(InvalidBundle::NoCertificate);
        }
        for (certificate, position) in certificates.iter().zip(1..) {
            authority::check_intermediate(&format!("intermediate {position}"), certificate)?;
        }
        Ok(Self { intermediates: certificates.into(), ..self })
    }

    fn from_pem(text: &str) -> Result<Self, InvalidBundle> {
        let certificates = pem::certificates(text, MAX_AUTHORITIES)?;
        if certificates.is_empty() {
            return Err(InvalidBundle::NoCertificate);
        }
        let places = (1..).map(|position| format!("certificate {position}"));
        Self::of(places.zip(&certificates), None, None)
    }

    /// Reads certificates in DER, one after the other, as the Workload API gives them. None at all revokes everything of the domain.
    ///
    /// # Errors
    /// What is no certificate, or none that may be an authority.
    pub fn from_der(bytes: &[u8]) -> Result<Self, InvalidBundle> {
        if bytes.len() > MAX_BUNDLE_BYTES {
            return Err(InvalidBundle::TooLong { bytes: bytes.len() });
        }
        let certificates = der::certificates(bytes, MAX_AUTHORITIES)?;
        let places = (1..).map(|position| format!("certificate {position}"));
        Self::of(places.zip(&certificates), None, None)
    }

    /// From certificates, each with the words for where it stands.
    fn of<'a>(
        certificates: impl Iterator<Item = (String, &'a CertificateDer<'static>)>,
        sequence: Option<u64>,
        refresh_hint: Option<Duration>,
    ) -> Result<Self, InvalidBundle> {
        let authorities = certificates.map(|(place, certificate)| authority::read(&place, certificate));
        let (anchors, validities): (Vec<_>, Vec<_>) = authorities.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let (anchors, validities) = (anchors.into(), validities.into());
        Ok(Self { anchors, validities, intermediates: Box::default(), sequence, refresh_hint })
    }

    /// How many authorities it has.
    pub fn authorities(&self) -> usize {
        self.anchors.len()
    }

    /// `spiffe_sequence`, which grows with each change (SPIFFE Trust Domain and Bundle §4.1.1).
    pub fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// `spiffe_refresh_hint`: how often the publisher wants us to look (§4.1.2).
    pub fn refresh_hint(&self) -> Option<Duration> {
        self.refresh_hint
    }

    /// Whether it has the authorities and intermediates of `other`, whatever its sequence and refresh hint.
    pub fn trusts_as(&self, other: &Self) -> bool {
        self.anchors == other.anchors
            && self.validities == other.validities
            && self.intermediates == other.intermediates
    }

    /// When the last of its authorities ends; `None` if it has none.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.validities.iter().map(|validity| validity.not_after).max()
    }

    /// CA certificates that may stand between a leaf and an anchor.
    pub(super) fn intermediates(&self) -> &[CertificateDer<'static>] {
        &self.intermediates
    }

    pub(super) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// For how long an anchor of this bundle is itself valid; two with one name and key are told apart by where they are.
    pub(super) fn validity_of(&self, anchor: &TrustAnchor<'_>) -> Option<Validity> {
        let position = self.anchors.iter().position(|ours| std::ptr::addr_eq(ours, anchor))?;
        self.validities.get(position).copied()
    }
}

/// The bundle of each trust domain, cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundles(Arc<BTreeMap<TrustDomain, Arc<Bundle>>>);

impl Bundles {
    /// One bundle for each trust domain.
    pub fn new(bundles: impl IntoIterator<Item = (TrustDomain, Arc<Bundle>)>) -> Self {
        Self(Arc::new(bundles.into_iter().collect()))
    }

    /// The bundle of this trust domain.
    pub fn get(&self, trust_domain: &TrustDomain) -> Option<&Arc<Bundle>> {
        self.0.get(trust_domain)
    }

    /// The bundle of the trust domain that `id` belongs to.
    pub fn of(&self, id: &SpiffeId) -> Option<&Bundle> {
        self.0.get(id.trust_domain()).map(Arc::as_ref)
    }

    /// Their name.
    pub fn digest(&self) -> TrustDigest {
        let mut hash = Sha256::new();
        for (trust_domain, bundle) in self.iter() {
            put(&mut hash, trust_domain.as_str().as_bytes());
            hash.update(u64::try_from(bundle.anchors.len()).unwrap_or(u64::MAX).to_be_bytes());
            for (anchor, validity) in bundle.anchors.iter().zip(&bundle.validities) {
                put(&mut hash, &anchor.subject);
                put(&mut hash, &anchor.subject_public_key_info);
                put(&mut hash, anchor.name_constraints.as_deref().unwrap_or_default());
                hash.update(validity.not_before.as_millis().to_be_bytes());
                hash.update(validity.not_after.as_millis().to_be_bytes());
            }
            hash.update(u64::try_from(bundle.intermediates.len()).unwrap_or(u64::MAX).to_be_bytes());
            bundle.intermediates.iter().for_each(|certificate| put(&mut hash, certificate));
        }
        TrustDigest(hash.finalize().into())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&TrustDomain, &Bundle)> {
        self.0.iter().map(|(trust_domain, bundle)| (trust_domain, bundle.as_ref()))
    }
}

/// Names a set of bundles: SHA-256 over all that verification looks at. Others have another name, in every process.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct TrustDigest(pub [u8; 32]);

impl TrustDigest {
    /// Names these bundles together with some words.
    pub(super) fn with(self, words: impl Iterator<Item = String>) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        words.for_each(|word| put(&mut hash, word.as_bytes()));
        Self(hash.finalize().into())
    }
}

fn put(hash: &mut Sha256, part: &[u8]) {
    hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(part);
}

/// Most bytes of one bundle; also what a reader of bundle files needs to read at most.
pub(super) const MAX_BUNDLE_BYTES: usize = 4 * 1024 * 1024;

/// Most authorities of one trust domain: each may have to be tried for each signature.
const MAX_AUTHORITIES: usize = 1000;

/// Most intermediates of one trust domain: path building tries them for each link of a chain.
const MAX_INTERMEDIATES: usize = 64;

#[cfg(test)]
mod tests;
