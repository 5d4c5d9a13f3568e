//! Decisions by exact key, a bounded number of them, with the hits not yet counted; it does not know what a key means.

use std::{
    hash::{self, BuildHasher, Hasher},
    sync::Arc,
};

use authz_core::{
    decision::{DecisionId, Verdict},
    facts::Caller,
    hops::Chain,
    reason::Reason,
    scope::Scope,
    time::Timestamp,
};
use hashbrown::{DefaultHashBuilder, HashMap, HashSet, HashTable};

use super::scope_index::ScopeIndex;

/// A cache with clock eviction: what was asked for since the hand came by last stays.
#[derive(Clone)]
pub struct Decisions {
    limit: usize,
    seed: [u8; 16],
    hasher: DefaultHashBuilder,
    index: HashTable<usize>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    hand: usize,
    dirty: Vec<usize>,
    // INVARIANT: every decision kept is in the first by its generation, and in the second by the scopes of who was behind.
    generations: HashMap<u64, HashSet<usize>>,
    behind: ScopeIndex<usize>,
}

/// A decision as the filter keeps it.
#[derive(Clone)]
pub struct Kept {
    /// Names the evaluation.
    pub id: DecisionId,
    /// What happens to the request.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// First moment at which it no longer holds.
    pub holds_until: Timestamp,
    /// The generation of the caller it was made for.
    pub generation: u64,
    /// For whom it was made.
    pub caller: Arc<Caller>,
    /// Who was behind, if anybody.
    pub behind: Option<Arc<Chain>>,
    /// Whether it rests on risk or posture of any of them.
    pub reads_standings: bool,
}

/// Answers given from one decision since they were last collected.
pub struct Tally {
    /// The decision.
    pub kept: Kept,
    /// How many answers.
    pub count: u64,
    /// When the last was given.
    pub last: Timestamp,
}

/// Why there is no decision to answer from.
#[derive(PartialEq, Eq, Debug)]
pub enum Miss {
    /// There is none.
    Absent,
    /// It holds no longer.
    TooOld,
}

#[derive(Clone)]
struct Slot {
    hash: u64,
    key: Box<[u8]>,
    kept: Kept,
    asked_for: bool,
    hits: u64,
    last_hit: Timestamp,
}

/// Longer keys are not kept, so that callers cannot fill the memory: `max_decisions` × this bounds all keys.
pub const MAX_KEY: usize = 4096;

impl Decisions {
    /// Keeps at most `limit` decisions. The seed is unknown to callers, so that they cannot aim for one hash.
    pub fn new(limit: usize, seed: [u8; 16]) -> Self {
        Self {
            limit,
            seed,
            hasher: DefaultHashBuilder::default(),
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            hand: 0,
            dirty: Vec::new(),
            generations: HashMap::new(),
            behind: ScopeIndex::default(),
        }
    }

    /// Counts one answer from the decision under `key` and returns it. Allocates nothing, but for room in a list.
    pub fn answer(&mut self, key: &[u8], generation: u64, now: Timestamp) -> Result<&Kept, Miss> {
        let at = self.find(self.hash(key), key).ok_or(Miss::Absent)?;
        let slots = self.slots.len();
        let slot = self.slots.get_mut(at).and_then(Option::as_mut).ok_or(Miss::Absent)?;
        if slot.kept.generation != generation {
            return Err(Miss::Absent);
        }
        if slot.kept.holds_until <= now {
            return Err(Miss::TooOld);
        }
        if slot.hits == 0 {
            self.dirty.push(at);
            // Slots that were evicted and filled again are in the list twice; without this it would only ever grow.
            if self.dirty.len() > slots.saturating_mul(2) {
                self.dirty.sort_unstable();
                self.dirty.dedup();
            }
        }
        slot.hits = slot.hits.saturating_add(1);
        slot.last_hit = now;
        slot.asked_for = true;
        Ok(&slot.kept)
    }

    /// Keeps a decision; returns the uncounted hits of the one that had to go for it.
    pub fn insert(&mut self, key: &[u8], kept: Kept) -> Option<Tally> {
        if self.limit == 0 || key.len() > MAX_KEY {
            return None;
        }
        let hash = self.hash(key);
        let gone = match self.find(hash, key) {
            Some(same) => self.take(same),
            None if self.index.len() >= self.limit => self.evict(),
            None => None,
        };
        let slot = Slot { hash, key: key.into(), kept, asked_for: false, hits: 0, last_hit: Timestamp::default() };
        self.put(slot);
        gone.and_then(Slot::tally)
    }

    /// Drops all decisions; returns their uncounted hits.
    pub fn clear(&mut self) -> Vec<Tally> {
        self.drop_all(0..self.slots.len())
    }

    /// Drops the decisions of these generations; returns their uncounted hits.
    pub fn end(&mut self, generations: &HashSet<u64>) -> Vec<Tally> {
        let dead: Vec<HashSet<usize>> = generations.iter().filter_map(|it| self.generations.remove(it)).collect();
        self.drop_all(dead.into_iter().flatten())
    }

    /// Drops the decisions that somebody was behind who rests on one of `scopes`; returns their uncounted hits.
    pub fn forget<'s>(&mut self, scopes: impl IntoIterator<Item = &'s Scope>) -> Vec<Tally> {
        self.drop_all(self.behind.resting_on(scopes))
    }

    /// Drops those decisions that rest on risk or posture, of these generations or with somebody behind who rests on one of
    /// `scopes`; returns their uncounted hits.
    pub fn forget_restated<'s>(
        &mut self,
        generations: &HashSet<u64>,
        scopes: impl IntoIterator<Item = &'s Scope>,
    ) -> Vec<Tally> {
        let mut found = self.behind.resting_on(scopes);
        found.extend(generations.iter().filter_map(|it| self.generations.get(it)).flatten());
        found.retain(|at| self.slots.get(*at).and_then(Option::as_ref).is_some_and(|slot| slot.kept.reads_standings));
        self.drop_all(found)
    }

    /// How many decisions are of these generations, or had somebody behind who rests on one of `scopes`.
    pub fn count<'s>(&self, generations: &HashSet<u64>, scopes: impl IntoIterator<Item = &'s Scope>) -> usize {
        let mut found = self.behind.resting_on(scopes);
        found.extend(generations.iter().filter_map(|it| self.generations.get(it)).flatten());
        found.len()
    }

    fn drop_all(&mut self, slots: impl IntoIterator<Item = usize>) -> Vec<Tally> {
        // In an order of its own, so that the same input always leaves the same places.
        let mut slots: Vec<usize> = slots.into_iter().collect();
        slots.sort_unstable();
        slots.into_iter().filter_map(|at| self.take(at)).filter_map(Slot::tally).collect()
    }

    /// Collects uncounted hits of up to `limit` decisions, which stay.
    pub fn collect(&mut self, limit: usize) -> Vec<Tally> {
        let mut tallies = Vec::new();
        while tallies.len() < limit {
            let Some(at) = self.dirty.pop() else { break };
            let slot = self.slots.get_mut(at).and_then(Option::as_mut);
            let Some(slot) = slot.filter(|slot| slot.hits > 0) else { continue };
            let count = std::mem::take(&mut slot.hits);
            tallies.push(Tally { kept: slot.kept.clone(), count, last: slot.last_hit });
        }
        tallies
    }

    /// How many decisions are kept.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(&self.seed);
        hasher.write(key);
        hasher.finish()
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let same = |slot: &Slot| slot.hash == hash && *slot.key == *key;
        self.index.find(hash, |at| self.slots.get(*at).and_then(Option::as_ref).is_some_and(same)).copied()
    }

    fn put(&mut self, slot: Slot) {
        let hash = slot.hash;
        let at = self.free.pop().unwrap_or(self.slots.len());
        self.generations.entry(slot.kept.generation).or_default().insert(at);
        self.behind.add(&at, slot.kept.scopes_behind());
        match self.slots.get_mut(at) {
            Some(place) => *place = Some(slot),
            None => self.slots.push(Some(slot)),
        }
        let slots = &self.slots;
        let hash_of = |at: &usize| slots.get(*at).and_then(Option::as_ref).map_or(0, |slot| slot.hash);
        self.index.insert_unique(hash, at, hash_of);
    }

    fn take(&mut self, at: usize) -> Option<Slot> {
        let slot = self.slots.get_mut(at)?.take()?;
        if let Ok(entry) = self.index.find_entry(slot.hash, |other| *other == at) {
            entry.remove();
        }
        self.free.push(at);
        let Kept { generation, .. } = &slot.kept;
        if let Some(others) = self.generations.get_mut(generation) {
            others.remove(&at);
            if others.is_empty() {
                self.generations.remove(generation);
            }
        }
        self.behind.remove(&at, slot.kept.scopes_behind());
        Some(slot)
    }

    /// Two rounds of the hand find one: the first takes every excuse away.
    fn evict(&mut self) -> Option<Slot> {
        for _ in 0..=self.slots.len().saturating_mul(2) {
            let at = self.hand;
            let next = at.saturating_add(1);
            self.hand = if next < self.slots.len() { next } else { 0 };
            let Some(slot) = self.slots.get_mut(at).and_then(Option::as_mut) else { continue };
            if !std::mem::take(&mut slot.asked_for) {
                return self.take(at);
            }
        }
        None
    }
}

impl Kept {
    fn scopes_behind(&self) -> impl Iterator<Item = &Scope> {
        self.behind.iter().flat_map(|chain| chain.hops()).flat_map(|hop| hop.scopes().iter())
    }
}

impl Slot {
    fn tally(self) -> Option<Tally> {
        (self.hits > 0).then_some(Tally { kept: self.kept, count: self.hits, last: self.last_hit })
    }
}

/// What is kept and what goes next; the hits not yet counted decide nothing.
impl hash::Hash for Decisions {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash::Hash::hash(&(self.hand, &self.free, &self.slots), state);
    }
}

impl hash::Hash for Slot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Kept { id, verdict, reason, holds_until, generation, caller, behind, reads_standings } = &self.kept;
        let kept = (id, verdict, reason, holds_until, generation, caller.credential(), reads_standings);
        hash::Hash::hash(&(&self.key, self.asked_for, kept), state);
        let hops = behind.iter().flat_map(|chain| chain.hops());
        hops.for_each(|hop| hash::Hash::hash(hop.credential(), state));
    }
}

#[cfg(test)]
mod tests;
