//! Requests and connections that were allowed and have not ended, by whom they rest on; it ends none itself.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use authz_core::{facts::Caller, hops::Chain, identity::Digest, revocation::Mark, scope::Scope, time::Timestamp};
use hashbrown::{Equivalent, HashMap, HashSet};

use super::scope_index::ScopeIndex;

/// Live streams by the number of their context, in groups that rest on the same certificates.
#[derive(Clone, Default)]
pub struct Streams {
    // The place of a stream's group; none for one of somebody who proved nothing.
    live: HashMap<u32, Option<usize>>,
    groups: Vec<Option<Group>>,
    free: Vec<usize>,
    names: HashMap<Name, usize>,
    index: ScopeIndex<usize>,
    // Groups without a stream stay for a while: the next request of the same caller needs no new one.
    idle: usize,
}

/// Revocations that have just come into force.
#[derive(Default)]
pub struct Cuts(HashMap<Scope, Vec<Mark>>);

/// Those who are streams' caller and behind it.
#[derive(Clone)]
struct Group {
    caller: Arc<Caller>,
    behind: Option<Arc<Chain>>,
    streams: HashSet<u32>,
}

/// The certificates that a group rests on.
#[derive(Clone, PartialEq, Eq)]
struct Name(Box<[Digest]>);

/// The same, not yet gathered.
struct Naming<'a> {
    caller: &'a Caller,
    behind: Option<&'a Chain>,
}

/// Idle groups beyond this many, and half of all, are swept out.
const MAX_IDLE: usize = 64;

impl Streams {
    /// A stream was allowed; nobody is known to have asked for it where a policy lets such in.
    pub fn open(&mut self, stream: u32, caller: Option<&Arc<Caller>>, behind: Option<&Arc<Chain>>) {
        let at = caller.map(|caller| self.place(caller, behind));
        if let Some(Some(before)) = self.live.insert(stream, at) {
            self.leave(before, stream);
        }
        let Some(group) = at.and_then(|at| self.groups.get_mut(at)?.as_mut()) else { return };
        if group.streams.is_empty() {
            self.idle = self.idle.saturating_sub(1);
        }
        group.streams.insert(stream);
    }

    /// A stream ended.
    pub fn close(&mut self, stream: u32) {
        if let Some(Some(at)) = self.live.remove(&stream) {
            self.leave(at, stream);
            self.sweep_if_due();
        }
    }

    /// Whether it is live.
    pub fn is_open(&self, stream: u32) -> bool {
        self.live.contains_key(&stream)
    }

    /// Takes out the streams of which `cuts` covers the caller or one behind it.
    pub fn cut(&mut self, cuts: &Cuts, now: Timestamp) -> Vec<u32> {
        let mut cut = Vec::new();
        for at in self.index.resting_on(cuts.0.keys()) {
            let Some(group) = self.groups.get_mut(at).and_then(Option::as_mut) else { continue };
            if group.is_covered(cuts, now) && !group.streams.is_empty() {
                cut.extend(group.streams.drain());
                self.idle = self.idle.saturating_add(1);
            }
        }
        for stream in &cut {
            self.live.remove(stream);
        }
        self.sweep_if_due();
        cut.sort_unstable();
        cut
    }

    /// How many [`Streams::cut`] would take out.
    pub fn count(&self, cuts: &Cuts, now: Timestamp) -> usize {
        let groups = self.index.resting_on(cuts.0.keys()).into_iter().filter_map(|at| self.groups.get(at)?.as_ref());
        groups.filter(|group| group.is_covered(cuts, now)).map(|group| group.streams.len()).sum()
    }

    /// Every scope that a stream rests on.
    pub fn scopes(&self) -> HashSet<&Scope> {
        self.groups.iter().flatten().filter(|group| !group.streams.is_empty()).flat_map(Group::scopes).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    fn place(&mut self, caller: &Arc<Caller>, behind: Option<&Arc<Chain>>) -> usize {
        let naming = Naming { caller, behind: behind.map(AsRef::as_ref) };
        if let Some(at) = self.names.get(&naming) {
            return *at;
        }
        let at = self.free.pop().unwrap_or(self.groups.len());
        self.names.insert(Name(naming.digests().copied().collect()), at);
        let group = Group { caller: Arc::clone(caller), behind: behind.cloned(), streams: HashSet::new() };
        self.index.add(&at, group.scopes());
        match self.groups.get_mut(at) {
            Some(place) => *place = Some(group),
            None => self.groups.push(Some(group)),
        }
        self.idle = self.idle.saturating_add(1);
        at
    }

    fn leave(&mut self, at: usize, stream: u32) {
        let Some(group) = self.groups.get_mut(at).and_then(Option::as_mut) else { return };
        if group.streams.remove(&stream) && group.streams.is_empty() {
            self.idle = self.idle.saturating_add(1);
        }
    }

    fn sweep_if_due(&mut self) {
        if self.idle <= MAX_IDLE.max(self.names.len() / 2) {
            return;
        }
        for (at, place) in self.groups.iter_mut().enumerate() {
            let Some(group) = place.take_if(|group| group.streams.is_empty()) else { continue };
            self.index.remove(&at, group.scopes());
            self.names.remove(&Naming { caller: &group.caller, behind: group.behind.as_deref() });
            self.free.push(at);
        }
        self.idle = 0;
    }
}

impl Cuts {
    /// One more.
    pub fn add(&mut self, scope: &Scope, mark: Mark) {
        self.0.entry_ref(scope).or_default().push(mark);
    }

    fn cover(&self, party: &Caller, now: Timestamp) -> bool {
        let issued = party.credential().not_before();
        let mut marks = party.scopes().iter().filter_map(|scope| self.0.get(scope)).flatten();
        marks.any(|mark| mark.covers(issued, now))
    }
}

impl Group {
    fn parties(&self) -> impl Iterator<Item = &Caller> {
        let behind = self.behind.iter().flat_map(|chain| chain.hops());
        [&self.caller].into_iter().chain(behind).map(AsRef::as_ref)
    }

    fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.parties().flat_map(|party| party.scopes().iter())
    }

    fn is_covered(&self, cuts: &Cuts, now: Timestamp) -> bool {
        self.parties().any(|party| cuts.cover(party, now))
    }
}

impl Naming<'_> {
    fn digests(&self) -> impl Iterator<Item = &Digest> {
        let behind = self.behind.into_iter().flat_map(Chain::hops);
        [self.caller].into_iter().chain(behind.map(AsRef::as_ref)).map(|party| party.credential().digest())
    }
}

/// Which streams rest on what; the places of groups decide nothing.
impl Hash for Streams {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut live: Vec<(&u32, &Option<usize>)> = self.live.iter().collect();
        live.sort_by_key(|(stream, _)| **stream);
        for (stream, at) in live {
            stream.hash(state);
            let group = at.and_then(|at| self.groups.get(at)?.as_ref());
            group.iter().flat_map(|group| group.parties()).for_each(|party| party.credential().hash(state));
        }
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|digest| digest.hash(state));
    }
}

impl Hash for Naming<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digests().for_each(|digest| digest.hash(state));
    }
}

impl Equivalent<Name> for Naming<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        self.digests().eq(name.0.iter())
    }
}

#[cfg(test)]
mod tests;
