//! The callers the sidecar has verified, by the digest of their certificate; it verifies nobody and judges nothing.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use authz_core::{
    decision::DecisionId,
    facts::Caller,
    identity::{Digest, SpiffeId},
};
use hashbrown::{HashMap, HashSet};

use super::bounded::Bounded;

/// A bounded number of verified callers.
#[derive(Clone)]
pub struct Callers {
    known: Bounded<Digest, Known>,
    lines: HashMap<SpiffeId, Line>,
    last_generation: u64,
}

/// One of them.
#[derive(Clone)]
pub struct Known {
    /// Who it is.
    pub caller: Arc<Caller>,
    /// All decisions made for this ID since it became known carry this number, and no others do: when the ID is
    /// forgotten they are dead, whatever becomes known later.
    pub generation: u64,
    /// The sidecar's decision that it is revoked, if that was asked for since.
    pub refusal: Option<DecisionId>,
}

/// What the certificates of one ID share.
#[derive(Clone)]
struct Line {
    generation: u64,
    certificates: usize,
}

impl Callers {
    /// Remembers at most `limit` certificates.
    pub fn new(limit: usize) -> Self {
        Self { known: Bounded::new(limit), lines: HashMap::new(), last_generation: 0 }
    }

    /// The caller with this certificate.
    pub fn get(&self, digest: &Digest) -> Option<&Known> {
        self.known.get(digest)
    }

    /// Remembers a caller, and its refusal if it is revoked; returns its generation.
    pub fn learn(&mut self, caller: Arc<Caller>, refusal: Option<DecisionId>) -> u64 {
        let (id, digest) = (caller.credential().id().clone(), *caller.credential().digest());
        let generation = self.enter(id);
        if let Some(gone) = self.known.insert(digest, Known { caller, generation, refusal }) {
            self.leave(gone.caller.credential().id());
        }
        generation
    }

    /// Forgets every certificate of each ID that has one `touched` says yes to; returns the generations that ended.
    pub fn forget(&mut self, touched: impl Fn(&Caller) -> bool) -> HashSet<u64> {
        let ended: HashSet<u64> =
            self.known.values().filter(|known| touched(&known.caller)).map(|known| known.generation).collect();
        if !ended.is_empty() {
            self.known.retain(|known| !ended.contains(&known.generation));
            self.lines.retain(|_, line| !ended.contains(&line.generation));
        }
        ended
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.known.clear();
        self.lines.clear();
    }

    fn enter(&mut self, id: SpiffeId) -> u64 {
        let next = self.last_generation.wrapping_add(1);
        let line = self.lines.entry(id).or_insert(Line { generation: next, certificates: 0 });
        line.certificates = line.certificates.saturating_add(1);
        self.last_generation = self.last_generation.max(line.generation);
        line.generation
    }

    fn leave(&mut self, id: &SpiffeId) {
        let Some(line) = self.lines.get_mut(id) else { return };
        line.certificates = line.certificates.saturating_sub(1);
        if line.certificates == 0 {
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
        (self.caller.credential(), self.generation, self.refusal).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::Callers;
    use crate::machine::tests::caller;

    #[test]
    fn certificates_of_one_id_share_a_generation_until_the_id_is_forgotten() {
        let mut callers = Callers::new(10);
        let first = callers.learn(caller("/a", 1), None);
        assert_eq!(callers.learn(caller("/a", 2), None), first);
        assert_eq!(callers.learn(caller("/a", 1), None), first, "learned again");
        let other = callers.learn(caller("/b", 3), None);
        assert_ne!(other, first);

        let ended = callers.forget(|touched| touched.credential().digest().as_bytes()[0] == 1);
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
}
