//! The name of a trust domain. Membership is equality: never a suffix, a prefix or a DNS rule.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use super::{
    InvalidSpiffeId, SpiffeId,
    spiffe_id::grammar::{SCHEME, check_trust_domain},
};

/// The name of a trust domain without the scheme, such as `example.org` (SPIFFE-ID §2.1), cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// Takes a bare name, or says which rule it breaks; `spiffe://example.org` is not a name.
    pub fn parse(name: &str) -> Result<Self, InvalidSpiffeId> {
        check_trust_domain(name, name)?;
        Ok(Self(name.into()))
    }

    /// The trust domain that `id` belongs to.
    pub fn of(id: &SpiffeId) -> Self {
        Self(id.trust_domain().into())
    }

    /// The name, byte for byte as it was parsed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `id` belongs to this trust domain (SPIFFE-ID §2.1: equality of names).
    pub fn covers(&self, id: &SpiffeId) -> bool {
        id.trust_domain() == self.as_str()
    }

    /// The text of this trust domain's own SPIFFE ID.
    pub fn id_text(&self) -> String {
        format!("{SCHEME}{}", self.0)
    }
}

impl FromStr for TrustDomain {
    type Err = InvalidSpiffeId;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::parse(name)
    }
}

impl Borrow<str> for TrustDomain {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidSpiffeId, SpiffeId, TrustDomain};

    #[test]
    fn a_name_follows_the_grammar_of_the_id() {
        for name in ["td", "example.org", "10.0.0.1", "a-b_c", &"d".repeat(255)] {
            let domain = TrustDomain::parse(name).unwrap();
            assert_eq!(domain.as_str(), name);
            assert_eq!(TrustDomain::of(&SpiffeId::parse(&domain.id_text()).unwrap()), domain);
        }
        for name in ["TD", "td/", "td/a", "spiffe://td", "td:1", "u@td", "[::1]", "t d", "é"] {
            let error = TrustDomain::parse(name).unwrap_err();
            assert!(matches!(error, InvalidSpiffeId::TrustDomainCharacter { .. }), "{name}: {error}");
        }
        assert!(matches!(TrustDomain::parse(""), Err(InvalidSpiffeId::TrustDomainMissing { .. })));
        assert!(matches!(TrustDomain::parse(&"d".repeat(256)), Err(InvalidSpiffeId::TrustDomainTooLong { .. })));
    }

    #[test]
    fn membership_is_equality_and_no_suffix_or_prefix() {
        let domain = TrustDomain::parse("example.org").unwrap();
        let cases = [
            ("spiffe://example.org", true),
            ("spiffe://example.org/a", true),
            ("spiffe://sub.example.org/a", false),
            ("spiffe://example.org.evil/a", false),
            ("spiffe://example.or/a", false),
        ];
        for (id, expected) in cases {
            assert_eq!(domain.covers(&SpiffeId::parse(id).unwrap()), expected, "{id}");
        }
    }
}
