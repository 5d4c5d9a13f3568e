//! A SPIFFE ID as bytes: parsed strictly, never normalised, compared as text. Knows nothing of certificates or of who is trusted.

mod error;
pub(super) mod grammar;

pub use error::InvalidSpiffeId;

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use grammar::SCHEME;

/// A SPIFFE ID, `spiffe://<trust domain><path>` (SPIFFE-ID §2), cheap to clone.
///
/// Equality, order and hash are those of the text, so a map keyed by `SpiffeId` can be asked with a `&str`.
#[derive(Clone)]
pub struct SpiffeId {
    text: Arc<str>,
    // INVARIANT: SCHEME.len() + trust_domain_len is where the path starts, on a character boundary (the grammar is ASCII).
    trust_domain_len: usize,
}

impl SpiffeId {
    /// Takes `text` as it is, or says which rule of SPIFFE-ID §2.1-2.4 it breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidSpiffeId> {
        let trust_domain_len = grammar::check(text)?;
        Ok(Self { text: text.into(), trust_domain_len })
    }

    /// The whole ID, byte for byte as it was parsed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name of the trust domain, without the scheme.
    pub fn trust_domain(&self) -> &str {
        self.text.get(SCHEME.len()..self.path_start()).unwrap_or_default()
    }

    /// The path with its leading `/`, or `""` for the ID of a trust domain.
    pub fn path(&self) -> &str {
        self.text.get(self.path_start()..).unwrap_or_default()
    }

    /// Whether this names a trust domain and no workload in it.
    pub fn is_trust_domain_id(&self) -> bool {
        self.path().is_empty()
    }

    /// Every prefix of whole path segments as the text of an ID, shortest first, the ID itself last.
    ///
    /// `spiffe://td/a/b` gives `spiffe://td/a` and `spiffe://td/a/b`; the ID of a trust domain gives nothing.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        let inner_slashes = self.path().match_indices('/').skip(1);
        let shorter = inner_slashes.filter_map(|(at, _)| self.text.get(..self.path_start() + at));
        shorter.chain((!self.is_trust_domain_id()).then_some(self.as_str()))
    }

    fn path_start(&self) -> usize {
        SCHEME.len() + self.trust_domain_len
    }
}

impl FromStr for SpiffeId {
    type Err = InvalidSpiffeId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl PartialEq for SpiffeId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SpiffeId {}

impl PartialOrd for SpiffeId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SpiffeId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for SpiffeId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Borrow<str> for SpiffeId {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl AsRef<str> for SpiffeId {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests;
