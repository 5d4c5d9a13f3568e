//! Authorities and leaves for unit tests of identity, each correct until a test bends it. The tests of the whole use the PKI of `countersign-tests`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;

use authz_core::{identity::TrustDomain, time::Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;

use super::{Bundle, Bundles};

/// When tests take place, in seconds since 1970.
pub(super) const NOW: u64 = 1_800_000_000;

/// That moment.
pub(super) fn now() -> Timestamp {
    Timestamp::from_secs(NOW)
}

/// An authority of trust domain `td` and its key.
pub(super) struct Ca {
    name: String,
    issuer: Issuer<'static, KeyPair>,
    pub(super) der: CertificateDer<'static>,
}

impl Ca {
    /// A root.
    pub(super) fn root(name: &str) -> Self {
        Self::root_with(name, |_| ())
    }

    /// A root, bent.
    pub(super) fn root_with(name: &str, bend: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = (ca_params(name, bend), KeyPair::generate().unwrap());
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { name: name.to_owned(), issuer: Issuer::new(params, key), der }
    }

    /// An authority below this one, bent.
    pub(super) fn below(&self, name: &str, bend: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = (ca_params(name, bend), KeyPair::generate().unwrap());
        let der = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Self { name: name.to_owned(), issuer: Issuer::new(params, key), der }
    }

    /// The name and key of `other`, certified by this authority.
    pub(super) fn cross_signs(&self, other: &Self) -> CertificateDer<'static> {
        ca_params(&other.name, |_| ()).signed_by(other.issuer.key(), &self.issuer).unwrap().der().clone()
    }

    /// A leaf for `spiffe://td/web`, valid an hour to both sides of [`NOW`], bent.
    pub(super) fn leaf(&self, bend: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        self.leaf_for(&KeyPair::generate().unwrap(), bend)
    }

    /// The same for a key that is known.
    pub(super) fn leaf_for(&self, key: &KeyPair, bend: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named("leaf");
        params.subject_alt_names = vec![uri("spiffe://td/web")];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = (at(NOW - 3600), at(NOW + 3600));
        bend(&mut params);
        params.signed_by(key, &self.issuer).unwrap().der().clone()
    }

    /// A bundle of this authority alone.
    pub(super) fn bundle(&self) -> Bundle {
        Bundle::parse(pem(&[&self.der]).as_bytes()).unwrap()
    }
}

/// `td` with the bundle of `ca`.
pub(super) fn trusting(ca: &Ca) -> Bundles {
    bundles(&[("td", ca)])
}

/// Trust domains, each with one authority.
pub(super) fn bundles(domains: &[(&str, &Ca)]) -> Bundles {
    Bundles::new(domains.iter().map(|(name, ca)| (TrustDomain::parse(name).unwrap(), Arc::new(ca.bundle()))))
}

/// The DER of a CA certificate with exactly these attributes as its name.
pub(super) fn ca_named(attributes: &[(DnType, DnValue)]) -> CertificateDer<'static> {
    let mut name = DistinguishedName::new();
    for (kind, value) in attributes {
        name.push(kind.clone(), value.clone());
    }
    Ca::root_with("", |params| params.distinguished_name = name).der
}

/// Certificates as PEM, in order.
pub(super) fn pem(certificates: &[&CertificateDer<'_>]) -> String {
    let mut text = String::new();
    for der in certificates {
        text += "-----BEGIN CERTIFICATE-----\n";
        text += &base64_lines(der);
        text += "-----END CERTIFICATE-----\n";
    }
    text
}

/// PEM as Envoy encodes it.
pub(super) fn url_encoded(pem: &str) -> String {
    [("+", "%2B"), ("/", "%2F"), ("=", "%3D"), (" ", "%20"), ("\n", "%0A")]
        .iter()
        .fold(pem.to_owned(), |text, (plain, encoded)| text.replace(plain, encoded))
}

/// Base64 without line breaks.
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = u32::from_be_bytes([0, chunk[0], *chunk.get(1).unwrap_or(&0), *chunk.get(2).unwrap_or(&0)]);
        for position in 0..4 {
            let sextet = usize::try_from(word >> (18 - 6 * position) & 63).unwrap();
            text.push(if position <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    text
}

/// A URI SAN.
pub(super) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// A keyUsage extension that is not critical.
pub(super) fn lax_key_usage() -> CustomExtension {
    CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![0x03, 0x02, 0x07, 0x80])
}

/// Seconds since 1970 as rcgen wants them.
pub(super) fn at(seconds: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap()).unwrap()
}

fn ca_params(name: &str, bend: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.subject_alt_names = vec![uri("spiffe://td")];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (at(NOW - 7200), at(NOW + 7200));
    bend(&mut params);
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::CommonName, name);
    distinguished_name
}

fn base64_lines(der: &[u8]) -> String {
    der.chunks(48).map(|line| base64(line) + "\n").collect()
}
