//! The set against a list that anybody can read: every answer, every clone, every edition.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{
    identity::{Credential, Digest, IssuerSerial, SpiffeId},
    signal::{Action, Seq, Signal},
};

mod events;

const NEVER: Timestamp = Timestamp::NEVER;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn mark(issued_before: Timestamp, expires_at: Timestamp) -> Mark {
    Mark { issued_before, expires_at }
}

fn caller(id: &str, number: u8, issued: Timestamp) -> Arc<Caller> {
    let serial = IssuerSerial::new("CN=root", &format!("1{number:x}")).unwrap();
    let digest = Digest::from_bytes([number; 32]);
    Caller::verified(Credential::new(SpiffeId::parse(id).unwrap(), digest, serial, issued, NEVER).unwrap())
}

fn web(issued: u64) -> Arc<Caller> {
    caller("spiffe://demo.test/ns/shop/web", 1, at(issued))
}

fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

#[test]
fn a_mark_covers_what_was_issued_before_it_and_ends_at_the_moment_it_names() {
    let cases = [
        (Mark::FOREVER, 0, 0, true),
        (Mark::FOREVER, u64::MAX, u64::MAX, true),
        (mark(at(10), NEVER), 9, 0, true),
        (mark(at(10), NEVER), 10, 0, false),
        (mark(at(10), NEVER), u64::MAX, 0, false),
        (mark(at(0), NEVER), 0, 0, false),
        (mark(NEVER, at(10)), 0, 9, true),
        (mark(NEVER, at(10)), 0, 10, false),
        (mark(at(10), at(20)), 9, 19, true),
        (mark(at(10), at(20)), 10, 19, false),
        (mark(at(10), at(20)), 9, 20, false),
    ];
    for (mark, issued, now, expected) in cases {
        assert_eq!(mark.covers(at(issued), at(now)), expected, "{mark:?} {issued} {now}");
    }
}

#[test]
fn every_scope_of_a_caller_revokes_it_and_no_other_does() {
    let caller = web(5);
    let digest = "01".repeat(32);
    let others = "02".repeat(32);
    let cases = [
        (format!("certificate:{digest}"), true),
        (format!("certificate:{others}"), false),
        ("issuer-serial:CN=root#11".to_owned(), true),
        ("issuer-serial:CN=root#1".to_owned(), false),
        ("issuer-serial:CN=other#11".to_owned(), false),
        ("spiffe-id:spiffe://demo.test/ns/shop/web".to_owned(), true),
        ("spiffe-id:spiffe://demo.test/ns/shop".to_owned(), false),
        ("path-prefix:spiffe://demo.test/ns".to_owned(), true),
        ("path-prefix:spiffe://demo.test/ns/shop".to_owned(), true),
        ("path-prefix:spiffe://demo.test/ns/shop/web".to_owned(), true),
        ("path-prefix:spiffe://demo.test/ns/sho".to_owned(), false),
        ("path-prefix:spiffe://demo.test/ns/shop/web/x".to_owned(), false),
        ("trust-domain:demo.test".to_owned(), true),
        ("trust-domain:test".to_owned(), false),
    ];
    for (text, expected) in cases {
        let mut set = RevocationSet::default();
        set.revoke(&scope(&text), Mark::FOREVER);
        let found = set.revokes(&caller, at(7)).map(ToString::to_string);
        assert_eq!(found, expected.then_some(text));
    }
}

#[test]
fn a_credential_issued_again_passes_and_its_predecessor_does_not() {
    let mut set = RevocationSet::default();
    set.revoke(&scope("spiffe-id:spiffe://demo.test/ns/shop/web"), mark(at(10), NEVER));
    assert!(set.revokes(&web(9), at(20)).is_some());
    assert!(set.revokes(&web(10), at(20)).is_none());
}

#[test]
fn a_clock_set_back_brings_back_a_revocation_that_was_over() {
    let mut set = RevocationSet::default();
    set.revoke(&scope("trust-domain:demo.test"), mark(NEVER, at(10)));
    let caller = web(1);
    assert!(set.revokes(&caller, at(10)).is_none());
    assert!(set.revokes(&caller, at(9)).is_some());
}

#[test]
fn what_changes_nothing_copies_nothing() {
    let mut set = RevocationSet::default();
    set.revoke(&scope("trust-domain:demo.test"), Mark::FOREVER);
    let mut same = set.clone();
    same.revoke(&scope("trust-domain:demo.test"), mark(at(5), at(6)));
    same.restore(&scope("trust-domain:other.test"));
    assert_eq!(same.expire(NEVER), 0);
    assert_eq!(set.revoked.copied_from(&same.revoked), 0);
    same.restore(&scope("trust-domain:demo.test"));
    assert_eq!(set.revoked.copied_from(&same.revoked), 1);
}

#[test]
fn signals_are_applied_once_however_often_they_come() {
    let mut set = RevocationSet::default();
    let signal = |action| Signal {
        id: "1".into(),
        scope: scope("trust-domain:demo.test"),
        action,
        who: "".into(),
        why: "".into(),
        source: "".into(),
        at: at(0),
        event_at: None,
    };
    for _ in 0..2 {
        set.apply(Seq(1), &signal(Action::Revoke(mark(at(5), at(9)))));
        assert_eq!((set.len(), set.iter().count()), (1, 1));
    }
    set.apply(Seq(2), &signal(Action::Revoke(mark(at(9), at(5)))));
    assert_eq!((set.len(), set.iter().count()), (1, 2), "neither includes the other");
    set.apply(Seq(2), &signal(Action::Revoke(Mark::FOREVER)));
    assert_eq!((set.len(), set.iter().count()), (1, 1), "it includes both");
    for _ in 0..2 {
        set.apply(Seq(2), &signal(Action::Restore));
        assert!(set.is_empty() && set.iter().next().is_none());
    }
}

/// Every revocation ever made and not lifted, in a list.
#[derive(Clone, Default)]
struct Model(Vec<(Scope, Mark)>);

#[derive(Clone, Debug)]
enum Step {
    Expire(Timestamp),
    Fork,
    Query(usize, Timestamp),
    Restore(usize),
    Revoke(usize, Mark),
    Switch(usize),
}

impl Model {
    fn revokes<'c>(&self, caller: &'c Caller, now: Timestamp) -> Option<&'c Scope> {
        let issued = caller.credential().not_before();
        caller.scopes().iter().find(|scope| {
            self.0.iter().any(|(revoked, mark)| {
                let issued = mark.issued_before == NEVER || issued < mark.issued_before;
                revoked == *scope && issued && (mark.expires_at == NEVER || now < mark.expires_at)
            })
        })
    }

    fn scopes(&self) -> usize {
        let mut names: Vec<String> = self.0.iter().map(|(scope, _)| scope.to_string()).collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }
}

/// Callers that share some scopes; they are asked about all sets, so a clearance given by one must not count in another.
fn callers() -> Vec<Arc<Caller>> {
    vec![
        caller("spiffe://a.test/x/one", 1, at(2)),
        caller("spiffe://a.test/x/one", 2, at(4)),
        caller("spiffe://a.test/x/two", 3, at(0)),
        caller("spiffe://b.test/y", 4, NEVER),
    ]
}

fn scopes() -> Vec<Scope> {
    callers().iter().flat_map(|caller| caller.scopes().iter().cloned().collect::<Vec<_>>()).collect()
}

fn moment() -> impl Strategy<Value = Timestamp> {
    prop_oneof![5 => (0..7u64).prop_map(at), 1 => Just(NEVER)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let scopes = 0..scopes().len();
    let step = prop_oneof![
        1 => moment().prop_map(Step::Expire),
        1 => Just(Step::Fork),
        6 => (0..callers().len(), moment()).prop_map(|(caller, now)| Step::Query(caller, now)),
        2 => scopes.clone().prop_map(Step::Restore),
        4 => (scopes, moment(), moment()).prop_map(|(scope, before, end)| Step::Revoke(scope, mark(before, end))),
        1 => (0..8usize).prop_map(Step::Switch),
    ];
    vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_set_answers_like_a_list_of_revocations_and_clones_never_change(steps in steps()) {
        let (callers, scopes) = (callers(), scopes());
        let mut forks = vec![(RevocationSet::default(), Model::default())];
        let mut current = 0;
        for step in steps {
            let (set, model) = &mut forks[current];
            match step {
                Step::Expire(now) => {
                    let before = model.scopes();
                    model.0.retain(|(_, mark)| mark.expires_at == NEVER || now < mark.expires_at);
                    prop_assert_eq!(set.expire(now), before - model.scopes());
                }
                Step::Fork => {
                    let fork = forks[current].clone();
                    forks.push(fork);
                }
                Step::Query(caller, now) => {
                    prop_assert_eq!(set.revokes(&callers[caller], now), model.revokes(&callers[caller], now));
                }
                Step::Restore(scope) => {
                    set.restore(&scopes[scope]);
                    model.0.retain(|(revoked, _)| *revoked != scopes[scope]);
                }
                Step::Revoke(scope, mark) => {
                    set.revoke(&scopes[scope], mark);
                    model.0.push((scopes[scope].clone(), mark));
                }
                Step::Switch(fork) => current = fork % forks.len(),
            }
        }
        for ((set, model), now) in forks.iter().flat_map(|fork| (0..8).map(move |now| (fork, at(now)))) {
            prop_assert_eq!((set.len(), set.is_empty()), (model.scopes(), model.scopes() == 0));
            prop_assert!(set.iter().all(|(scope, mark)| model.0.contains(&(scope.clone(), mark))));
            for caller in &callers {
                let expected = model.revokes(caller, now);
                prop_assert_eq!(set.revokes(caller, now), expected);
                prop_assert_eq!(set.revoked(caller.scopes(), caller.credential().not_before(), now), expected);
            }
        }
    }

    #[test]
    fn many_scopes_are_each_found_and_each_lifted(numbers in vec(0..100_000u32, 0..600), lifted in select(vec![1usize, 2, 3])) {
        let mut set = RevocationSet::default();
        let name = |number: &u32| scope(&format!("trust-domain:d{number}.test"));
        let mut expected = std::collections::BTreeSet::new();
        for number in &numbers {
            set.revoke(&name(number), Mark::FOREVER);
            expected.insert(*number);
        }
        prop_assert_eq!(set.len(), expected.len());
        for number in numbers.iter().step_by(lifted) {
            set.restore(&name(number));
            expected.remove(number);
        }
        prop_assert_eq!(set.len(), expected.len());
        for number in &numbers {
            prop_assert_eq!(set.marks(&name(number)).next().is_some(), expected.contains(number));
        }
    }
}

/// Sets far beyond one leaf, in which much ends at the same moments, against the plain list.
#[test]
fn a_set_that_grows_to_thousands_and_shrinks_again_expires_like_a_list() {
    let name = |number: u64| scope(&format!("token:t{number}"));
    let end = |number: u64| if number.is_multiple_of(3) { NEVER } else { at(number % 7) };
    let mut set = RevocationSet::default();
    (0..5000).for_each(|number| set.revoke(&name(number), mark(NEVER, end(number))));
    let whole = set.clone();
    for now in (0..9).map(at) {
        let left = |number: &u64| end(*number) == NEVER || now < end(*number);
        assert_eq!(set.next_end() <= now, set.iter().any(|(_, mark)| !mark.in_force(now)), "{now:?}");
        // A few at a time, until nothing is over.
        let mut rounds = 0;
        while set.next_end() <= now {
            assert!(set.expire_some(now, 100) <= 100);
            rounds += 1;
        }
        assert!(rounds <= 5000 / 100, "each round gets on");
        assert_eq!(set.len(), (0..5000).filter(left).count());
        assert!((0..5000).all(|number| (set.marks(&name(number)).count() == 1) == left(&number)));
    }
    assert_eq!((whole.len(), whole.next_end()), (5000, at(0)), "a clone knows nothing of it");
}
