//! Risk and posture by event time: whatever order they come in, the latest event counts.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::revocation::Mark;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn scope() -> Scope {
    "device:d".parse().unwrap()
}

fn signal(action: Action, event: Option<u64>) -> Signal {
    let text = || Arc::<str>::from("");
    Signal {
        id: text(),
        scope: scope(),
        action,
        who: text(),
        why: text(),
        source: text(),
        at: at(100),
        event_at: event.map(at),
    }
}

fn posture(compliant: bool) -> Action {
    Action::Posture(Arc::new(Posture::new(compliant, Vec::new()).unwrap()), Timestamp::NEVER)
}

fn is_compliant(standings: &Standings) -> Option<bool> {
    standings.of(&scope())?.posture.as_ref().map(|said| said.value.is_compliant())
}

#[test]
fn an_older_compliant_never_undoes_a_newer_not_compliant() {
    for order in [[0, 1], [1, 0]] {
        let said = [signal(posture(true), Some(10)), signal(posture(false), Some(20))];
        let mut standings = Standings::default();
        for (seq, which) in (1..).zip(order) {
            standings.apply(Seq(seq), &said[which]);
        }
        assert_eq!(is_compliant(&standings), Some(false), "{order:?}");
    }
    let mut standings = Standings::default();
    assert_eq!(standings.apply(Seq(1), &signal(posture(false), Some(1000))), Outcome::Changed);
    assert_eq!(standings.apply(Seq(2), &signal(posture(true), Some(999))), Outcome::Superseded);
    assert_eq!(standings.apply(Seq(3), &signal(posture(true), None)), Outcome::Changed, "now is after all before");
    assert_eq!(standings.apply(Seq(4), &signal(posture(true), None)), Outcome::Unchanged);
}

#[test]
fn risk_and_posture_are_told_apart_and_other_signals_say_neither() {
    let mut standings = Standings::default();
    let risk = Action::Risk(RiskScore::new(70).unwrap(), at(500));
    for (seq, action) in (1..).zip([posture(true), risk, Action::Restore, Action::Revoke(Mark::FOREVER)]) {
        standings.apply(Seq(seq), &signal(action, None));
    }
    let standing = standings.of(&scope()).unwrap();
    assert_eq!(standing.risk.as_ref().map(|said| (said.value.get(), said.expires_at)), Some((70, at(500))));
    assert_eq!(standings.positions().collect::<Vec<_>>(), [Seq(2), Seq(1)]);
    assert_eq!(standings.forget_ended(at(500)), 0);
    assert!(standings.of(&scope()).unwrap().risk.is_some(), "it ended at that moment, not before");
    assert_eq!(standings.forget_ended(at(501)), 0, "the posture stays");
    assert!(standings.of(&scope()).unwrap().risk.is_none());
}

#[test]
fn scores_and_attributes_have_bounds() {
    assert_eq!((RiskScore::new(100).map(RiskScore::get), RiskScore::new(101)), (Ok(100), Err(InvalidRisk(101))));
    let attributes = |names: &[&str]| names.iter().map(|name| ((*name).into(), "v".into())).collect::<Vec<_>>();
    let sorted = Posture::new(true, attributes(&["b", "a"])).unwrap();
    assert_eq!(sorted, Posture::new(true, attributes(&["a", "b"])).unwrap());
    assert_eq!(Posture::new(true, attributes(&["a", "b", "a"])), Err(InvalidPosture::Twice("a".into())));
    let many: Vec<String> = (0..=MAX_ATTRIBUTES).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(Posture::new(true, attributes(&many)), Err(InvalidPosture::TooMany(MAX_ATTRIBUTES + 1)));
}

proptest! {
    #[test]
    fn any_order_of_stated_events_ends_in_the_latest(events in vec(0..50u64, 1..10), turn in 0..10usize) {
        let mut events: Vec<u64> = events;
        events.sort_unstable();
        events.dedup();
        let latest = events.last().copied().unwrap();
        let half = turn % events.len();
        events.rotate_left(half);
        let mut standings = Standings::default();
        for (seq, event) in (1..).zip(&events) {
            let score = RiskScore::new(u32::try_from(*event).unwrap()).unwrap();
            standings.apply(Seq(seq), &signal(Action::Risk(score, Timestamp::NEVER), Some(*event)));
        }
        let risk = standings.of(&scope()).and_then(|standing| standing.risk.clone()).unwrap();
        prop_assert_eq!(u64::from(risk.value.get()), latest);
    }
}
