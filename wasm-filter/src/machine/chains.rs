//! Who stands behind a caller, by the very header that told it and the certificate on the connection; the sidecar verified it, nothing is read here.

use std::{
    borrow::Cow,
    hash::{Hash, Hasher},
    sync::Arc,
};

use authz_core::{hops::Chain, identity::Digest, scope::Scope, time::Timestamp};
use hashbrown::Equivalent;

use super::{bounded::Bounded, scope_index::ScopeIndex};

/// A bounded number of headers with more than one element, each with the chain the sidecar found in it.
#[derive(Clone)]
pub struct Chains {
    known: Bounded<Arc<Told>, Found>,
    // INVARIANT: the headers known, by the scopes of who was found in them.
    index: ScopeIndex<Arc<Told>>,
}

/// What the sidecar found in a header.
#[derive(Clone)]
struct Found {
    told: Arc<Told>,
    chain: Arc<Chain>,
}

/// A header and the certificate it came with.
#[derive(Clone, PartialEq, Eq)]
struct Told {
    digest: Digest,
    header: Box<[u8]>,
}

/// The same, borrowed, so that looking it up copies nothing.
struct Telling<'a> {
    digest: &'a Digest,
    header: &'a [u8],
}

impl Hash for Told {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Telling { digest: &self.digest, header: &self.header }.hash(state);
    }
}

impl Hash for Telling<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.digest, self.header).hash(state);
    }
}

impl Equivalent<Arc<Told>> for Telling<'_> {
    fn equivalent(&self, told: &Arc<Told>) -> bool {
        *self.digest == told.digest && *self.header == *told.header
    }
}

/// Longer headers are asked about each time: a few of them would fill the memory.
const MAX_HEADER: usize = 16 * 1024;
/// What all of them may take is this many times [`MAX_HEADER`].
const MAX_CHAINS: usize = 1024;

/// Who is behind the caller of a request, as far as this VM knows.
#[derive(Clone)]
pub enum Behind {
    /// Somebody, whom the sidecar has to be asked about.
    Unknown,
    /// Nobody: there is one element at most.
    Nobody,
    /// Known.
    Known(Arc<Chain>),
}

impl Behind {
    /// The chain, unless it is unknown.
    pub fn chain(&self) -> Option<&Chain> {
        match self {
            Self::Unknown => None,
            Self::Nobody => Some(Chain::direct()),
            Self::Known(chain) => Some(chain),
        }
    }

    /// The same to keep, if there is anybody.
    pub fn somebody(&self) -> Option<Arc<Chain>> {
        match self {
            Self::Nobody | Self::Unknown => None,
            Self::Known(chain) => Some(Arc::clone(chain)),
        }
    }
}

impl Chains {
    /// None known yet.
    pub fn new() -> Self {
        Self { known: Bounded::new(MAX_CHAINS), index: ScopeIndex::default() }
    }

    /// Who is behind the caller with the certificate `digest` in a request with these header lines.
    pub fn behind(&self, digest: &Digest, lines: &[(String, Vec<u8>)], now: Timestamp) -> Behind {
        let Some(header) = several(lines.iter().map(|(name, value)| (name.as_str(), value.as_slice()))) else {
            return Behind::Nobody;
        };
        // What no longer holds in a part is another chain now.
        let holds = |found: &&Found| found.chain.hops().iter().all(|hop| hop.credential().holds_at(now));
        let known = self.known.get(&Telling { digest, header: &header }).filter(holds);
        known.map_or(Behind::Unknown, |found| Behind::Known(Arc::clone(&found.chain)))
    }

    /// Remembers what the sidecar found in the header of such a request.
    pub fn learn<'l>(&mut self, digest: &Digest, lines: impl Iterator<Item = (&'l str, &'l [u8])>, chain: &Arc<Chain>) {
        if let Some(header) = several(lines).filter(|header| header.len() <= MAX_HEADER) {
            let told = Arc::new(Told { digest: *digest, header: header.into_owned().into_boxed_slice() });
            self.remove(&told);
            let found = Found { told: Arc::clone(&told), chain: Arc::clone(chain) };
            self.index.add(&told, found.scopes());
            if let Some(gone) = self.known.insert(told, found) {
                self.index.remove(&gone.told, gone.scopes());
            }
        }
    }

    /// Forgets the chains with somebody in them who rests on one of `scopes`.
    pub fn forget<'s>(&mut self, scopes: impl IntoIterator<Item = &'s Scope>) {
        for told in self.index.resting_on(scopes) {
            self.remove(&told);
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.known.clear();
        self.index.clear();
    }

    fn remove(&mut self, told: &Arc<Told>) {
        if let Some(gone) = self.known.remove(told) {
            self.index.remove(&gone.told, gone.scopes());
        }
    }
}

/// What is found by it follows from what is known.
impl Hash for Chains {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.known.hash(state);
    }
}

impl Hash for Found {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.chain.hops().iter().for_each(|hop| hop.credential().hash(state));
        self.chain.reach().hash(state);
    }
}

impl Found {
    fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.chain.hops().iter().flat_map(|hop| hop.scopes().iter())
    }
}

/// The header's value, if it may have more than one element: elements are parted by commas and lines.
fn several<'l>(mut lines: impl Iterator<Item = (&'l str, &'l [u8])>) -> Option<Cow<'l, [u8]>> {
    let mut of_name = || lines.find(|(name, _)| *name == "x-forwarded-client-cert").map(|(_, value)| value);
    let first = of_name()?;
    let Some(second) = of_name() else { return first.contains(&b',').then_some(Cow::Borrowed(first)) };
    let mut all = [first, second].join(&b',');
    while let Some(line) = of_name() {
        all.push(b',');
        all.extend_from_slice(line);
    }
    Some(Cow::Owned(all))
}

#[cfg(test)]
mod tests {
    use authz_core::hops::Reach;

    use super::*;
    use crate::machine::tests::{caller, scope};

    fn lines(values: &[&str]) -> Vec<(String, Vec<u8>)> {
        let line = |value: &&str| ("x-forwarded-client-cert".to_owned(), value.as_bytes().to_vec());
        let other = [(":path".to_owned(), b"/a,b".to_vec())];
        other.into_iter().chain(values.iter().map(line)).collect()
    }

    fn name(behind: &Behind) -> &'static str {
        match behind {
            Behind::Known(_) => "known",
            Behind::Nobody => "nobody",
            Behind::Unknown => "unknown",
        }
    }

    #[test]
    fn a_header_is_known_byte_for_byte_and_with_its_certificate() {
        let mut chains = Chains::new();
        let (digest, other) = (Digest::from_bytes([1; 32]), Digest::from_bytes([2; 32]));
        let chain = Arc::new(Chain::new(vec![caller("/a", 3)], Reach::Origin));
        let learned = lines(&["By=a,By=b"]);
        chains.learn(&digest, learned.iter().map(|(name, value)| (&**name, &**value)), &chain);
        let now = Timestamp::from_millis(500);
        let cases = [
            (&digest, lines(&[]), "nobody"),
            (&digest, lines(&["By=a"]), "nobody"),
            (&digest, lines(&["By=a,By=b"]), "known"),
            (&digest, lines(&["By=a", "By=b"]), "known"),
            (&digest, lines(&["By=a,By=c"]), "unknown"),
            (&digest, lines(&["By=a,By=b", "By=b"]), "unknown"),
            (&digest, lines(&["", ""]), "unknown"),
            (&other, lines(&["By=a,By=b"]), "unknown"),
        ];
        for (digest, lines, expected) in cases {
            assert_eq!(name(&chains.behind(digest, &lines, now)), expected, "{lines:?}");
        }
        // Certificate 3 of the tests is issued at moment 3.
        assert_eq!(name(&chains.behind(&digest, &learned, Timestamp::from_millis(2))), "unknown");
    }

    #[test]
    fn a_signal_takes_the_chains_of_whom_it_concerns_and_no_others() {
        let mut chains = Chains::new();
        let digest = Digest::from_bytes([1; 32]);
        let learn = |chains: &mut Chains, header: &str, path: &str| {
            let chain = Arc::new(Chain::new(vec![caller("/x", 3), caller(path, 4)], Reach::Origin));
            let lines = lines(&[header]);
            chains.learn(&digest, lines.iter().map(|(name, value)| (&**name, &**value)), &chain);
        };
        let known = |chains: &Chains, header: &str| {
            name(&chains.behind(&digest, &lines(&[header]), Timestamp::from_millis(500)))
        };
        learn(&mut chains, "a,x", "/a");
        learn(&mut chains, "b,x", "/a");
        learn(&mut chains, "b,x", "/b");
        chains.forget([&scope("/a")]);
        assert_eq!(
            (known(&chains, "a,x"), known(&chains, "b,x")),
            ("unknown", "known"),
            "who was found there before is not"
        );
        chains.forget([&scope("/x")]);
        assert_eq!((known(&chains, "b,x"), chains.index.len()), ("unknown", 0));
        for n in 0..MAX_CHAINS + 7 {
            learn(&mut chains, &format!("{n},x"), &format!("/n{n}"));
        }
        // The scopes of /x and those that all share, and one certificate and one path for each.
        let (mut one, all) = (Chains::new(), chains.index.len());
        learn(&mut one, "a,x", "/a");
        assert!(all <= one.index.len() + 2 * MAX_CHAINS, "{all}");
    }

    #[test]
    fn long_headers_are_not_kept() {
        let mut chains = Chains::new();
        let digest = Digest::from_bytes([1; 32]);
        let long = lines(&[&",".repeat(MAX_HEADER + 1)]);
        let chain = Arc::new(Chain::new(vec![], Reach::Forwarder));
        chains.learn(&digest, long.iter().map(|(name, value)| (&**name, &**value)), &chain);
        assert_eq!(name(&chains.behind(&digest, &long, Timestamp::default())), "unknown");
    }
}
