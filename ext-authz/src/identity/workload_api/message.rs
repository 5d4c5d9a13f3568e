//! What can be wrong with a message of the Workload API, and the limits that hold for each. It reads no certificate itself.

use authz_core::identity::{SpiffeId, TrustDomain};
use thiserror::Error;

use crate::identity::{InvalidBundle, InvalidOwnSvid, der::InvalidDer};

/// A message that was not taken, as a whole or in a part; what came before stays in force.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidMessage {
    /// The bundle of one trust domain can't be used.
    #[error("bundle of {trust_domain}: {why}; the old one stays in force, mend it where it is published")]
    Bundle {
        /// Whose.
        trust_domain: TrustDomain,
        /// What is wrong.
        why: InvalidBundle,
    },
    /// The chain of an SVID is no sequence of certificates.
    #[error("SVID {id}: {why}")]
    Chain {
        /// Whose.
        id: String,
        /// What is wrong.
        why: InvalidDer,
    },
    /// A hint is longer than the standard allows.
    #[error("SVID {id} has a hint of {bytes} bytes; at most {MAX_HINT_BYTES} are allowed")]
    Hint {
        /// Whose.
        id: String,
        /// How long it is.
        bytes: usize,
    },
    /// The SVID is for somebody else than the message says.
    #[error("SVID is said to be {said} and is {is}")]
    OtherId {
        /// What the message says.
        said: String,
        /// What the certificate says.
        is: SpiffeId,
    },
    /// A mandatory field has its default value, which is as good as missing.
    #[error("{field} is empty, which is mandatory")]
    Missing {
        /// Which.
        field: &'static str,
    },
    /// A certificate revocation list is none.
    #[error("CRL {position} can't be read ({why}); the old ones are kept")]
    RevocationList {
        /// Which one, from 1.
        position: usize,
        /// What is wrong.
        why: String,
    },
    /// An SVID can't be used.
    #[error(transparent)]
    Svid(#[from] InvalidOwnSvid),
    /// There is more than is taken.
    #[error("it has {count} {what}; at most {most} are taken")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many may be.
        most: usize,
    },
    /// A bundle is under a name that is no trust domain's.
    #[error("a bundle is for {key:?}, which is not the SPIFFE ID of a trust domain")]
    TrustDomain {
        /// What stands there.
        key: String,
    },
}

/// Whose bundle stands under `key`: keys are the SPIFFE IDs of trust domains, not their names (Workload API §5.1).
pub(super) fn trust_domain(key: &str) -> Result<TrustDomain, InvalidMessage> {
    let id = SpiffeId::parse(key).ok().filter(SpiffeId::is_trust_domain_id);
    id.map(|id| TrustDomain::of(&id))
        .ok_or_else(|| InvalidMessage::TrustDomain { key: key.chars().take(300).collect() })
}

/// That there is something, and not too much.
pub(super) fn within(what: &'static str, field: &'static str, count: usize, most: usize) -> Result<(), InvalidMessage> {
    match count {
        0 => Err(InvalidMessage::Missing { field }),
        count if count > most => Err(InvalidMessage::TooMany { what, count, most }),
        _ => Ok(()),
    }
}

/// Most SVIDs for one workload; agents give one or a few.
pub(super) const MAX_SVIDS: usize = 100;
/// Most trust domains: each has its authorities to try and its place in memory.
pub(super) const MAX_TRUST_DOMAINS: usize = 1000;
/// Most bytes of a hint (SPIFFE Workload API, `X509SVID.hint`).
pub(super) const MAX_HINT_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::trust_domain;

    #[test]
    fn keys_are_the_ids_of_trust_domains() {
        assert_eq!(trust_domain("spiffe://td.test").unwrap().as_str(), "td.test");
        for key in ["", "td.test", "spiffe://", "spiffe://td.test/", "spiffe://td.test/a", "spiffe://TD", "SPIFFE://td"]
        {
            assert!(trust_domain(key).is_err(), "{key}");
        }
    }
}
