//! Who rests on which scope, so that a signal finds those it concerns without asking all; it does not know what a holder is.

use std::hash::Hash;

use authz_core::scope::Scope;
use hashbrown::{HashMap, HashSet};

/// Holders by scope. It is as large as its holders have scopes: who adds one removes it when it goes.
#[derive(Clone)]
pub struct ScopeIndex<H> {
    holders: HashMap<Scope, Holders<H>>,
}

/// Most scopes have one: a certificate, its number, its ID.
#[derive(Clone)]
enum Holders<H> {
    Many(HashSet<H>),
    One(H),
}

impl<H> Default for ScopeIndex<H> {
    fn default() -> Self {
        Self { holders: HashMap::new() }
    }
}

impl<H: Clone + Eq + Hash> ScopeIndex<H> {
    /// `holder` rests on each of `scopes`.
    pub fn add<'s>(&mut self, holder: &H, scopes: impl IntoIterator<Item = &'s Scope>) {
        for scope in scopes {
            match self.holders.get_mut(scope) {
                None => {
                    self.holders.insert(scope.clone(), Holders::One(holder.clone()));
                }
                Some(holders) => holders.add(holder),
            }
        }
    }

    /// `holder` no longer rests on `scopes`.
    pub fn remove<'s>(&mut self, holder: &H, scopes: impl IntoIterator<Item = &'s Scope>) {
        for scope in scopes {
            if self.holders.get_mut(scope).is_some_and(|holders| holders.remove(holder)) {
                self.holders.remove(scope);
            }
        }
    }

    /// Everybody who rests on one of `scopes`.
    pub fn resting_on<'s>(&self, scopes: impl IntoIterator<Item = &'s Scope>) -> HashSet<H> {
        let mut found = HashSet::new();
        for holders in scopes.into_iter().filter_map(|scope| self.holders.get(scope)) {
            match holders {
                Holders::Many(many) => found.extend(many.iter().cloned()),
                Holders::One(one) => {
                    found.insert(one.clone());
                }
            }
        }
        found
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.holders.clear();
    }

    /// How many scopes somebody rests on.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.holders.len()
    }
}

impl<H: Clone + Eq + Hash> Holders<H> {
    fn add(&mut self, holder: &H) {
        match self {
            Self::Many(many) => {
                many.insert(holder.clone());
            }
            Self::One(one) if one == holder => {}
            Self::One(one) => *self = Self::Many([one.clone(), holder.clone()].into_iter().collect()),
        }
    }

    /// Returns whether nobody is left.
    fn remove(&mut self, holder: &H) -> bool {
        match self {
            Self::Many(many) => {
                many.remove(holder);
                many.is_empty()
            }
            Self::One(one) => one == holder,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::machine::tests::scope;

    proptest! {
        /// The index against a look at everybody.
        #[test]
        fn it_finds_whom_a_scan_finds(
            steps in prop::collection::vec((0..6_u8, any::<bool>(), prop::collection::vec(0..5_u8, 0..4)), 0..60),
            asked in prop::collection::vec(0..6_u8, 0..4),
        ) {
            let named = |scopes: &[u8]| scopes.iter().map(|it| scope(&format!("/{it}"))).collect::<Vec<_>>();
            let mut index = ScopeIndex::default();
            let mut all: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
            for (holder, comes, scopes) in steps {
                if let Some(had) = all.remove(&holder) {
                    index.remove(&holder, &named(&had));
                }
                if comes {
                    index.add(&holder, &named(&scopes));
                    all.insert(holder, scopes);
                }
            }
            let scan = all.iter().filter(|(_, scopes)| scopes.iter().any(|it| asked.contains(it))).map(|(holder, _)| *holder);
            let mut found: Vec<u8> = index.resting_on(&named(&asked)).into_iter().collect();
            found.sort_unstable();
            prop_assert_eq!(found, scan.collect::<Vec<_>>());
            let mut used: Vec<u8> = all.into_values().flatten().collect();
            used.sort_unstable();
            used.dedup();
            prop_assert_eq!(index.len(), used.len(), "what nobody rests on is forgotten");
        }
    }
}
