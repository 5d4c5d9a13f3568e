//! The catalogue of certificates that must be refused, each wrong in one way only.

use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};
use time::{Duration, OffsetDateTime};

use super::{Authority, Leaf, Svid};

/// One way in which a leaf or its chain breaks the rules of X509-SVID §2-5 or RFC 5280 §6.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// extendedKeyUsage present, but without serverAuth.
    ClientAuthOnly,
    /// keyUsage has cRLSign.
    CrlSign,
    /// notAfter is a minute ago.
    Expired,
    /// An ID of our trust domain, signed by the CA of another one.
    ForeignAuthority,
    /// The certificate that signed the leaf is itself a workload's.
    IntermediateIsNoCa,
    /// keyUsage has keyCertSign.
    KeyCertSign,
    /// No keyUsage extension.
    KeyUsageAbsent,
    /// keyUsage is there but not critical.
    KeyUsageNotCritical,
    /// basicConstraints says `cA`.
    LeafIsCa,
    /// The intermediate is not sent along.
    MissingIntermediate,
    /// Only a DNS SAN.
    NoUriSan,
    /// keyUsage has keyAgreement, but not digitalSignature.
    NoDigitalSignature,
    /// notBefore is in an hour.
    NotYetValid,
    /// A NUL byte inside the SAN: text up to it is another, valid ID.
    NulInSan,
    /// An ID of 2049 bytes.
    OversizedId,
    /// `%2f` in the path of the ID.
    PercentEncodedPath,
    /// The ID of the trust domain itself, as only authorities have.
    RootPathId,
    /// Two SPIFFE IDs.
    TwoUriSans,
    /// Properly issued, by a trust domain nobody configured.
    UnknownTrustDomain,
    /// Upper case in the trust domain of the ID.
    UpperCaseTrustDomain,
    /// The ID, and an https URI beside it.
    UriSanAndForeignUri,
}

impl Fault {
    /// Every one of them.
    pub const ALL: [Self; 21] = [
        Self::ClientAuthOnly,
        Self::CrlSign,
        Self::Expired,
        Self::ForeignAuthority,
        Self::IntermediateIsNoCa,
        Self::KeyCertSign,
        Self::KeyUsageAbsent,
        Self::KeyUsageNotCritical,
        Self::LeafIsCa,
        Self::MissingIntermediate,
        Self::NoUriSan,
        Self::NoDigitalSignature,
        Self::NotYetValid,
        Self::NulInSan,
        Self::OversizedId,
        Self::PercentEncodedPath,
        Self::RootPathId,
        Self::TwoUriSans,
        Self::UnknownTrustDomain,
        Self::UpperCaseTrustDomain,
        Self::UriSanAndForeignUri,
    ];
}

impl Authority {
    /// A certificate for `path` that is as it should be, except for `fault`.
    pub fn wrong(&self, path: &str, fault: Fault) -> Svid {
        match fault {
            Fault::ForeignAuthority => Authority::new("foreign.test").leaf(path).id(&self.id(path)).issue(),
            Fault::UnknownTrustDomain => Authority::new("unknown.test").issue(path),
            Fault::IntermediateIsNoCa => self.same_root().with_intermediate_that_is_no_ca().issue(path),
            Fault::MissingIntermediate => {
                self.same_root().with_intermediate().leaf(path).without_intermediate().issue()
            }
            _ => wrong_leaf(self.leaf(path), &self.id(path), fault).issue(),
        }
    }
}

fn wrong_leaf<'a>(leaf: Leaf<'a>, id: &str, fault: Fault) -> Leaf<'a> {
    let now = OffsetDateTime::now_utc();
    let signs_and = |usage| [KeyUsagePurpose::DigitalSignature, usage];
    match fault {
        Fault::ClientAuthOnly => leaf.extended_key_usages(&[ExtendedKeyUsagePurpose::ClientAuth]),
        Fault::CrlSign => leaf.key_usages(&signs_and(KeyUsagePurpose::CrlSign)),
        Fault::Expired => leaf.valid(now - Duration::hours(1), now - Duration::minutes(1)),
        Fault::KeyCertSign => leaf.key_usages(&signs_and(KeyUsagePurpose::KeyCertSign)),
        Fault::KeyUsageAbsent => leaf.key_usages(&[]),
        Fault::KeyUsageNotCritical => leaf.key_usage_not_critical(),
        Fault::LeafIsCa => leaf.ca(),
        Fault::NoUriSan => leaf.uris(&[]).dns("workload.test"),
        Fault::NoDigitalSignature => leaf.key_usages(&[KeyUsagePurpose::KeyAgreement]),
        Fault::NotYetValid => leaf.valid(now + Duration::hours(1), now + Duration::hours(2)),
        Fault::NulInSan => leaf.uris(&[&format!("{id}\0.evil")]),
        Fault::OversizedId => leaf.uris(&[&format!("{id}/{}", "a".repeat(2048 - id.len()))]),
        Fault::PercentEncodedPath => leaf.uris(&[&format!("{id}%2fadmin")]),
        Fault::RootPathId => leaf.uris(&[trust_domain_id(id)]),
        Fault::TwoUriSans => leaf.uris(&[id, &format!("{id}-second")]),
        Fault::UpperCaseTrustDomain => leaf.uris(&[&upper_case_trust_domain(id)]),
        Fault::UriSanAndForeignUri => leaf.uris(&[id, "https://workload.test/"]),
        Fault::ForeignAuthority
        | Fault::IntermediateIsNoCa
        | Fault::MissingIntermediate
        | Fault::UnknownTrustDomain => {
            unreachable!("{fault:?} is a fault of the chain")
        }
    }
}

fn trust_domain_id(id: &str) -> &str {
    let path = id["spiffe://".len()..].find('/').expect("a leaf has a path");
    &id[.."spiffe://".len() + path]
}

fn upper_case_trust_domain(id: &str) -> String {
    let domain = &trust_domain_id(id)["spiffe://".len()..];
    id.replacen(domain, &domain.to_uppercase(), 1)
}
