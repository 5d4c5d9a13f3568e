//! What stays and what goes when it is full, and that no hit is lost on the way.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::machine::tests::caller;

fn kept(generation: u64, holds_until: u64) -> Kept {
    Kept {
        id: DecisionId(u128::from(generation)),
        verdict: Verdict::Allow,
        reason: Reason::Permit,
        holds_until: Timestamp::from_millis(holds_until),
        generation,
        caller: caller("/a", 1),
        behind: None,
        reads_standings: false,
    }
}

fn ask(decisions: &mut Decisions, key: &[u8]) -> bool {
    decisions.answer(key, 1, Timestamp::default()).is_ok()
}

#[test]
fn what_was_asked_for_since_the_hand_came_by_stays() {
    let mut decisions = Decisions::new(3, [0; 16]);
    for key in [b"a", b"b", b"c"] {
        decisions.insert(key, kept(1, 1));
    }
    assert!(ask(&mut decisions, b"a") && ask(&mut decisions, b"c"));
    decisions.insert(b"d", kept(1, 1));
    assert!(!ask(&mut decisions, b"b"), "nobody asked for it");
    decisions.insert(b"e", kept(1, 1));
    assert_eq!(decisions.len(), 3);
    assert!(ask(&mut decisions, b"e"));
}

#[test]
fn a_cache_of_which_everything_is_asked_for_still_takes_new_ones() {
    let mut decisions = Decisions::new(2, [0; 16]);
    for key in 0..10_u8 {
        decisions.insert(&[key], kept(1, 1));
        assert!(ask(&mut decisions, &[key]), "{key}");
    }
    assert_eq!(decisions.len(), 2);
}

#[test]
fn another_generation_is_absent_and_an_old_decision_is_too_old() {
    let mut decisions = Decisions::new(2, [0; 16]);
    decisions.insert(b"a", kept(1, 10));
    let mut answer = |generation, now| decisions.answer(b"a", generation, Timestamp::from_millis(now)).err();
    assert_eq!(answer(1, 9), None);
    assert_eq!(answer(2, 9), Some(Miss::Absent));
    assert_eq!(answer(1, 10), Some(Miss::TooOld));
}

#[test]
fn nothing_is_kept_where_nothing_may_be() {
    let mut none = Decisions::new(0, [0; 16]);
    assert!(none.insert(b"a", kept(1, 1)).is_none() && !ask(&mut none, b"a"));
    let mut some = Decisions::new(2, [0; 16]);
    some.insert(&[0; MAX_KEY + 1], kept(1, 1));
    assert_eq!(some.len(), 0);
    some.insert(&[0; MAX_KEY], kept(1, 1));
    assert_eq!(some.len(), 1);
}

#[derive(Clone, Debug)]
enum Step {
    Ask(u8),
    Collect(usize),
    End(u64),
    Insert(u8, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..12_u8).prop_map(Step::Ask),
        1 => (0..4_usize).prop_map(Step::Collect),
        1 => (0..3_u64).prop_map(Step::End),
        4 => (0..12_u8, 0..3_u64).prop_map(|(key, generation)| Step::Insert(key, generation)),
    ]
}

proptest! {
    #[test]
    fn every_hit_is_counted_once_whatever_becomes_of_its_decision(steps in vec(step(), 0..300)) {
        let mut decisions = Decisions::new(5, [3; 16]);
        let (mut given, mut counted) = (0, 0);
        let sum = |tallies: Vec<Tally>| tallies.iter().map(|tally| tally.count).sum::<u64>();
        for step in steps {
            match step {
                Step::Ask(key) => {
                    for generation in 0..3 {
                        given += u64::from(decisions.answer(&[key], generation, Timestamp::default()).is_ok());
                    }
                }
                Step::Collect(limit) => counted += sum(decisions.collect(limit)),
                Step::End(generation) => {
                    counted += sum(decisions.end(&[generation].into_iter().collect()));
                    for key in 0..12_u8 {
                        prop_assert!(decisions.answer(&[key], generation, Timestamp::default()).is_err());
                    }
                }
                Step::Insert(key, generation) => {
                    counted += sum(decisions.insert(&[key], kept(generation, 1)).into_iter().collect());
                    let found = decisions.answer(&[key], generation, Timestamp::default());
                    prop_assert_eq!(found.map(|kept| kept.generation), Ok(generation));
                    given += 1;
                }
            }
            prop_assert!(decisions.len() <= 5 && decisions.slots.len() <= 6);
            prop_assert!(decisions.dirty.len() <= decisions.slots.len() * 2);
        }
        counted += sum(decisions.collect(usize::MAX));
        prop_assert_eq!(counted, given);
    }
}
