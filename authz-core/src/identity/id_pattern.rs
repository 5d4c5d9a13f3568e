//! Which workloads are meant, as an operator lists them: one ID, everything below a path, or a trust domain. No regular expression, no part of a segment.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::{InvalidSpiffeId, PathPrefix, SpiffeId, TrustDomain, excerpt::excerpt};

/// An entry of a list of SPIFFE IDs. It matches workloads only: the ID of a trust domain proves no workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdPattern {
    /// `spiffe://td/path`: this workload.
    Exact(SpiffeId),
    /// `spiffe://td/path/*`: this ID and everything below it, by whole segments.
    Below(PathPrefix),
    /// `spiffe://td/*`: every workload of the trust domain.
    TrustDomain(TrustDomain),
}

/// A text that is no [`IdPattern`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidIdPattern {
    /// What is left without `/*` is no SPIFFE ID.
    #[error(transparent)]
    Id(#[from] InvalidSpiffeId),
    /// A star stands somewhere else than alone behind the last slash.
    #[error("pattern {pattern} has a star that is not a whole last segment; write spiffe://<trust domain>/<path>/*")]
    Star {
        /// The text, shortened.
        pattern: String,
    },
    /// A trust domain is named where workloads were to be.
    #[error("pattern {pattern} names a trust domain; write {pattern}/* for all its workloads", pattern = .trust_domain.id_text())]
    TrustDomainId {
        /// Which.
        trust_domain: TrustDomain,
    },
}

impl IdPattern {
    /// Takes an ID with a path, or an ID followed by `/*`.
    ///
    /// # Errors
    /// A star anywhere else, the ID of a trust domain alone, or a text that is no SPIFFE ID (SPIFFE-ID §2).
    pub fn parse(text: &str) -> Result<Self, InvalidIdPattern> {
        let (id, below) = text.strip_suffix("/*").map_or((text, false), |id| (id, true));
        if id.contains('*') {
            return Err(InvalidIdPattern::Star { pattern: excerpt(text) });
        }
        let id = SpiffeId::parse(id)?;
        match (id.is_trust_domain_id(), below) {
            (true, true) => Ok(Self::TrustDomain(TrustDomain::of(&id))),
            (true, false) => Err(InvalidIdPattern::TrustDomainId { trust_domain: TrustDomain::of(&id) }),
            (false, true) => Ok(Self::Below(PathPrefix::parse(id.as_str())?)),
            (false, false) => Ok(Self::Exact(id)),
        }
    }

    /// Whether `id` is meant.
    pub fn matches(&self, id: &SpiffeId) -> bool {
        match self {
            Self::Exact(exact) => exact == id,
            Self::Below(prefix) => prefix.covers(id),
            Self::TrustDomain(trust_domain) => trust_domain.covers(id) && !id.is_trust_domain_id(),
        }
    }
}

impl FromStr for IdPattern {
    type Err = InvalidIdPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for IdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(id) => fmt::Display::fmt(id, f),
            Self::Below(prefix) => write!(f, "{prefix}/*"),
            Self::TrustDomain(trust_domain) => write!(f, "{}/*", trust_domain.id_text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_means_whole_ids_and_whole_segments() {
        let cases = [
            ("spiffe://td/a/b", "spiffe://td/a/b", true),
            ("spiffe://td/a/b", "spiffe://td/a/b/c", false),
            ("spiffe://td/a/b", "spiffe://td/a/b-evil", false),
            ("spiffe://td/a/*", "spiffe://td/a", true),
            ("spiffe://td/a/*", "spiffe://td/a/b/c", true),
            ("spiffe://td/a/*", "spiffe://td/ab", false),
            ("spiffe://td/a/*", "spiffe://td", false),
            ("spiffe://td/a/*", "spiffe://td2/a/b", false),
            ("spiffe://td/*", "spiffe://td/a", true),
            ("spiffe://td/*", "spiffe://td/a/b", true),
            ("spiffe://td/*", "spiffe://td", false),
            ("spiffe://td/*", "spiffe://td.evil/a", false),
            ("spiffe://td/*", "spiffe://sub.td/a", false),
        ];
        for (pattern, id, expected) in cases {
            let id = SpiffeId::parse(id).unwrap();
            assert_eq!(IdPattern::parse(pattern).unwrap().matches(&id), expected, "{pattern} {id}");
        }
    }

    #[test]
    fn what_could_be_misread_is_refused_with_the_remedy() {
        for pattern in ["spiffe://td/a*", "spiffe://td/*/b", "spiffe://*/a", "spiffe://td/*/*", "*", "spiffe://td/**"] {
            let error = IdPattern::parse(pattern).unwrap_err();
            assert!(matches!(error, InvalidIdPattern::Star { .. }), "{pattern}: {error}");
        }
        let error = IdPattern::parse("spiffe://td").unwrap_err().to_string();
        assert!(error.ends_with("write spiffe://td/* for all its workloads"), "{error}");
        for pattern in ["", "td/a", "spiffe://td/", "spiffe://td//*", "spiffe:///*", "/*", "SPIFFE://td/a", "spiffe://"]
        {
            let error = IdPattern::parse(pattern).unwrap_err();
            assert!(matches!(error, InvalidIdPattern::Id(_)), "{pattern}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_is_written_as_it_is_read(path in "(/[a-z.]{0,2}[a-z]){0,3}", star in any::<bool>()) {
            prop_assume!(star || !path.is_empty());
            let text = format!("spiffe://td{path}{}", if star { "/*" } else { "" });
            prop_assert_eq!(IdPattern::parse(&text).unwrap().to_string(), text);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = IdPattern::parse(&text);
        }
    }
}
