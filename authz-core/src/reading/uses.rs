//! In which ways policies use facts, collected; the same in whatever order and however often it is said.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use super::Test;
use crate::plan::Read;

/// How each fact is used.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct Uses(BTreeMap<Read, Use>);

/// How one fact is used.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Use {
    /// Only by these tests, and by whether it is there.
    Tests(BTreeSet<Test>),
    /// In any way.
    Whole,
}

impl Uses {
    /// It is asked whether the fact is there.
    pub fn presence(&mut self, read: Read) {
        self.0.entry(read).or_insert_with(|| Use::Tests(BTreeSet::new()));
    }

    /// The fact is tested, which also tells whether it is there.
    pub fn test(&mut self, read: Read, test: Test) {
        match self.0.entry(read) {
            Entry::Occupied(mut known) => {
                if let Use::Tests(tests) = known.get_mut() {
                    tests.insert(test);
                }
            }
            Entry::Vacant(free) => {
                free.insert(Use::Tests(BTreeSet::from([test])));
            }
        }
    }

    /// The fact is used in a way that no test describes.
    pub fn whole(&mut self, read: Read) {
        self.0.insert(read, Use::Whole);
    }

    /// Adds the uses of others.
    pub fn add(&mut self, others: &Self) {
        for (read, used) in others.iter() {
            match used {
                Use::Whole => self.whole(read.clone()),
                Use::Tests(tests) => {
                    self.presence(read.clone());
                    for test in tests {
                        self.test(read.clone(), test.clone());
                    }
                }
            }
        }
    }

    /// Every fact used, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Read, &Use)> {
        self.0.iter()
    }

    /// Whether this fact is used.
    pub fn has(&self, read: &Read) -> bool {
        self.0.contains_key(read)
    }

    /// Whether no fact is used.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// All of them whole.
impl FromIterator<Read> for Uses {
    fn from_iter<I: IntoIterator<Item = Read>>(reads: I) -> Self {
        Self(reads.into_iter().map(|read| (read, Use::Whole)).collect())
    }
}
