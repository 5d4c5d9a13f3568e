//! A map from scopes that is copied cheaply: a clone shares everything, a change copies one shard. It knows no meaning of its values.

use std::sync::Arc;

use hashbrown::HashTable;

use crate::scope::Scope;

/// Values by scope.
#[derive(Clone, Debug)]
pub(crate) struct Sharded<V> {
    shards: Vec<Arc<HashTable<(Scope, V)>>>,
    len: usize,
}

/// Balanced for 100,000 entries: copying the list of shards costs about as much as copying one shard.
pub(crate) const SHARDS: usize = 256;

impl<V> Default for Sharded<V> {
    fn default() -> Self {
        let empty = Arc::new(HashTable::new());
        Self { shards: vec![empty; SHARDS], len: 0 }
    }
}

impl<V: Clone> Sharded<V> {
    /// The value of `scope`.
    pub fn get(&self, scope: &Scope) -> Option<&V> {
        let hash = scope.precomputed_hash();
        let found = self.shards.get(shard_of(hash))?.find(hash, |(known, _)| known == scope);
        found.map(|(_, value)| value)
    }

    /// Replaces the value of `scope`; without one the scope leaves.
    pub fn put(&mut self, scope: &Scope, value: Option<V>) {
        let hash = scope.precomputed_hash();
        let Some(shard) = self.shards.get_mut(shard_of(hash)).map(Arc::make_mut) else { return };
        if let Ok(old) = shard.find_entry(hash, |(known, _)| known == scope) {
            old.remove();
            self.len = self.len.saturating_sub(1);
        }
        if let Some(value) = value {
            shard.insert_unique(hash, (scope.clone(), value), |(known, _)| known.precomputed_hash());
            self.len = self.len.saturating_add(1);
        }
    }

    /// Every entry, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Scope, &V)> {
        self.shards.iter().flat_map(|shard| shard.iter()).map(|(scope, value)| (scope, value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many shards are the same memory as in `other`.
    #[cfg(test)]
    pub fn shared_with(&self, other: &Self) -> usize {
        self.shards.iter().zip(&other.shards).filter(|(one, other)| Arc::ptr_eq(one, other)).count()
    }
}

/// The table uses the low bits and the top seven; the shard takes others, so entries of a shard still spread.
fn shard_of(hash: u64) -> usize {
    usize::try_from((hash >> 32) % SHARDS as u64).unwrap_or(0)
}
