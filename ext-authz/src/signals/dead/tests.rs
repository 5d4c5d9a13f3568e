//! The state that a compacted log gives is the state that the whole log gives, then and after anything that comes.

use authz_core::{
    revocation::{Mark, RevocationSet},
    signal::{Action, Signal},
};
use proptest::prelude::*;

use super::*;

const HOUR: u64 = 60 * 60 * 1000;

/// What a signal does, to which of a few scopes, and how many hours after the one before it.
#[derive(Clone, Debug)]
struct Step {
    scope: u8,
    revoke: Option<(u64, u64)>,
    hours: u64,
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let bound = || prop_oneof![Just(u64::MAX), 1..300_u64];
    let revoke = prop_oneof![3 => (bound(), bound()).prop_map(Some), 1 => Just(None)];
    let step = (0..4_u8, revoke, 0..40_u64).prop_map(|(scope, revoke, hours)| Step { scope, revoke, hours });
    proptest::collection::vec(step, 0..most)
}

/// The signals of `steps`, numbered from `first`, beginning at `now`; `now` moves on.
fn signals(steps: &[Step], first: usize, now: &mut Timestamp) -> Vec<Signal> {
    let after = |now: Timestamp, hours: u64| if hours == u64::MAX { Timestamp::NEVER } else { later(now, hours) };
    let mut signal = |(index, step): (usize, &Step)| {
        *now = later(*now, step.hours);
        let mark = |(issued, expires)| Mark { issued_before: after(*now, issued), expires_at: after(*now, expires) };
        Signal {
            id: format!("id-{}", first + index).into(),
            scope: format!("trust-domain:d{}.test", step.scope).parse().unwrap(),
            action: step.revoke.map_or(Action::Restore, |bounds| Action::Revoke(mark(bounds))),
            who: "".into(),
            why: "".into(),
            source: "".into(),
            at: *now,
            event_at: None,
        }
    };
    steps.iter().enumerate().map(&mut signal).collect()
}

fn later(now: Timestamp, hours: u64) -> Timestamp {
    now.saturating_add_millis(hours * HOUR)
}

/// What is revoked at `now` after all of `log`.
fn state(log: &Log, now: Timestamp) -> Vec<String> {
    let mut set = RevocationSet::default();
    log.replay(|seq, signal| {
        set.apply(seq, &signal);
    })
    .unwrap();
    set.expire(now);
    let mut marks: Vec<_> = set.iter().map(|(scope, mark)| format!("{scope} {mark:?}")).collect();
    marks.sort();
    marks
}

fn append(log: &Log, signals: &[Signal]) {
    log.append_all(signals.to_vec()).unwrap().into_iter().for_each(|it| drop(it.unwrap()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_compacted_log_gives_the_same_state_now_and_after_anything(
        past in steps(24), wait in 0..300_u64, base in 0..30_u64, future in steps(8), end in 0..300_u64,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let [whole, compacted] = ["whole", "compacted"].map(|name| Log::open(&directory.path().join(name)).unwrap());
        let mut now = Timestamp::from_secs(1_700_000_000);
        let past = signals(&past, 0, &mut now);
        [&whole, &compacted].iter().for_each(|log| append(log, &past));
        now = later(now, wait);
        let needed = Needed::at(now, &compacted).unwrap();
        compacted.compact(Seq(base), now, |seq, _| needed.lacks(seq)).unwrap();
        prop_assert_eq!(state(&compacted, now), state(&whole, now));
        for signal in signals(&future, past.len(), &mut now) {
            [&whole, &compacted].iter().for_each(|log| append(log, std::slice::from_ref(&signal)));
            prop_assert_eq!(state(&compacted, now), state(&whole, now));
        }
        now = later(now, end);
        prop_assert_eq!(state(&compacted, now), state(&whole, now));
        prop_assert_eq!(compacted.fingerprint(compacted.head()), whole.fingerprint(whole.head()));
    }
}

#[test]
fn only_what_can_still_matter_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open(&directory.path().join("log")).unwrap();
    let revoke = |scope, expires| Step { scope, revoke: Some((u64::MAX, expires)), hours: 1 };
    let restore = |scope| Step { scope, revoke: None, hours: 1 };
    let history = [
        revoke(0, 5),
        revoke(0, 500),
        revoke(0, 300),
        revoke(1, 500),
        restore(1),
        revoke(2, 9),
        restore(3),
        revoke(3, 500),
    ];
    let mut now = Timestamp::from_secs(1_700_000_000);
    append(&log, &signals(&history, 0, &mut now));
    let needed = |hours| {
        let needed = Needed::at(later(now, hours), &log).unwrap();
        (1..=8).filter(|seq| !needed.lacks(Seq(*seq))).collect::<Vec<_>>()
    };
    // The third ends earlier than the second, but a restore from between them would lift the second only.
    assert_eq!(needed(0), [2, 3, 5, 6, 7, 8]);
    assert_eq!(needed(7 * 24 + 2), [2, 3, 8]);
    assert!(needed(600).is_empty());
}
