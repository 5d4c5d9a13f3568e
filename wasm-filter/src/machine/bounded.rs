//! A map that forgets what came first when it is full; it knows nothing of what it holds.

use std::{
    collections::VecDeque,
    hash::{Hash, Hasher},
};

use hashbrown::{Equivalent, HashMap};

/// A map of at most `limit` entries.
#[derive(Clone)]
pub struct Bounded<K, V> {
    limit: usize,
    stamp: u64,
    entries: HashMap<K, Entry<V>>,
    // INVARIANT: every entry is in here once with its own stamp; other stamps of its key are of earlier lives.
    order: VecDeque<(u64, K)>,
}

#[derive(Clone)]
struct Entry<V> {
    stamp: u64,
    value: V,
}

impl<K: Hash + Eq + Clone, V> Bounded<K, V> {
    /// An empty map for at most `limit` entries, at least one.
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), stamp: 0, entries: HashMap::new(), order: VecDeque::new() }
    }

    /// The value of `key`.
    pub fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// The value under `key`, to be changed.
    pub fn get_mut<Q: Hash + Equivalent<K> + ?Sized>(&mut self, key: &Q) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Puts `value` under `key` and returns what had to go for it: the former value, or the oldest entry's.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Some(entry) = self.entries.get_mut(&key) {
            return Some(std::mem::replace(&mut entry.value, value));
        }
        let gone = if self.entries.len() >= self.limit { self.remove_oldest() } else { None };
        self.stamp = self.stamp.wrapping_add(1);
        self.order.push_back((self.stamp, key.clone()));
        self.entries.insert(key, Entry { stamp: self.stamp, value });
        self.compact();
        gone
    }

    /// Takes the value of `key` out.
    pub fn remove<Q: Hash + Equivalent<K> + ?Sized>(&mut self, key: &Q) -> Option<V> {
        let gone = self.entries.remove(key).map(|entry| entry.value);
        self.compact();
        gone
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
    }

    /// Every value, in no order.
    #[cfg(test)]
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values().map(|entry| &entry.value)
    }

    /// How many entries there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    fn remove_oldest(&mut self) -> Option<V> {
        while let Some((stamp, key)) = self.order.pop_front() {
            if self.entries.get(&key).is_some_and(|entry| entry.stamp == stamp) {
                return self.entries.remove(&key).map(|entry| entry.value);
            }
        }
        None
    }

    /// Removed entries leave their place in the order behind; half of it may be such.
    fn compact(&mut self) {
        if self.order.len() > 2 * self.entries.len() + 16 {
            let entries = &self.entries;
            self.order.retain(|(stamp, key)| entries.get(key).is_some_and(|entry| entry.stamp == *stamp));
        }
    }
}

/// The entries in the order in which they would have to go.
impl<K: Hash + Eq, V: Hash> Hash for Bounded<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for (stamp, key) in &self.order {
            if let Some(entry) = self.entries.get(key).filter(|entry| entry.stamp == *stamp) {
                (key, &entry.value).hash(state);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Bounded;

    #[test]
    fn the_oldest_goes_when_it_is_full() {
        let mut map = Bounded::new(2);
        assert_eq!(map.insert('a', 1), None);
        assert_eq!(map.insert('b', 2), None);
        assert_eq!(map.insert('a', 3), Some(1), "a new value does not make it younger");
        assert_eq!(map.insert('c', 4), Some(3));
        assert_eq!((map.get(&'a'), map.get(&'b'), map.get(&'c')), (None, Some(&2), Some(&4)));
    }

    #[test]
    fn a_removed_entry_that_comes_back_is_young() {
        let mut map = Bounded::new(2);
        map.insert('a', 1);
        map.insert('b', 2);
        assert_eq!((map.remove(&'a'), map.remove(&'a')), (Some(1), None));
        map.insert('a', 3);
        assert_eq!(map.insert('c', 4), Some(2));
    }

    proptest! {
        #[test]
        fn it_never_outgrows_its_bounds(steps in prop::collection::vec((any::<bool>(), 0..20_u8), 0..400)) {
            let mut map = Bounded::new(5);
            for (insert, key) in steps {
                if insert {
                    map.insert(key, key);
                    prop_assert_eq!(map.get(&key), Some(&key));
                } else {
                    map.remove(&key);
                    prop_assert_eq!(map.get(&key), None);
                }
                prop_assert!(map.len() <= 5);
                prop_assert!(map.order.len() <= 2 * map.len() + 17);
            }
        }
    }
}
