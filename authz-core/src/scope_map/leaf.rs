//! A few entries side by side, found by a byte of their hashes first. It knows no tree.

use super::Ends;
use crate::{scope::Scope, time::Timestamp};

/// Entries in no order.
#[derive(Clone, Debug)]
pub(super) struct Leaf<V> {
    // INVARIANT: one tag for each entry, in the same order: a scope that is not there is mostly known by them alone.
    tags: Vec<u8>,
    entries: Vec<(Scope, V)>,
}

impl<V> Default for Leaf<V> {
    fn default() -> Self {
        Self { tags: Vec::new(), entries: Vec::new() }
    }
}

impl<V> Leaf<V> {
    pub(super) fn get(&self, scope: &Scope) -> Option<&V> {
        self.position(scope).and_then(|at| self.entries.get(at)).map(|(_, value)| value)
    }

    pub(super) fn entries(&self) -> &[(Scope, V)] {
        &self.entries
    }

    pub(super) fn into_entries(self) -> Vec<(Scope, V)> {
        self.entries
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn remove(&mut self, scope: &Scope) {
        if let Some(at) = self.position(scope) {
            self.tags.swap_remove(at);
            self.entries.swap_remove(at);
        }
    }

    pub(super) fn insert(&mut self, scope: &Scope, value: V) {
        if let Some((_, old)) = self.position(scope).and_then(|at| self.entries.get_mut(at)) {
            *old = value;
            return;
        }
        // There are very many leaves: none has room that it does not use.
        self.tags.reserve_exact(1);
        self.tags.push(tag_of(scope));
        self.entries.reserve_exact(1);
        self.entries.push((scope.clone(), value));
    }

    fn position(&self, scope: &Scope) -> Option<usize> {
        let tag = tag_of(scope);
        let same = |at: &usize| self.entries.get(*at).is_some_and(|(known, _)| known == scope);
        (0..).zip(&self.tags).filter(|(_, known)| **known == tag).map(|(at, _)| at).find(same)
    }
}

impl<V: Ends> Leaf<V> {
    pub(super) fn of(scope: &Scope, value: V) -> Self {
        let mut leaf = Self::default();
        leaf.insert(scope, value);
        leaf
    }

    pub(super) fn ends(&self) -> Timestamp {
        self.entries.iter().map(|(_, value)| value.ends()).min().unwrap_or(Timestamp::NEVER)
    }
}

/// Of the bits that the tree uses last.
fn tag_of(scope: &Scope) -> u8 {
    let [tag, ..] = scope.precomputed_hash().to_be_bytes();
    tag
}
