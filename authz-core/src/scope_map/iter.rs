//! A walk over those trees of a map that hold something which ends by a moment. It changes nothing.

use std::slice;

use super::{Node, Tree};
use crate::{scope::Scope, time::Timestamp};

/// Every entry of every leaf that has one ending at `moment` or before.
pub(super) struct Iter<'m, V> {
    moment: Timestamp,
    // Trees still to be visited, a level each.
    levels: Vec<slice::Iter<'m, Tree<V>>>,
    leaf: slice::Iter<'m, (Scope, V)>,
}

impl<'m, V> Iter<'m, V> {
    pub(super) fn new(root: &'m Tree<V>, moment: Timestamp) -> Self {
        Self { moment, levels: vec![slice::from_ref(root).iter()], leaf: [].iter() }
    }
}

impl<'m, V> Iterator for Iter<'m, V> {
    type Item = (&'m Scope, &'m V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((scope, value)) = self.leaf.next() {
                return Some((scope, value));
            }
            let moment = self.moment;
            match self.levels.last_mut()?.find(|tree| tree.ends <= moment).map(|tree| &tree.node) {
                Some(Node::Branch(trees)) => self.levels.push(trees.iter()),
                Some(Node::Empty) => {}
                Some(Node::Leaf(leaf)) => self.leaf = leaf.entries().iter(),
                None => drop(self.levels.pop()),
            }
        }
    }
}
