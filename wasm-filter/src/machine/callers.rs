//! The callers the sidecar has verified, by the digest of their certificate; it verifies nobody and judges nothing.

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

use authz_core::{
    decision::DecisionId,
    facts::Caller,
    identity::{Digest, SpiffeId},
    reading::Reading,
    scope::Scope,
    time::Timestamp,
};
use hashbrown::{HashMap, HashSet};

use super::{bounded::Bounded, scope_index::ScopeIndex};

/// A bounded number of verified callers.
#[derive(Clone)]
pub struct Callers {
    known: Bounded<Digest, Known>,
    // INVARIANT: the certificates of the lines, and those in the index, are those known.
    lines: HashMap<SpiffeId, Line>,
    index: ScopeIndex<Digest>,
    last_generation: u64,
    // Saves memory, and means nothing else.
    shared: HashSet<Arc<Reading>>,
}

/// Operations of one certificate whose readings are kept.
const MAX_READINGS: usize = 256;
/// Readings that are kept once, for all who have the same.
const MAX_SHARED: usize = 1024;

/// One of them.
#[derive(Clone)]
pub struct Known {
    /// Who it is.
    pub caller: Arc<Caller>,
    /// All decisions made for this ID since it became known carry this number, and no others do: when the ID is
    /// forgotten they are dead, whatever becomes known later.
    pub generation: u64,
    /// That it is revoked, if the sidecar was asked since.
    pub refusal: Option<Refusal>,
    /// How its requests become a key, by operation.
    pub readings: Readings,
}

/// By the name of an operation. In an order of its own, for the same input must always leave the same.
pub type Readings = BTreeMap<Box<str>, Arc<Reading>>;

/// The sidecar's answer that a caller is revoked.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Refusal {
    /// The decision.
    pub id: DecisionId,
    /// The first moment at which it may be revoked no longer, if nothing is heard of it before.
    pub until: Timestamp,
}

/// What the certificates of one ID share.
#[derive(Clone)]
struct Line {
    generation: u64,
    certificates: HashSet<Digest>,
}

impl Callers {
    /// Remembers at most `limit` certificates.
    pub fn new(limit: usize) -> Self {
        Self {
            known: Bounded::new(limit),
            lines: HashMap::new(),
            index: ScopeIndex::default(),
            last_generation: 0,
            shared: HashSet::new(),
        }
    }

    /// The caller with this certificate.
    pub fn get(&self, digest: &Digest) -> Option<&Known> {
        self.known.get(digest)
    }

    /// Remembers a caller, and its refusal if it is revoked; returns its generation.
    pub fn learn(&mut self, caller: Arc<Caller>, refusal: Option<Refusal>) -> u64 {
        let digest = *caller.credential().digest();
        // Nobody else has this certificate, unless the sidecar contradicts itself.
        if self.known.get(&digest).is_some_and(|known| known.caller.credential().id() != caller.credential().id()) {
            self.remove(&digest);
        }
        let generation = self.enter(caller.credential().id(), digest);
        self.index.add(&digest, caller.scopes().iter());
        let readings = self.known.get(&digest).map(|known| known.readings.clone()).unwrap_or_default();
        let gone = self.known.insert(digest, Known { caller, generation, refusal, readings });
        if let Some(gone) = gone.filter(|gone| *gone.caller.credential().digest() != digest) {
            self.leave(&gone.caller);
        }
        generation
    }

    /// How requests of a known caller with this operation become a key: as is `news`, if it is told, which is remembered.
    pub fn reading(&mut self, digest: &Digest, operation: &str, news: Option<&Arc<Reading>>) -> Option<Arc<Reading>> {
        let known = self.known.get_mut(digest)?;
        let Some(news) = news else { return known.readings.get(operation).cloned() };
        let shared = match self.shared.get(news) {
            Some(shared) => Arc::clone(shared),
            None => Arc::clone(news),
        };
        if known.readings.len() >= MAX_READINGS {
            known.readings.clear();
        }
        known.readings.insert(operation.into(), Arc::clone(&shared));
        self.share(&shared);
        Some(shared)
    }

    /// Many callers' readings are alike.
    fn share(&mut self, reading: &Arc<Reading>) {
        if self.shared.len() >= MAX_SHARED {
            self.shared.retain(|shared| Arc::strong_count(shared) > 1);
        }
        if self.shared.len() < MAX_SHARED {
            self.shared.insert(Arc::clone(reading));
        }
    }

    /// The generations that [`Callers::forget`] of the same scopes would end.
    pub fn generations_on<'s>(&self, scopes: impl IntoIterator<Item = &'s Scope>) -> HashSet<u64> {
        let certificates = self.index.resting_on(scopes).into_iter();
        certificates.filter_map(|digest| self.known.get(&digest).map(|known| known.generation)).collect()
    }

    /// Forgets every certificate of each ID that has one which rests on one of `scopes`; returns the generations that
    /// ended.
    pub fn forget<'s>(&mut self, scopes: impl IntoIterator<Item = &'s Scope>) -> HashSet<u64> {
        let mut ended = HashSet::new();
        for digest in self.index.resting_on(scopes) {
            let id = self.known.get(&digest).map(|known| known.caller.credential().id().clone());
            // Those that went with another certificate of their ID are gone.
            let Some(line) = id.and_then(|id| self.lines.remove(&id)) else { continue };
            ended.insert(line.generation);
            for certificate in line.certificates {
                self.remove(&certificate);
            }
        }
        ended
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.known.clear();
        self.lines.clear();
        self.index.clear();
        self.shared.clear();
    }

    fn remove(&mut self, digest: &Digest) {
        if let Some(gone) = self.known.remove(digest) {
            self.leave(&gone.caller);
        }
    }

    fn enter(&mut self, id: &SpiffeId, digest: Digest) -> u64 {
        let next = self.last_generation.wrapping_add(1);
        let new = || Line { generation: next, certificates: HashSet::new() };
        let line = self.lines.entry_ref(id).or_insert_with(new);
        line.certificates.insert(digest);
        self.last_generation = self.last_generation.max(line.generation);
        line.generation
    }

    fn leave(&mut self, caller: &Caller) {
        let (id, digest) = (caller.credential().id(), caller.credential().digest());
        self.index.remove(digest, caller.scopes().iter());
        let Some(line) = self.lines.get_mut(id) else { return };
        line.certificates.remove(digest);
        if line.certificates.is_empty() {
            self.lines.remove(id);
        }
    }
}

/// What the certificates of one ID share follows from them.
impl Hash for Callers {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.known, self.last_generation).hash(state);
    }
}

impl Hash for Known {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.caller.credential(), self.generation, self.refusal, &self.readings).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::machine::tests::{caller, scope};

    #[test]
    fn certificates_of_one_id_share_a_generation_until_the_id_is_forgotten() {
        let mut callers = Callers::new(10);
        let first = callers.learn(caller("/a", 1), None);
        assert_eq!(callers.learn(caller("/a", 2), None), first);
        assert_eq!(callers.learn(caller("/a", 1), None), first, "learned again");
        let other = callers.learn(caller("/b", 3), None);
        assert_ne!(other, first);

        let certificate = format!("certificate:{}", "01".repeat(32)).parse().unwrap();
        let ended = callers.forget([&certificate]);
        assert_eq!(ended.into_iter().collect::<Vec<_>>(), [first]);
        assert!(
            callers.get(caller("/a", 2).credential().digest()).is_none(),
            "the other certificate of the ID goes too"
        );
        assert!(callers.get(caller("/b", 3).credential().digest()).is_some());
        assert!(callers.learn(caller("/a", 2), None) > other);
    }

    #[test]
    fn an_id_whose_last_certificate_is_evicted_gets_a_new_generation() {
        let mut callers = Callers::new(2);
        let first = callers.learn(caller("/a", 1), None);
        callers.learn(caller("/a", 2), None);
        callers.learn(caller("/b", 3), None);
        assert_eq!(callers.learn(caller("/a", 2), None), first, "one certificate was left");
        callers.learn(caller("/c", 4), None);
        callers.learn(caller("/d", 5), None);
        assert!(callers.learn(caller("/a", 1), None) > first);
        assert_eq!(callers.lines.len(), 2);
    }

    #[test]
    fn a_certificate_that_is_said_to_be_of_another_workload_is_of_that_one() {
        let mut callers = Callers::new(2);
        callers.learn(caller("/a", 1), None);
        callers.learn(caller("/b", 1), None);
        assert_eq!(callers.lines.len(), 1);
        assert!(callers.forget([&scope("/a")]).is_empty());
        assert_eq!(callers.forget([&scope("/b")]).len(), 1);
    }

    proptest! {
        /// The index against a look at every caller that is known.
        #[test]
        fn a_signal_takes_the_ids_that_rest_on_its_scope_and_nobody_else(
            steps in vec((0..9_u8, any::<bool>()), 0..60),
        ) {
            // Certificates n and n + 6 are of one workload.
            let who = |n: u8| caller(["/a", "/a/b", "/a/c", "/b", "/b/b", "/c"][usize::from(n % 6)], n);
            let scopes = ["path-prefix:spiffe://td/a", "spiffe-id:spiffe://td/a", "spiffe-id:spiffe://td/b", "trust-domain:td",
                "path-prefix:spiffe://td/b", "issuer-serial:CN=root#3", "spiffe-id:spiffe://td/c", "trust-domain:else", "issuer-serial:CN=root#9"];
            let mut callers = Callers::new(5);
            for (n, learn) in steps {
                if learn {
                    callers.learn(who(n), None);
                } else {
                    let scope: Scope = scopes[usize::from(n)].parse().unwrap();
                    let known: Vec<(u64, Arc<Caller>)> =
                        callers.known.values().map(|it| (it.generation, Arc::clone(&it.caller))).collect();
                    let touched: HashSet<u64> =
                        known.iter().filter(|(_, it)| it.scopes().contains(&scope)).map(|(generation, _)| *generation).collect();
                    prop_assert_eq!(&callers.forget([&scope]), &touched);
                    for (generation, it) in known {
                        let left = callers.get(it.credential().digest()).is_some();
                        prop_assert_eq!(left, !touched.contains(&generation), "{}", it.credential().id());
                    }
                }
                let mut scopes: Vec<&Scope> = callers.known.values().flat_map(|it| it.caller.scopes().iter()).collect();
                scopes.sort_by_key(ToString::to_string);
                scopes.dedup();
                prop_assert_eq!(callers.index.len(), scopes.len(), "the index is as large as what is known");
            }
        }
    }
}
