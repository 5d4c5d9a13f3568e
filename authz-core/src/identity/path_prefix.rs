//! A path prefix of SPIFFE IDs, in whole segments. Not a pattern: no wildcard, no part of a segment.

use std::{borrow::Borrow, fmt, str::FromStr};

use super::{InvalidSpiffeId, SpiffeId, excerpt::excerpt};

/// A SPIFFE ID with a path, standing for itself and for everything below it.
///
/// Its text is the text of an ID, so it is found in a map by [`SpiffeId::prefixes`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPrefix(SpiffeId);

impl PathPrefix {
    /// Takes the text of a SPIFFE ID with a path, without a trailing slash; a whole trust domain is no prefix.
    pub fn parse(text: &str) -> Result<Self, InvalidSpiffeId> {
        let id = SpiffeId::parse(text)?;
        if id.is_trust_domain_id() {
            return Err(InvalidSpiffeId::NoPath { id: excerpt(text) });
        }
        Ok(Self(id))
    }

    /// The prefix as the text of an ID.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether `id` is this ID or stands below it: `…/a` covers `…/a` and `…/a/b`, not `…/ab`.
    pub fn covers(&self, id: &SpiffeId) -> bool {
        let below = id.as_str().strip_prefix(self.as_str());
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FromStr for PathPrefix {
    type Err = InvalidSpiffeId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Borrow<str> for PathPrefix {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{InvalidSpiffeId, PathPrefix, SpiffeId};

    #[test]
    fn a_prefix_covers_whole_segments_only() {
        let prefix = PathPrefix::parse("spiffe://td/a/b").unwrap();
        let cases = [
            ("spiffe://td/a/b", true),
            ("spiffe://td/a/b/c", true),
            ("spiffe://td/a/b/c/d", true),
            ("spiffe://td/a/bc", false),
            ("spiffe://td/a/b-evil", false),
            ("spiffe://td/a/b.c", false),
            ("spiffe://td/a", false),
            ("spiffe://td", false),
            ("spiffe://td2/a/b", false),
            ("spiffe://td/A/b", false),
        ];
        for (id, expected) in cases {
            assert_eq!(prefix.covers(&SpiffeId::parse(id).unwrap()), expected, "{id}");
        }
    }

    #[test]
    fn a_prefix_needs_a_path_and_the_grammar_of_an_id() {
        assert!(matches!(PathPrefix::parse("spiffe://td"), Err(InvalidSpiffeId::NoPath { .. })));
        assert!(matches!(PathPrefix::parse("spiffe://td/a/"), Err(InvalidSpiffeId::TrailingSlash { .. })));
        assert!(matches!(PathPrefix::parse("spiffe://td/a*"), Err(InvalidSpiffeId::PathCharacter { .. })));
    }

    proptest! {
        #[test]
        fn covering_is_being_among_the_prefixes(a in "(/[ab]{1,2}){1,3}", b in "(/[ab]{1,2}){0,4}") {
            let prefix = PathPrefix::parse(&format!("spiffe://td{a}")).unwrap();
            let id = SpiffeId::parse(&format!("spiffe://td{b}")).unwrap();
            prop_assert_eq!(prefix.covers(&id), id.prefixes().any(|p| p == prefix.as_str()));
        }
    }
}
