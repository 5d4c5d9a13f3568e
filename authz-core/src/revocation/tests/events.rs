//! Events that come late or out of order: the set must say what a list of all signals says, and so must a compacted log.

use super::*;

const SCOPES: [&str; 2] = ["trust-domain:a.test", "trust-domain:b.test"];

fn signal(scope: usize, action: Action, accepted: u64, event: Option<u64>) -> Signal {
    let text = || Arc::<str>::from("");
    Signal {
        id: text(),
        scope: super::scope(SCOPES[scope]),
        action,
        who: text(),
        why: text(),
        source: text(),
        at: at(accepted),
        event_at: event.map(at),
    }
}

fn revoke(event: Option<u64>) -> Signal {
    signal(0, Action::Revoke(Mark::FOREVER), 100, event)
}

fn restore(event: Option<u64>) -> Signal {
    signal(0, Action::Restore, 100, event)
}

fn applied(signals: &[Signal]) -> (RevocationSet, Vec<Outcome>) {
    let mut set = RevocationSet::default();
    let outcomes = (1..).zip(signals).map(|(seq, signal)| set.apply(Seq(seq), signal)).collect();
    (set, outcomes)
}

#[test]
fn an_older_event_never_undoes_a_newer_one_whichever_comes_first() {
    use Outcome::{Changed, Superseded, Unchanged};
    let cases = [
        (vec![revoke(Some(10)), restore(Some(9))], true, [Changed, Superseded]),
        (vec![revoke(Some(10)), restore(Some(11))], false, [Changed, Changed]),
        (vec![restore(Some(10)), revoke(Some(9))], false, [Unchanged, Superseded]),
        (vec![restore(Some(10)), revoke(Some(11))], true, [Unchanged, Changed]),
        // At the same moment the log decides.
        (vec![revoke(Some(10)), restore(Some(10))], false, [Changed, Changed]),
        (vec![restore(Some(10)), revoke(Some(10))], true, [Unchanged, Changed]),
        // Who states no time means now, whatever clocks say.
        (vec![revoke(Some(1000)), restore(None)], false, [Changed, Changed]),
        (vec![restore(Some(1000)), revoke(None)], true, [Unchanged, Changed]),
        (vec![revoke(None), restore(Some(99))], true, [Changed, Superseded]),
        (vec![restore(None), revoke(Some(99))], false, [Unchanged, Superseded]),
        (vec![revoke(Some(10)), revoke(Some(10))], true, [Changed, Unchanged]),
    ];
    for (signals, revoked, outcomes) in cases {
        let (set, found) = applied(&signals);
        assert_eq!((!set.is_empty(), &found[..]), (revoked, &outcomes[..]), "{signals:?}");
    }
}

#[test]
fn a_restore_lifts_what_happened_before_it_and_leaves_what_happened_later() {
    let bounded = |before: u64, event| signal(0, Action::Revoke(mark(at(before), NEVER)), 100, Some(event));
    let marks = |signals: &[Signal]| applied(signals).0.marks(&super::scope(SCOPES[0])).collect::<Vec<_>>();
    assert_eq!(marks(&[bounded(5, 10), bounded(4, 20), restore(Some(15))]), [mark(at(4), NEVER)]);
    assert_eq!(marks(&[bounded(5, 10), bounded(4, 9), restore(Some(9))]), [mark(at(5), NEVER)]);
}

#[test]
fn restores_are_remembered_until_told() {
    let (mut set, _) = applied(&[restore(Some(10))]);
    assert_eq!(set.oldest_restore(), at(10));
    set.forget_restores(at(10));
    assert_eq!(set.apply(Seq(2), &revoke(Some(9))), Outcome::Superseded);
    set.forget_restores(at(11));
    assert_eq!(set.oldest_restore(), NEVER);
    assert_eq!(set.apply(Seq(3), &revoke(Some(9))), Outcome::Changed);
}

#[test]
fn restores_can_be_forgotten_a_few_at_a_time_the_oldest_are_told() {
    let mut set = RevocationSet::default();
    for number in 0..1000 {
        let restore = Signal { scope: super::scope(&format!("token:t{number}")), ..restore(Some(number)) };
        set.apply(Seq(number + 1), &restore);
    }
    let mut rounds = 0;
    while set.oldest_restore() < at(500) {
        set.forget_some_restores(at(500), 64);
        rounds += 1;
    }
    assert!((500 / 64..=500).contains(&rounds), "{rounds}");
    assert_eq!((set.oldest_restore(), set.positions().count()), (at(500), 500));
}

fn signals() -> impl Strategy<Value = Vec<Signal>> {
    let event = || prop_oneof![2 => Just(None), 3 => (0..8u64).prop_map(Some)];
    let action = prop_oneof![
        2 => Just(Action::Restore),
        3 => (0..6u64).prop_map(|before| Action::Revoke(mark(at(before), NEVER))),
        1 => Just(Action::Revoke(Mark::FOREVER)),
    ];
    // Acceptance as clocks of several machines would have it: roughly in order.
    let one = (0..SCOPES.len(), action, 0..3u64, event());
    vec(one, 0..14).prop_map(|all| {
        let place = |(n, (scope, action, skew, event)): (u64, (usize, Action, u64, Option<u64>))| {
            signal(scope, action, n / 2 + skew, event)
        };
        (0..).zip(all).map(place).collect()
    })
}

/// The rule in its plainest form: a revocation stands unless a restore of its scope lifts it.
fn expected(signals: &[Signal], scope: &Scope, issued: u64) -> bool {
    let moment = |position: usize| signals[position].moment(Seq(position as u64 + 1));
    let of_scope: Vec<usize> = (0..signals.len()).filter(|position| signals[*position].scope == *scope).collect();
    let lifted = |revoked: usize| {
        of_scope.iter().filter(|other| signals[**other].action == Action::Restore).any(|restored| {
            let (revoked_at, restored_at) = (moment(revoked), moment(*restored));
            if *restored > revoked {
                !restored_at.stated || restored_at.at >= revoked_at.at
            } else {
                revoked_at.stated && restored_at.at > revoked_at.at
            }
        })
    };
    let stands = |position: &&usize| match signals[**position].action {
        Action::Revoke(mark) => mark.covers(at(issued), at(50)) && !lifted(**position),
        _ => false,
    };
    of_scope.iter().any(|position| stands(&position))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_set_says_what_the_rule_says(signals in signals(), issued in 0..7u64) {
        let (set, _) = applied(&signals);
        for name in SCOPES {
            let scope = super::scope(name);
            let found = set.marks(&scope).any(|mark| mark.covers(at(issued), at(50)));
            prop_assert_eq!(found, expected(&signals, &scope, issued), "{}", name);
        }
    }

    #[test]
    fn what_has_no_position_in_the_set_can_leave_the_log(signals in signals(), cut in 0..14usize) {
        let (before, after) = signals.split_at(cut.min(signals.len()));
        let (mut whole, _) = applied(before);
        let live: Vec<u64> = whole.positions().map(|seq| seq.0).collect();
        let mut compacted = RevocationSet::default();
        for (seq, signal) in (1..).zip(before).filter(|(seq, _)| live.contains(seq)) {
            compacted.apply(Seq(seq), signal);
        }
        for (seq, signal) in (before.len() as u64 + 1..).zip(after) {
            prop_assert_eq!(whole.apply(Seq(seq), signal), compacted.apply(Seq(seq), signal));
        }
        let sorted = |set: &RevocationSet| {
            let mut all: Vec<String> = set.iter().map(|(scope, mark)| format!("{scope} {mark:?}")).collect();
            all.sort();
            all
        };
        prop_assert_eq!(sorted(&whole), sorted(&compacted));
    }
}
