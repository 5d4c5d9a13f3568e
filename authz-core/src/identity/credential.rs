//! A credential: the certificate by which a workload proved its ID. It says what was proved and for how long; it proves nothing itself.

use thiserror::Error;

use super::{Digest, IssuerSerial, SpiffeId, excerpt::excerpt};
use crate::time::Timestamp;

/// A workload's ID and the certificate behind it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Credential {
    id: SpiffeId,
    digest: Digest,
    issued_by: IssuerSerial,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Credential {
    /// Puts a credential together, or says why there can be none like it (X509-SVID §2: a leaf's ID has a path).
    pub fn new(
        id: SpiffeId,
        digest: Digest,
        issued_by: IssuerSerial,
        not_before: Timestamp,
        not_after: Timestamp,
    ) -> Result<Self, InvalidCredential> {
        if id.is_trust_domain_id() {
            return Err(InvalidCredential::NoWorkload { id: excerpt(id.as_str()) });
        }
        if not_after < not_before {
            return Err(InvalidCredential::Validity { not_before, not_after });
        }
        Ok(Self { id, digest, issued_by, not_before, not_after })
    }

    /// Whom it names; always with a path.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// SHA-256 of the leaf certificate's DER.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Issuer and serial number of the leaf certificate.
    pub fn issued_by(&self) -> &IssuerSerial {
        &self.issued_by
    }

    /// First moment of its validity.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Last moment of its validity.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether `now` is within its validity, both ends included (RFC 5280 §4.1.2.5).
    pub fn holds_at(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// Parts that make no credential.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidCredential {
    /// The ID is that of a trust domain.
    #[error("credential names {id}, which is a trust domain and no workload; issue it for an ID with a path")]
    NoWorkload {
        /// The ID, shortened.
        id: String,
    },
    /// The validity ends before it begins.
    #[error(
        "credential is valid from {} to {} (milliseconds since 1970), which is never; issue it again",
        .not_before.as_millis(),
        .not_after.as_millis()
    )]
    Validity {
        /// First moment of the validity.
        not_before: Timestamp,
        /// Last moment of the validity.
        not_after: Timestamp,
    },
}

#[cfg(test)]
mod tests {
    use super::{Credential, Digest, InvalidCredential, IssuerSerial, SpiffeId, Timestamp};

    fn credential(id: &str, not_before: u64, not_after: u64) -> Result<Credential, InvalidCredential> {
        Credential::new(
            SpiffeId::parse(id).unwrap(),
            Digest::from_bytes([7; 32]),
            IssuerSerial::new("CN=root", "1f").unwrap(),
            Timestamp::from_millis(not_before),
            Timestamp::from_millis(not_after),
        )
    }

    #[test]
    fn a_credential_holds_from_its_first_moment_to_its_last() {
        let credential = credential("spiffe://td/a", 10, 20).unwrap();
        for (now, expected) in [(0, false), (9, false), (10, true), (15, true), (20, true), (21, false)] {
            assert_eq!(credential.holds_at(Timestamp::from_millis(now)), expected, "{now}");
        }
    }

    #[test]
    fn a_credential_of_one_moment_holds_then_only() {
        let credential = credential("spiffe://td/a", 10, 10).unwrap();
        assert!(credential.holds_at(Timestamp::from_millis(10)));
        assert!(!credential.holds_at(Timestamp::from_millis(11)));
    }

    #[test]
    fn no_credential_names_a_trust_domain_or_ends_before_it_begins() {
        assert!(matches!(credential("spiffe://td", 10, 20), Err(InvalidCredential::NoWorkload { .. })));
        assert!(matches!(credential("spiffe://td/a", 20, 19), Err(InvalidCredential::Validity { .. })));
    }
}
