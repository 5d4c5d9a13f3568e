//! Connections that were accepted and not yet asked about, in the order in which they came; it asks about none.

use std::{
    collections::VecDeque,
    hash::{Hash, Hasher},
};

use hashbrown::HashSet;

/// Connections by the number of their context, each undecided until it is taken.
#[derive(Clone, Default)]
pub struct Newcomers {
    undecided: HashSet<u32>,
    // INVARIANT: every undecided connection is in here; what else is in here was taken or has gone.
    order: VecDeque<u32>,
}

impl Newcomers {
    /// A connection was accepted.
    pub fn arrive(&mut self, stream: u32) {
        if self.undecided.insert(stream) {
            self.order.push_back(stream);
        }
        if self.order.len() > 2 * self.undecided.len() + 16 {
            self.order.retain(|stream| self.undecided.contains(stream));
        }
    }

    /// Whether a connection is undecided.
    pub fn contains(&self, stream: u32) -> bool {
        self.undecided.contains(&stream)
    }

    /// Takes a connection to be decided, or that has gone; returns whether it was undecided.
    pub fn take(&mut self, stream: u32) -> bool {
        // There is none at all where requests are decided: no hash for each of them.
        !self.undecided.is_empty() && self.undecided.remove(&stream)
    }

    /// The next undecided connections to look at, at most `limit`; next time others come first.
    pub fn next(&mut self, limit: usize) -> Vec<u32> {
        let mut found = Vec::new();
        for _ in 0..self.order.len() {
            if found.len() >= limit {
                break;
            }
            let Some(stream) = self.order.pop_front() else { break };
            if self.undecided.contains(&stream) {
                self.order.push_back(stream);
                found.push(stream);
            }
        }
        found
    }
}

/// Those who are undecided, in their order.
impl Hash for Newcomers {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.order.iter().filter(|stream| self.undecided.contains(*stream)).for_each(|stream| stream.hash(state));
    }
}

#[cfg(test)]
mod tests {
    use super::Newcomers;

    #[test]
    fn all_have_their_turn_and_nobody_who_was_taken() {
        let mut newcomers = Newcomers::default();
        (1..=5).for_each(|stream| newcomers.arrive(stream));
        assert!(newcomers.take(2));
        assert!(!newcomers.take(2), "nobody is decided twice");
        assert!(!newcomers.take(9));
        assert_eq!(newcomers.next(2), [1, 3]);
        assert_eq!(newcomers.next(3), [4, 5, 1]);
        assert_eq!(newcomers.next(10), [3, 4, 5, 1]);
    }

    #[test]
    fn those_who_have_gone_leave_no_trace() {
        let mut newcomers = Newcomers::default();
        newcomers.arrive(0);
        for stream in 1..1000 {
            newcomers.arrive(stream);
            newcomers.take(stream);
            assert!(newcomers.order.len() <= 20, "{}", newcomers.order.len());
        }
        assert_eq!(newcomers.next(10), [0]);
        assert!(newcomers.order.len() == 1);
    }
}
