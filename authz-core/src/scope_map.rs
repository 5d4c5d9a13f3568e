//! A map from scopes that is copied cheaply, however large: a clone shares everything, a change copies one path of a tree. It knows no meaning of its values.

mod iter;
mod leaf;

use std::sync::Arc;

use iter::Iter;
use leaf::Leaf;

use crate::{scope::Scope, time::Timestamp};

/// A value that has an end, so that those that are over are found without a look at all others.
pub(crate) trait Ends {
    /// The first moment at which some of it may have to go; [`Timestamp::NEVER`] for none.
    fn ends(&self) -> Timestamp;
}

/// Values by scope: a tree over the bits of the scopes' hashes.
#[derive(Clone, Debug)]
pub(crate) struct ScopeMap<V> {
    root: Tree<V>,
}

/// A tree, and what is known of it without entering it.
#[derive(Clone, Debug)]
struct Tree<V> {
    len: usize,
    // INVARIANT: the least of its values' ends, so that an expiry visits only what is over.
    ends: Timestamp,
    node: Node<V>,
}

#[derive(Clone, Debug)]
enum Node<V> {
    Branch(Arc<[Tree<V>; FANOUT]>),
    Empty,
    Leaf(Arc<Leaf<V>>),
}

/// Trees of a branch: copying one costs about as much as copying a leaf.
const FANOUT: usize = 16;
const BITS: u32 = FANOUT.ilog2();
/// The hash has no bits for more levels: whoever shares all of them shares a leaf, of whatever size.
const MAX_DEPTH: u32 = u64::BITS / BITS;
/// Entries of a leaf before it splits.
const LEAF: usize = 24;
/// A branch with so few entries becomes a leaf again; less than [`LEAF`], lest one scope that comes and goes split it each time.
const FEW: usize = LEAF / 2;

impl<V> Default for ScopeMap<V> {
    fn default() -> Self {
        Self { root: Tree::EMPTY }
    }
}

impl<V> ScopeMap<V> {
    /// The value of `scope`.
    pub fn get(&self, scope: &Scope) -> Option<&V> {
        let mut node = &self.root.node;
        let mut hash = scope.precomputed_hash();
        loop {
            match node {
                Node::Branch(trees) => node = &trees.get(slot_of(hash))?.node,
                Node::Empty => return None,
                Node::Leaf(leaf) => return leaf.get(scope),
            }
            hash = hash.wrapping_shr(BITS);
        }
    }

    /// Every entry, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Scope, &V)> {
        self.ending_by(Timestamp::NEVER)
    }

    /// At least every entry that ends at `moment` or before; costs nothing for those that share no leaf with such.
    pub fn ending_by(&self, moment: Timestamp) -> impl Iterator<Item = (&Scope, &V)> {
        Iter::new(&self.root, moment)
    }

    /// The first moment by which an entry ends; [`Timestamp::NEVER`] for none.
    pub fn next_end(&self) -> Timestamp {
        self.root.ends
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.root.len
    }
}

impl<V: Clone + Ends> ScopeMap<V> {
    /// Replaces the value of `scope`; without one the scope leaves.
    pub fn put(&mut self, scope: &Scope, value: Option<V>) {
        match value {
            Some(value) => self.root.insert(scope, value, 0),
            None if self.get(scope).is_none() => {}
            None => self.root.remove(scope, 0),
        }
    }
}

impl<V> Tree<V> {
    const EMPTY: Self = Self { len: 0, ends: Timestamp::NEVER, node: Node::Empty };
}

impl<V: Clone + Ends> Tree<V> {
    fn insert(&mut self, scope: &Scope, value: V, depth: u32) {
        match &mut self.node {
            Node::Branch(trees) => {
                if let Some(tree) = Arc::make_mut(trees).get_mut(slot_of(hash_at(scope, depth))) {
                    tree.insert(scope, value, depth.saturating_add(1));
                }
            }
            Node::Empty => self.node = Node::Leaf(Arc::new(Leaf::of(scope, value))),
            Node::Leaf(leaf) => {
                let leaf = Arc::make_mut(leaf);
                leaf.insert(scope, value);
                if leaf.len() > LEAF && depth < MAX_DEPTH {
                    self.node = split(std::mem::take(leaf), depth);
                }
            }
        }
        self.sum_up();
    }

    /// Takes out `scope`, which is there.
    fn remove(&mut self, scope: &Scope, depth: u32) {
        match &mut self.node {
            Node::Branch(trees) => {
                if let Some(tree) = Arc::make_mut(trees).get_mut(slot_of(hash_at(scope, depth))) {
                    tree.remove(scope, depth.saturating_add(1));
                }
            }
            Node::Empty => {}
            Node::Leaf(leaf) => Arc::make_mut(leaf).remove(scope),
        }
        self.sum_up();
        if self.len == 0 {
            self.node = Node::Empty;
        } else if self.len <= FEW && matches!(self.node, Node::Branch(_)) {
            let mut gathered = Leaf::default();
            Iter::new(self, Timestamp::NEVER).for_each(|(scope, value)| gathered.insert(scope, value.clone()));
            self.node = Node::Leaf(Arc::new(gathered));
        }
    }

    fn sum_up(&mut self) {
        (self.len, self.ends) = match &self.node {
            Node::Branch(trees) => {
                let ends = trees.iter().map(|tree| tree.ends).min().unwrap_or(Timestamp::NEVER);
                (trees.iter().map(|tree| tree.len).sum(), ends)
            }
            Node::Empty => (0, Timestamp::NEVER),
            Node::Leaf(leaf) => (leaf.len(), leaf.ends()),
        };
    }
}

/// Where all are in one half of the hashes, the next insertion splits again.
fn split<V: Clone + Ends>(leaf: Leaf<V>, depth: u32) -> Node<V> {
    let mut trees = [Tree::EMPTY; FANOUT];
    for (scope, value) in leaf.into_entries() {
        if let Some(tree) = trees.get_mut(slot_of(hash_at(&scope, depth))) {
            tree.insert(&scope, value, depth.saturating_add(1));
        }
    }
    Node::Branch(Arc::new(trees))
}

/// The bits that decide at `depth` and below.
fn hash_at(scope: &Scope, depth: u32) -> u64 {
    scope.precomputed_hash().checked_shr(depth.saturating_mul(BITS)).unwrap_or(0)
}

fn slot_of(hash: u64) -> usize {
    usize::try_from(hash % FANOUT as u64).unwrap_or(0)
}

#[cfg(test)]
pub(crate) mod tests;
