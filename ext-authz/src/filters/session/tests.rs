//! One stream at a time: how it begins, what counts as an acknowledgement, what a resync says.

use std::sync::Arc;

use authz_core::{
    revocation::RevocationSet,
    signal::{Action, Outcome, Signal},
    time::Timestamp,
};

use super::*;

/// A log of five entries, whose fingerprint at `n` is `[n; 32]`; those before `oldest` are not known any more.
struct Past {
    oldest: u64,
}

impl History for Past {
    fn head(&self) -> Seq {
        Seq(5)
    }

    fn fingerprint(&self, seq: Seq) -> Option<Fingerprint> {
        let known = seq >= Seq(self.oldest) && seq <= self.head();
        known.then(|| Fingerprint::from_bytes([u8::try_from(seq.0).unwrap(); 32]))
    }
}

const LEASE: Duration = Duration::from_secs(3);
const TERMS: Terms = Terms { lease: LEASE, ttl: Duration::from_millis(2900) };
const PAST: Past = Past { oldest: 0 };

fn entry(seq: u64) -> Entry {
    let signal = Signal {
        id: seq.to_string().into(),
        scope: "trust-domain:demo.test".parse().unwrap(),
        action: Action::Restore,
        who: "".into(),
        why: "".into(),
        source: "".into(),
        at: Timestamp::from_millis(1),
        event_at: None,
    };
    Entry { seq: Seq(seq), signal: Arc::new(signal), outcome: Outcome::Changed, received: Instant::now() }
}

fn ack(seq: u64) -> Report {
    Report { enforced_seq: seq, ..Report::default() }
}

/// The position that counts as acknowledged.
fn heard(session: &mut Session, seq: u64) -> Option<u64> {
    session.hear(&ack(seq), Instant::now()).acknowledged.map(|it| it.seq.0)
}

#[test]
fn a_filter_goes_on_only_in_the_past_that_it_has_seen() {
    let cases = [
        (0, None, Start::Anew),
        (0, Some(0), Start::Anew),
        (3, Some(3), Start::After(Seq(3))),
        (5, Some(5), Start::After(Seq(5))),
        (3, Some(4), Start::Contradicted(Contradiction::Differs)),
        (6, Some(6), Start::Contradicted(Contradiction::Ahead)),
        (1, Some(1), Start::Anew),
        // A filter of an earlier version says no fingerprint.
        (3, None, Start::After(Seq(3))),
        (6, None, Start::Anew),
    ];
    for (last_seq, fingerprint, expected) in cases {
        let last_fingerprint = fingerprint.map_or(Vec::new(), |byte| vec![byte; 32]);
        let hello = Hello { last_seq, last_fingerprint, ..Hello::default() };
        assert_eq!(Session::start(&hello, &Past { oldest: 2 }), expected, "{hello:?}");
    }
}

#[test]
fn what_is_stated_carries_the_fingerprint_of_its_position() {
    let (mut session, now) = (Session::new(TERMS), Instant::now());
    let said = |update: Update| (update.seq, update.fingerprint.first().copied());
    assert_eq!(said(session.resynced(Seq(3), &PAST, now)), (3, Some(3)));
    assert_eq!(said(session.pass_on(&[entry(4), entry(5)], &RevocationSet::default(), &PAST, now)), (5, Some(5)));
    assert_eq!(said(session.resume(Seq(1), &PAST)), (1, Some(1)));
    let unknown = Past { oldest: 9 };
    assert_eq!(said(session.resume(Seq(1), &unknown)), (1, None));
    assert_eq!(said(session.resynced(Seq(0), &unknown, now)), (0, Some(0)), "an empty log has a past too");
}

#[test]
fn only_what_was_told_on_this_stream_can_be_acknowledged() {
    let (mut session, now) = (Session::new(TERMS), Instant::now());
    session.resume(Seq(2), &PAST);
    assert_eq!(heard(&mut session, 2), Some(2));
    assert_eq!(heard(&mut session, 4), None);
    session.pass_on(&[entry(3), entry(4)], &RevocationSet::default(), &PAST, now);
    assert_eq!(session.owes_since(), Some(now));
    assert_eq!(heard(&mut session, 4), Some(4));
    assert_eq!(session.owes_since(), None);
    session.resync();
    session.resynced(Seq(4), &PAST, now);
    assert_eq!(heard(&mut session, 4), None, "it has yet to forget this");
    assert_eq!(heard(&mut session, 0), Some(0));
    assert_eq!(heard(&mut session, 4), Some(4));
}

#[test]
fn the_time_of_an_acknowledgement_is_news_only_on_the_stream_that_told_of_it() {
    let (mut session, now) = (Session::new(TERMS), Instant::now());
    session.resume(Seq(2), &PAST);
    let is_news = |session: &mut Session, seq| session.hear(&ack(seq), now).acknowledged.unwrap().is_news;
    assert!(!is_news(&mut session, 2));
    session.pass_on(&[entry(3)], &RevocationSet::default(), &PAST, now);
    assert!(is_news(&mut session, 3));
    assert!(!is_news(&mut session, 3));
}

#[test]
fn a_lease_is_booked_from_now_and_answered_with_its_beat() {
    let (mut session, now) = (Session::new(TERMS), Instant::now());
    let received = Received { is_new: false, highest: 7 };
    let beat = Report { beat: 4, ..Report::default() };
    assert_eq!(session.hear(&beat, now).lease_until, Some(now + LEASE));
    let answer = session.answer(&beat, received).unwrap();
    assert_eq!((answer.lease, answer.received_report), (Some(Lease { beat: 4, ttl_ms: 2900 }), 7));
    assert_eq!(session.answer(&ack(3), received), None);
    assert!(session.answer(&Report { number: 9, ..Report::default() }, received).unwrap().lease.is_none());
}

#[test]
fn a_filter_is_told_less_than_what_is_counted_with() {
    let terms = Terms::of(Duration::from_millis(3200));
    assert_eq!((terms.lease.as_millis(), terms.ttl.as_millis()), (3200, 3000));
}

#[test]
fn a_plan_is_told_once() {
    let mut session = Session::new(TERMS);
    let plan = || Plan { reads: vec!["path".to_owned()], ..Plan::default() };
    let told = session.plan([1; 32], plan).unwrap().plan.unwrap();
    assert_eq!((told.digest, told.reads.len()), (vec![1; 32], 1));
    assert_eq!(session.plan([1; 32], plan), None);
    assert!(session.plan([2; 32], plan).is_some());
}

#[test]
fn a_resync_is_told_in_parts_none_of_which_is_large() {
    let mut live = RevocationSet::default();
    (0..2500).for_each(|n| live.revoke(&format!("spiffe-id:spiffe://td/{n}").parse().unwrap(), Mark::FOREVER));
    let mut marks = live.iter();
    let parts: Vec<_> = std::iter::from_fn(|| Session::revoked(Seq(9), &mut marks)).collect();
    assert_eq!(parts.iter().map(|it| it.invalidations.len()).collect::<Vec<_>>(), [1000, 1000, 500]);
    let scopes: std::collections::HashSet<_> =
        parts.iter().flat_map(|it| &it.invalidations).map(|it| it.scope.clone()).collect();
    assert_eq!(scopes.len(), 2500);
    assert!(parts.iter().all(|it| it.seq == 0 && it.invalidations.iter().all(|it| it.seq == 9 && it.revoke)));
}
