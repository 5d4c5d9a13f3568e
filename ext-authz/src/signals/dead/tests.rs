//! The state that a compacted log gives is the state that the whole log gives, then and after anything that comes.

use std::fmt::Debug;

use authz_core::{revocation::Mark, standing::RiskScore};
use proptest::prelude::*;

use super::*;
use crate::signals::Log;

const HOUR: u64 = 60 * 60 * 1000;
const START: Timestamp = Timestamp::from_secs(1_700_000_000);

/// What a signal does to which of a few scopes, in hours from its acceptance and from the one before it.
#[derive(Clone, Debug)]
struct Step {
    scope: u8,
    action: Deed,
    happened_before: Option<u64>,
    wait: u64,
    /// How far the clock of who accepted it is behind, in minutes.
    skew: u64,
}

#[derive(Copy, Clone, Debug)]
enum Deed {
    Restore,
    Revoke(u64, u64),
    Risk(u32, u64),
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let bound = || prop_oneof![Just(u64::MAX), 1..300_u64];
    let deed = prop_oneof![
        3 => (bound(), bound()).prop_map(|(issued, expires)| Deed::Revoke(issued, expires)),
        2 => Just(Deed::Restore),
        2 => (0..3_u32, bound()).prop_map(|(score, expires)| Deed::Risk(score, expires)),
    ];
    let happened_before = prop_oneof![2 => Just(None), 1 => (0..=168_u64).prop_map(Some)];
    let step = (0..2_u8, deed, happened_before, 0..40_u64, 0..30_u64);
    let step = step.prop_map(|(scope, action, happened_before, wait, skew)| Step {
        scope,
        action,
        happened_before,
        wait,
        skew,
    });
    proptest::collection::vec(step, 0..most)
}

fn later(now: Timestamp, hours: u64) -> Timestamp {
    if hours == u64::MAX { Timestamp::NEVER } else { now.saturating_add_millis(hours * HOUR) }
}

/// The signal of `step`, the `number`th; `now` moves on.
fn signal(step: &Step, number: usize, now: &mut Timestamp) -> Signal {
    *now = later(*now, step.wait);
    let at = Timestamp::from_millis(now.as_millis() - step.skew * 60 * 1000);
    let action = match step.action {
        Deed::Restore => Action::Restore,
        Deed::Revoke(issued, expires) => {
            Action::Revoke(Mark { issued_before: later(at, issued), expires_at: later(at, expires) })
        }
        Deed::Risk(score, expires) => Action::Risk(RiskScore::new(score).unwrap(), later(at, expires)),
    };
    Signal {
        id: format!("id-{number}").into(),
        scope: format!("trust-domain:d{}.test", step.scope).parse().unwrap(),
        action,
        who: "".into(),
        why: "".into(),
        source: "".into(),
        at,
        event_at: step.happened_before.map(|hours| Timestamp::from_millis(at.as_millis() - hours * HOUR)),
    }
}

/// As a sidecar keeps it.
#[derive(Default)]
struct State {
    revocations: RevocationSet,
    standings: Standings,
}

impl State {
    fn apply(&mut self, seq: Seq, signal: &Signal) {
        self.revocations.apply(seq, signal);
        self.standings.apply(seq, signal);
    }

    fn expire(&mut self, now: Timestamp) {
        let settled = Timestamp::from_millis(now.as_millis() - MAX_LATENESS_MS - HOUR);
        self.revocations.expire(now);
        self.revocations.forget_restores(settled);
        self.standings.forget_ended(settled);
    }

    fn replayed(log: &Log) -> Self {
        let mut state = Self::default();
        log.replay(|seq, signal| state.apply(seq, &signal)).unwrap();
        state
    }

    /// What counts at `now`.
    fn in_force(&self, now: Timestamp) -> Vec<String> {
        let marks = self.revocations.iter().filter(|(_, mark)| now < mark.expires_at);
        let mut all: Vec<_> = marks.map(|(scope, mark)| format!("{scope} {mark:?}")).collect();
        let risks = self.standings.iter().filter_map(|(scope, standing)| Some((scope, standing.risk.as_ref()?)));
        all.extend(risks.filter(|(_, said)| now < said.expires_at).map(|(scope, said)| format!("{scope} {said:?}")));
        all.sort();
        all
    }
}

fn needed(log: &Log, state: &State, base: Seq, now: Timestamp) -> Needed {
    let stay = log.read_after(base, usize::MAX).unwrap();
    let oldest = stay.iter().map(|(_, signal)| signal.at).min().unwrap_or(Timestamp::NEVER);
    Needed::of(&state.revocations, &state.standings, oldest, now)
}

/// Both rounds, of which a crash leaves the first `most` removals.
fn compact(log: &Log, needed: &Needed, base: Seq, now: Timestamp, mut most: usize) {
    for round in [Round::Overruled, Round::LastWords] {
        let mut dead = |seq, signal: &Signal| {
            let leaves = most > 0 && needed.lacks(seq, signal, round);
            most -= usize::from(leaves);
            leaves
        };
        log.compact(base, now, &mut dead).unwrap();
    }
}

fn same<T: PartialEq + Debug>(one: &T, other: &T) -> Result<(), TestCaseError> {
    prop_assert_eq!(one, other);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_compacted_log_gives_the_same_state_now_and_after_anything(
        past in steps(24), wait in 0..300_u64, base in 0..30_u64, most in prop_oneof![Just(usize::MAX), 0..12_usize],
        future in steps(8), end in 0..300_u64,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let [whole, compacted] = ["whole", "compacted"].map(|name| Log::open(&directory.path().join(name)).unwrap());
        let append = |signals: &[Signal]| {
            for log in [&whole, &compacted] {
                drop(log.append_all(signals.to_vec()).unwrap());
            }
        };
        let (mut now, mut state, mut signals) = (START, State::default(), Vec::new());
        for (index, step) in past.iter().enumerate() {
            let signal = signal(step, index, &mut now);
            state.apply(Seq(index as u64 + 1), &signal);
            state.expire(now);
            signals.push(signal);
        }
        append(&signals);
        now = later(now, wait);
        state.expire(now);
        compact(&compacted, &needed(&compacted, &state, Seq(base), now), Seq(base), now, most);
        let check = |now| same(&State::replayed(&compacted).in_force(now), &State::replayed(&whole).in_force(now));
        check(now)?;
        for (index, step) in future.iter().enumerate() {
            append(&[signal(step, past.len() + index, &mut now)]);
            check(now)?;
        }
        check(later(now, end))?;
        same(&compacted.fingerprint(compacted.head()), &whole.fingerprint(whole.head()))?;
    }
}

#[test]
fn only_what_can_still_matter_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open(&directory.path().join("log")).unwrap();
    let deeds = [
        (0, Deed::Revoke(u64::MAX, 5)),
        (0, Deed::Revoke(u64::MAX, 500)),
        (0, Deed::Revoke(u64::MAX, 300)),
        (1, Deed::Revoke(u64::MAX, 500)),
        (1, Deed::Restore),
        (2, Deed::Revoke(u64::MAX, 9)),
        (3, Deed::Restore),
        (3, Deed::Risk(70, 400)),
        (3, Deed::Risk(90, 100)),
    ];
    let mut now = START;
    let mut state = State::default();
    for (index, (scope, action)) in deeds.into_iter().enumerate() {
        let step = Step { scope, action, happened_before: None, wait: 1, skew: 0 };
        let signal = signal(&step, index, &mut now);
        state.apply(log.append(signal.clone()).unwrap().seq, &signal);
    }
    let mut stay = |hours| {
        let now = later(now, hours);
        state.expire(now);
        let needed = needed(&log, &state, log.head(), now);
        compact(&log, &needed, log.head(), now, usize::MAX);
        log.read_after(Seq(0), 100).unwrap().into_iter().map(|(seq, _)| seq.0).collect::<Vec<_>>()
    };
    assert_eq!(stay(0), [2, 3, 5, 6, 7, 9]);
    // A restore stays for seven days, a revocation for an hour after its end.
    assert_eq!(stay(7), [2, 3, 5, 6, 7, 9]);
    assert_eq!(stay(9), [2, 3, 5, 7, 9]);
    assert_eq!(stay(7 * 24 + 10), [2, 3, 9]);
    assert_eq!(stay(7 * 24 + 110), [2, 3]);
    assert!(stay(600).is_empty());
}
