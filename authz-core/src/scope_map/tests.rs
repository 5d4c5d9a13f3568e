//! The map against one that anybody can read, through growth, splits, collisions and clones.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::*;

impl Ends for u64 {
    fn ends(&self) -> Timestamp {
        Timestamp::from_millis(*self)
    }
}

impl<V: Ends> ScopeMap<V> {
    /// How many nodes are not the same memory as in `other`.
    pub(crate) fn copied_from(&self, other: &Self) -> usize {
        self.root.copied_from(&other.root)
    }
}

impl<V: Ends> Tree<V> {
    fn copied_from(&self, other: &Self) -> usize {
        match (&self.node, &other.node) {
            (Node::Branch(one), Node::Branch(other)) if Arc::ptr_eq(one, other) => 0,
            (Node::Branch(one), Node::Branch(other)) => {
                1 + one.iter().zip(other.iter()).map(|(one, other)| one.copied_from(other)).sum::<usize>()
            }
            (Node::Empty, Node::Empty) => 0,
            (Node::Leaf(one), Node::Leaf(other)) if Arc::ptr_eq(one, other) => 0,
            _ => 1,
        }
    }

    /// Every sum is right, nothing stands where nobody looks, and no leaf is larger than it need be.
    fn check(&self, depth: u32, path: u64) {
        let entries: Vec<_> = Iter::new(self, Timestamp::NEVER).collect();
        assert_eq!(self.len, entries.len());
        assert_eq!(self.ends, entries.iter().map(|(_, it)| it.ends()).min().unwrap_or(Timestamp::NEVER));
        let mask = 1_u64.checked_shl(depth * BITS).map_or(u64::MAX, |bit| bit - 1);
        assert!(entries.iter().all(|(scope, _)| scope.precomputed_hash() & mask == path));
        match &self.node {
            Node::Branch(trees) => {
                assert!(self.len > FEW);
                for (slot, tree) in (0..).zip(trees.iter()) {
                    tree.check(depth + 1, path | (slot << (depth * BITS)));
                }
            }
            Node::Empty => assert_eq!(self.len, 0),
            Node::Leaf(leaf) => assert!(leaf.len() > 0 && (leaf.len() <= LEAF || depth == MAX_DEPTH)),
        }
    }
}

fn scope(number: u64) -> Scope {
    format!("token:t{number}").parse().unwrap()
}

/// How the hashes of a test's scopes lie.
#[derive(Copy, Clone, Debug)]
enum Hashes {
    /// As they are.
    Own,
    /// All the same.
    Same,
    /// The same but for the bits that are looked at last.
    Top,
}

impl Hashes {
    fn scope(self, number: u64) -> Scope {
        match self {
            Self::Own => scope(number),
            Self::Same => scope(number).with_hash(0x1234_5678_9abc_def0),
            Self::Top => scope(number).with_hash(number << 58),
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Insert numbers from one on, so many, with this end.
    Fill(u64, u64, u64),
    Fork,
    /// Remove numbers from one on, so many.
    Take(u64, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..2000_u64, 0..400_u64, prop_oneof![0..50_u64, Just(u64::MAX)]).prop_map(|(at, many, end)| Step::Fill(at, many, end)),
        3 => (0..2000_u64, 0..900_u64).prop_map(|(at, many)| Step::Take(at, many)),
        1 => Just(Step::Fork),
    ];
    vec(step, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn it_holds_what_a_plain_map_holds_and_clones_never_change(
        steps in steps(),
        hashes in prop_oneof![4 => Just(Hashes::Own), 1 => Just(Hashes::Same), 1 => Just(Hashes::Top)],
        by in 0..60_u64,
    ) {
        let (mut map, mut model) = (ScopeMap::default(), BTreeMap::new());
        let mut forks = Vec::new();
        // Leaves of equal hashes are searched one by one.
        let few = if matches!(hashes, Hashes::Own) { 1 } else { 8 };
        for step in steps {
            match step {
                Step::Fill(at, many, end) => for number in at..at + many / few {
                    map.put(&hashes.scope(number), Some(end));
                    model.insert(number, end);
                },
                Step::Fork => forks.push((map.clone(), model.clone())),
                Step::Take(at, many) => for number in at..at + many {
                    map.put(&hashes.scope(number), None);
                    model.remove(&number);
                },
            }
        }
        forks.push((map, model));
        for (map, model) in forks {
            map.root.check(0, 0);
            prop_assert_eq!(map.len(), model.len());
            let found: BTreeMap<_, _> = map.iter().map(|(scope, value)| (scope.to_string(), *value)).collect();
            let expected: BTreeMap<_, _> = model.iter().map(|(number, value)| (scope(*number).to_string(), *value)).collect();
            prop_assert_eq!(found, expected);
            for number in (0..2400).step_by(7) {
                prop_assert_eq!(map.get(&hashes.scope(number)), model.get(&number));
            }
            let by = Timestamp::from_millis(by);
            let ending = map.ending_by(by).filter(|(_, end)| end.ends() <= by).count();
            prop_assert_eq!(ending, model.values().filter(|end| end.ends() <= by).count());
        }
    }
}

#[test]
fn one_change_of_thousands_copies_one_path() {
    let mut map = ScopeMap::default();
    (0..20_000).for_each(|number| map.put(&scope(number), Some(number)));
    for (number, value) in [(20_001, Some(1)), (77, Some(1)), (77, None)] {
        let mut next = map.clone();
        assert_eq!(next.copied_from(&map), 0);
        next.put(&scope(number), value);
        assert!((1..=6).contains(&next.copied_from(&map)), "{}", next.copied_from(&map));
    }
    let mut same = map.clone();
    same.put(&scope(30_000), None);
    assert_eq!(same.copied_from(&map), 0, "it was not there");
}

#[test]
fn an_expiry_enters_only_what_ends() {
    let mut map = ScopeMap::default();
    (0..20_000).for_each(|number| map.put(&scope(number), Some(if number == 4711 { 5 } else { 1000 })));
    assert_eq!(map.next_end(), Timestamp::from_millis(5));
    assert_eq!(map.ending_by(Timestamp::from_millis(4)).count(), 0);
    let seen = map.ending_by(Timestamp::from_millis(5)).count();
    assert!((1..=LEAF).contains(&seen), "{seen} of one leaf");
}

#[test]
fn a_map_that_was_large_and_is_not_has_nothing_left_of_it() {
    let mut map = ScopeMap::default();
    (0..5000).for_each(|number| map.put(&scope(number), Some(number)));
    (FEW as u64..5000).for_each(|number| map.put(&scope(number), None));
    assert!(matches!(map.root.node, Node::Leaf(_)), "{} entries", map.len());
    (0..FEW as u64).for_each(|number| map.put(&scope(number), None));
    assert!(matches!(map.root.node, Node::Empty));
}
