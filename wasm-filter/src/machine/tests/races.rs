//! Answers that were on their way when something changed.

use super::{
    allow, deny,
    rig::{Rig, plan, restored, revoke, revoked, verdict},
};
use crate::machine::{Answer, Next};
use authz_wire::link;

#[test]
fn an_allow_decided_before_a_revocation_that_is_in_force_here_is_neither_used_nor_kept() {
    for scope in ["spiffe-id:spiffe://td/a", "trust-domain:td", "path-prefix:spiffe://td/a", "colour:red"] {
        let mut rig = Rig::new();
        rig.meet(1);
        let stream = rig.ask(1, "/x");
        rig.update(&revoked(5, scope));
        let Next::Ask(_) = rig.answer(stream, &allow("/a", 1, 4)) else { panic!("{scope}: it was used") };
        let Next::Answer(answer) = rig.answer(stream, &deny("/a", 1, 5)) else { panic!("{scope}: asked again") };
        assert_eq!(verdict(Some(&answer)), "deny no_permit", "{scope}");
    }
}

#[test]
fn a_denial_decided_before_a_restoration_is_asked_about_again() {
    let mut rig = Rig::new();
    rig.meet(1);
    let stream = rig.ask(1, "/x");
    rig.update(&restored(5, "spiffe-id:spiffe://td/a"));
    assert!(matches!(rig.answer(stream, &deny("/a", 1, 4)), Next::Ask(_)));
    assert!(matches!(rig.answer(stream, &allow("/a", 1, 5)), Next::Answer(Answer::Allow(..))));
}

#[test]
fn what_concerns_others_does_not_delay_anybody() {
    let mut rig = Rig::new();
    rig.meet(1);
    let stream = rig.ask(1, "/x");
    rig.update(&revoked(5, "spiffe-id:spiffe://td/b"));
    assert!(matches!(rig.answer(stream, &allow("/a", 1, 4)), Next::Answer(Answer::Allow(..))));
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "allow permit /a");
}

#[test]
fn a_sidecar_that_stays_behind_is_asked_three_times_and_then_it_is_a_denial() {
    let mut rig = Rig::new();
    rig.meet(1);
    let stream = rig.ask(1, "/x");
    rig.update(&revoked(5, "spiffe-id:spiffe://td/a"));
    assert!(matches!(rig.answer(stream, &allow("/a", 1, 4)), Next::Ask(_)));
    assert!(matches!(rig.answer(stream, &allow("/a", 1, 4)), Next::Ask(_)));
    let Next::Answer(answer) = rig.answer(stream, &allow("/a", 1, 4)) else { panic!("asked a fourth time") };
    assert_eq!(verdict(Some(&answer)), "deny contended");
}

#[test]
fn an_answer_that_knows_more_than_this_filter_is_used_and_forgotten_when_the_news_arrive() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 9));
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "allow permit /a");
    rig.update(&revoked(8, "spiffe-id:spiffe://td/a"));
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
}

#[test]
fn a_restoration_the_filter_has_not_heard_of_is_believed_until_it_comes_and_asked_about_then() {
    let mut rig = Rig::new();
    rig.update(&revoked(5, "spiffe-id:spiffe://td/a"));
    assert_eq!(verdict(Some(&rig.learn(1, "/x", &allow("/a", 1, 6)))), "allow permit /a");
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "allow permit /a", "the sidecar knew of it");
    rig.update(&restored(6, "spiffe-id:spiffe://td/a"));
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
    rig.learn(1, "/x", &allow("/a", 1, 6));
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "allow permit /a");
}

#[test]
fn an_answer_from_before_a_resync_is_asked_about_again() {
    let mut rig = Rig::new();
    rig.meet(1);
    let (early, late) = (rig.ask(1, "/x"), rig.ask(1, "/y"));
    // As the sidecar sends it: the flag, what is revoked, and where that stands.
    rig.update(&link::Update { resync: true, ..Default::default() });
    rig.update(&link::Update { invalidations: vec![revoke(9, "trust-domain:else")], ..Default::default() });
    rig.update(&link::Update { seq: 9, ..Default::default() });
    assert!(matches!(rig.answer(early, &allow("/a", 1, 8)), Next::Ask(_)));
    assert!(matches!(rig.answer(late, &allow("/a", 1, 9)), Next::Answer(Answer::Allow(..))));
}

#[test]
fn an_answer_of_the_plan_before_is_used_and_not_kept() {
    let mut rig = Rig::new();
    rig.meet(1);
    let stream = rig.ask(1, "/x");
    rig.update(&link::Update { plan: Some(plan([8; 32])), ..Default::default() });
    assert!(matches!(rig.answer(stream, &allow("/a", 1, 1)), Next::Answer(Answer::Allow(..))));
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
}

/// The plan's name stands for the trust bundles too: a bundle that changed is a plan of another name.
#[test]
fn a_caller_verified_under_other_bundles_has_no_share_in_what_its_namesake_is_allowed() {
    let fresh = |n| link::DecideResponse { plan: [8; 32].to_vec(), ..allow("/a", n, 1) };
    for in_flight in [false, true] {
        let mut rig = Rig::new();
        rig.meet(1);
        let stream = rig.ask(1, "/x");
        let change = link::Update { plan: Some(plan([8; 32])), ..Default::default() };
        if in_flight {
            rig.update(&change);
        }
        assert!(matches!(rig.answer(stream, &allow("/a", 1, 1)), Next::Answer(Answer::Allow(..))));
        if !in_flight {
            rig.update(&change);
        }
        rig.learn(2, "/x", &fresh(2));
        assert_eq!(verdict(rig.recall(2, "/x").as_ref()), "allow permit /a", "{in_flight}");
        assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-", "{in_flight}: an old certificate of the same workload");
    }
}

#[test]
fn an_answer_older_than_what_was_in_force_before_a_resync_is_not_used_while_it_lasts() {
    let mut rig = Rig::new();
    rig.meet(1);
    let stream = rig.ask(1, "/x");
    rig.update(&revoked(5, "spiffe-id:spiffe://td/a"));
    // The beginning of a resync, before the part that names the revocation again; twice, as when the stream breaks in between.
    for _ in 0..2 {
        rig.update(&link::Update { resync: true, ..Default::default() });
    }
    assert!(matches!(rig.answer(stream, &allow("/a", 1, 4)), Next::Ask(_)), "it was used");
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
    rig.learn(2, "/x", &allow("/b", 2, 1));
    assert_eq!(verdict(rig.recall(2, "/x").as_ref()), "allow permit /b", "others are not concerned");
}

#[test]
fn after_a_resync_from_a_log_that_is_behind_its_answers_are_good_again() {
    let empty = || link::Update { fingerprint: vec![0; 32], ..Default::default() };
    for end in [link::Update { seq: 2, ..Default::default() }, empty()] {
        let mut rig = Rig::new();
        rig.update(&revoked(5, "spiffe-id:spiffe://td/a"));
        rig.update(&link::Update { resync: true, ..Default::default() });
        let seq = end.seq;
        rig.update(&end);
        rig.learn(1, "/x", &allow("/a", 1, seq));
        assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "allow permit /a", "{seq}");
    }
}
