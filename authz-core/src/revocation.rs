//! The set of live revocations: asked on every request, copied cheaply on every signal; it knows no order of signals.

use std::sync::Arc;

use hashbrown::HashTable;

use crate::{
    clearance::Edition,
    facts::Caller,
    scope::{Scope, Scopes},
    signal::{Action, Signal},
    time::Timestamp,
};

/// How far one revocation reaches.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Only credentials whose `notBefore` lies before this moment are revoked; [`Timestamp::NEVER`] for all.
    ///
    /// Issuers often set `notBefore` some seconds back (SPIRE: 10), so a credential issued just after this moment may still be revoked.
    pub issued_before: Timestamp,
    /// The first moment at which the revocation is no longer in force; [`Timestamp::NEVER`] for none.
    pub expires_at: Timestamp,
}

impl Mark {
    /// Revokes every credential of its scope, for ever.
    pub const FOREVER: Self = Self { issued_before: Timestamp::NEVER, expires_at: Timestamp::NEVER };

    /// Whether it revokes, at `now`, a credential issued at `issued`.
    pub fn covers(&self, issued: Timestamp, now: Timestamp) -> bool {
        self.reaches(issued) && self.in_force(now)
    }

    /// Whether it is about a credential issued at `issued`, at whatever time.
    fn reaches(&self, issued: Timestamp) -> bool {
        self.issued_before == Timestamp::NEVER || issued < self.issued_before
    }

    fn in_force(&self, now: Timestamp) -> bool {
        self.expires_at == Timestamp::NEVER || now < self.expires_at
    }

    /// Whether `self` revokes all that `other` revokes.
    fn includes(&self, other: &Self) -> bool {
        self.issued_before >= other.issued_before && self.expires_at >= other.expires_at
    }
}

/// Live revocations by scope. A clone shares everything; a change copies one shard of [`SHARDS`].
#[derive(Clone, Debug)]
pub struct RevocationSet {
    edition: Edition,
    shards: Vec<Arc<HashTable<Entry>>>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    scope: Scope,
    marks: Arc<[Mark]>,
}

/// Balanced for 100,000 entries: copying the list of shards costs about as much as copying one shard.
const SHARDS: usize = 256;

impl Default for RevocationSet {
    fn default() -> Self {
        let empty = Arc::new(HashTable::new());
        Self { edition: Edition::default(), shards: vec![empty; SHARDS], len: 0 }
    }
}

impl RevocationSet {
    /// The first scope of `caller` that is revoked at `now`.
    ///
    /// Looks every scope up once for each edition of the set; a caller that nothing in it concerns is then known to be clear.
    pub fn revokes<'c>(&self, caller: &'c Caller, now: Timestamp) -> Option<&'c Scope> {
        if self.len == 0 || caller.clearance().is_for(self.edition) {
            return None;
        }
        let issued = caller.credential().not_before();
        let found = self.revoked(caller.scopes(), issued, now);
        // A mark that is over says nothing: the clock may be set back.
        let concerns = |scope| self.marks(scope).iter().any(|mark| mark.reaches(issued));
        if found.is_none() && !caller.scopes().iter().any(concerns) {
            caller.clearance().give(self.edition);
        }
        found
    }

    /// The first of `scopes` that revokes, at `now`, a credential issued at `issued`.
    pub fn revoked<'s>(&self, scopes: &'s Scopes, issued: Timestamp, now: Timestamp) -> Option<&'s Scope> {
        if self.len == 0 {
            return None;
        }
        scopes.iter().find(|scope| self.marks(scope).iter().any(|mark| mark.covers(issued, now)))
    }

    /// Applies one signal. Applying the same signal twice changes nothing the second time.
    pub fn apply(&mut self, signal: &Signal) {
        match signal.action {
            Action::Restore => self.restore(&signal.scope),
            Action::Revoke(mark) => self.revoke(&signal.scope, mark),
        }
    }

    /// Adds a revocation; marks that it includes are dropped, and it adds nothing to one that includes it.
    pub fn revoke(&mut self, scope: &Scope, mark: Mark) {
        let marks = self.marks(scope);
        if marks.iter().any(|old| old.includes(&mark)) {
            return;
        }
        let kept = marks.iter().filter(|old| !mark.includes(old)).copied();
        let marks = kept.chain([mark]).collect();
        self.put(scope, marks);
    }

    /// Lifts every revocation of exactly this scope.
    pub fn restore(&mut self, scope: &Scope) {
        if !self.marks(scope).is_empty() {
            self.put(scope, Vec::new());
        }
    }

    /// Forgets what is no longer in force at `now`; returns how many scopes left.
    pub fn expire(&mut self, now: Timestamp) -> usize {
        let over = |entry: &&Entry| entry.marks.iter().any(|mark| !mark.in_force(now));
        let stale: Vec<Scope> = self.entries().filter(over).map(|entry| entry.scope.clone()).collect();
        let before = self.len;
        for scope in &stale {
            let live = self.marks(scope).iter().filter(|mark| mark.in_force(now)).copied().collect();
            self.put(scope, live);
        }
        before.saturating_sub(self.len)
    }

    /// How many scopes are revoked.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Every revocation, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Scope, Mark)> {
        self.entries().flat_map(|entry| entry.marks.iter().map(move |mark| (&entry.scope, *mark)))
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    fn marks(&self, scope: &Scope) -> &[Mark] {
        let hash = scope.precomputed_hash();
        let found = self.shards.get(shard_of(hash)).and_then(|shard| shard.find(hash, |entry| entry.scope == *scope));
        found.map_or(&[], |entry| &entry.marks)
    }

    /// Replaces the marks of `scope`; the only place that changes a set.
    fn put(&mut self, scope: &Scope, marks: Vec<Mark>) {
        let hash = scope.precomputed_hash();
        let Some(shard) = self.shards.get_mut(shard_of(hash)).map(Arc::make_mut) else { return };
        self.edition = Edition::fresh();
        if let Ok(old) = shard.find_entry(hash, |entry| entry.scope == *scope) {
            old.remove();
            self.len = self.len.saturating_sub(1);
        }
        if !marks.is_empty() {
            let entry = Entry { scope: scope.clone(), marks: marks.into() };
            shard.insert_unique(hash, entry, |entry| entry.scope.precomputed_hash());
            self.len = self.len.saturating_add(1);
        }
    }
}

/// The table uses the low bits and the top seven; the shard takes others, so entries of a shard still spread.
fn shard_of(hash: u64) -> usize {
    usize::try_from((hash >> 32) % SHARDS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests;
