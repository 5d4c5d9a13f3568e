//! Writers change copies once something is decided, and what is over goes in steps.

use std::time::Instant;

use authz_core::{
    revocation::Mark,
    signal::{Outcome, Signal},
};

use super::*;

fn revocations(numbers: std::ops::Range<u64>, expires_at: Timestamp) -> Vec<Entry> {
    let entry = |number: u64| Entry {
        seq: Seq(number + 1),
        signal: Arc::new(Signal {
            id: number.to_string().into(),
            scope: format!("token:t{number}").parse().unwrap(),
            action: Action::Revoke(Mark { expires_at, ..Mark::FOREVER }),
            who: "".into(),
            why: "".into(),
            source: "".into(),
            at: Timestamp::from_millis(1),
            event_at: None,
        }),
        received: Instant::now(),
        outcome: Outcome::Unchanged,
    };
    numbers.map(entry).collect()
}

#[test]
fn before_the_log_is_replayed_nobody_sees_it_and_afterwards_nobody_sees_it_change() {
    let state = State::default();
    state.set_trusted(TrustDigest([7; 32]));
    state.apply(&mut revocations(0..10, Timestamp::NEVER));
    let early = state.load();
    assert!(early.view().is_none());
    state.apply(&mut revocations(10..20, Timestamp::NEVER));
    assert!(state.load().trust().is_some(), "what else is known stays");
    state.set_replayed();
    let held = state.load();
    state.apply(&mut revocations(20..30, Timestamp::NEVER));
    let count = |snapshot: &Snapshot| snapshot.view().map(|view| (view.seq.0, view.revocations.len()));
    assert_eq!((count(&early), count(&held), count(&state.load())), (None, Some((20, 20)), Some((30, 30))));
}

#[test]
fn what_is_over_goes_in_steps_and_where_nothing_is_over_nobody_is_woken() {
    let state = State::default();
    let many = 5 * u64::try_from(AT_ONCE).unwrap() / 2;
    state.apply(&mut revocations(0..many, Timestamp::from_millis(10)));
    state.apply(&mut revocations(many..many + 7, Timestamp::NEVER));
    state.set_replayed();
    let mut changes = state.subscribe();
    assert_eq!(state.expire(Timestamp::from_millis(9)), 0);
    assert!(!changes.has_changed().unwrap());
    assert_eq!(state.expire(Timestamp::from_millis(10)), usize::try_from(many).unwrap());
    assert!(changes.has_changed().unwrap());
    assert_eq!(state.load().view().unwrap().revocations.len(), 7);
    changes.mark_unchanged();
    assert_eq!(state.expire(Timestamp::NEVER), 0, "nothing ends at the end of time");
    assert!(!changes.has_changed().unwrap());
}
