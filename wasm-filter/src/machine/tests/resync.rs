//! Starting over without a list: what open streams rest on is asked, and nothing is acknowledged before the answer.

use authz_wire::link;

use super::{
    allow,
    rig::{Rig, revoke, revoked, verdict},
};
use crate::machine::{Answer, Effect, Next};

fn resets(effects: &[Effect]) -> Vec<u32> {
    let streams = effects.iter().filter_map(|it| if let Effect::Reset(stream, _) = it { Some(*stream) } else { None });
    streams.collect()
}

fn begin() -> link::Update {
    link::Update { resync: true, ..Default::default() }
}

fn end(seq: u64) -> link::Update {
    link::Update { seq, ask_held: true, ..Default::default() }
}

fn answered(invalidations: Vec<link::Invalidation>) -> link::Update {
    link::Update { invalidations, held_answered: true, ..Default::default() }
}

/// What was said to be held since report `before`, part after part.
fn held(rig: &Rig, before: usize) -> Vec<link::Held> {
    rig.reports[before..].iter().filter_map(|report| report.held.clone()).collect()
}

fn enforced(rig: &Rig) -> u64 {
    rig.reports.last().unwrap().enforced_seq
}

#[test]
fn open_streams_are_asked_about_and_only_then_is_it_in_force() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    rig.learn(2, "/x", &allow("/b", 2, 1));
    let (a, b) = (rig.open(1, "/x"), rig.open(2, "/x"));
    let before = rig.reports.len();
    rig.update(&begin());
    assert!(held(&rig, before).is_empty(), "more may open until it is known from where on answers are good");
    rig.update(&end(9));
    let [said] = &held(&rig, before)[..] else { panic!("one part") };
    let names = ["spiffe-id:spiffe://td/a", "spiffe-id:spiffe://td/b", "trust-domain:td", "issuer-serial:CN=root#2"];
    assert!(names.iter().all(|name| said.scopes.contains(&(*name).to_owned())), "{said:?}");
    assert!(!said.more && enforced(&rig) == 0, "{said:?}");
    // What comes meanwhile is in force at once, but not acknowledged either.
    assert_eq!(resets(&rig.update(&revoked(10, "spiffe-id:spiffe://td/b"))), [b]);
    assert_eq!(enforced(&rig), 0);
    let effects = rig.update(&answered(vec![revoke(9, "spiffe-id:spiffe://td/a")]));
    assert_eq!((resets(&effects), enforced(&rig)), (vec![a], 10));
    for n in [1, 2] {
        assert_eq!(verdict(rig.recall(n, "/x").as_ref()), "-", "memory is gone");
    }
}

#[test]
fn with_nothing_open_there_is_nothing_to_ask() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    let before = rig.reports.len();
    rig.update(&begin());
    rig.update(&end(9));
    assert_eq!((held(&rig, before).len(), enforced(&rig)), (0, 9));
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
}

#[test]
fn a_stream_that_opens_on_an_older_answer_before_the_end_is_asked_about_too() {
    let mut rig = Rig::new();
    rig.meet(1);
    let (early, late) = (rig.ask(1, "/x"), rig.ask(1, "/y"));
    let before = rig.reports.len();
    rig.update(&begin());
    assert!(matches!(rig.answer(early, &allow("/a", 1, 5)), Next::Answer(Answer::Allow(..))));
    rig.update(&end(9));
    assert_eq!(held(&rig, before).len(), 1);
    assert!(matches!(rig.answer(late, &allow("/a", 1, 8)), Next::Ask(_)), "after it, older answers open nothing");
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-", "nor does what was learned before it");
    let effects = rig.update(&answered(vec![revoke(9, "path-prefix:spiffe://td/a")]));
    assert_eq!(resets(&effects), [early]);
}

#[test]
fn a_stream_that_breaks_before_the_answer_starts_over_again() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    let open = rig.open(1, "/x");
    rig.update(&begin());
    rig.update(&end(9));
    rig.machine.disconnected(rig.at());
    rig.now += 1000;
    rig.tick();
    let hello = rig.reports.iter().rev().find_map(|it| it.hello.clone()).unwrap();
    assert_eq!(hello.last_seq, 0, "it never was in force");
    let before = rig.reports.len();
    rig.update(&begin());
    rig.update(&answered(vec![]));
    assert_eq!(enforced(&rig), 0, "an answer to nothing confirms nothing");
    rig.update(&end(12));
    assert_eq!(held(&rig, before).len(), 1);
    assert_eq!(resets(&rig.update(&answered(vec![revoke(12, "trust-domain:td")]))), [open]);
    assert_eq!(enforced(&rig), 12);
}

#[test]
fn many_scopes_are_said_in_parts() {
    let mut rig = Rig::new();
    for n in 0..1000_u32 {
        rig.meet(1);
        let stream = rig.ask(1, "/x");
        let mut response = allow("/a", 1, 1);
        response.caller.as_mut().unwrap().spiffe_id = format!("spiffe://td/n{n}/sa/w");
        response.caller.as_mut().unwrap().digest = n.to_be_bytes().repeat(8);
        // The certificate on the connection is unknown, so any is believed.
        rig.machine.meet(1, crate::machine::Peer::default());
        let stream_of_stranger = rig.ask(1, "/x");
        assert!(matches!(rig.answer(stream_of_stranger, &response), Next::Answer(Answer::Allow(..))));
        rig.machine.closed(stream);
    }
    let before = rig.reports.len();
    rig.update(&begin());
    rig.update(&end(9));
    let parts = held(&rig, before);
    assert!(parts.len() > 1);
    let (last, others) = parts.split_last().unwrap();
    assert!(!last.more && others.iter().all(|part| part.more && part.scopes.len() == others[0].scopes.len()));
    let mut all: Vec<&String> = parts.iter().flat_map(|part| &part.scopes).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "each is said once");
    assert!(all.iter().any(|scope| *scope == "path-prefix:spiffe://td/n999"));
}
