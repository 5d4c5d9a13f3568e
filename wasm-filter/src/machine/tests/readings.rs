//! How facts become keys as the sidecar tells it, for each caller and operation.

use authz_wire::link;
use prost::Message;

use super::{
    allow, deny,
    rig::{Rig, revoked, verdict},
};
use crate::machine::{Answer, Next};

fn tested(read: &str, tests: &[&str]) -> link::Reading {
    let tests = tests.iter().map(|test| (*test).to_owned()).collect();
    link::Reading { uses: vec![link::Use { read: read.into(), whole: false, tests }] }
}

fn by(path: &str, n: u8, reading: Option<link::Reading>) -> link::DecideResponse {
    link::DecideResponse { reading, ..allow(path, n, 1) }
}

#[test]
fn requests_that_pass_the_same_tests_are_one() {
    let mut rig = Rig::new();
    rig.learn(1, "/orders/1", &by("/a", 1, Some(tested("path", &["like:/orders/*", "equals:/orders/7"]))));
    let found = ["/orders/2", "/orders/", "/orders/7", "/carts/1"].map(|path| verdict(rig.recall(1, path).as_ref()));
    assert_eq!(found, ["allow permit /a", "allow permit /a", "-", "-"]);
}

#[test]
fn a_reading_is_that_of_one_caller_and_one_operation() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &by("/a", 1, Some(link::Reading::default())));
    assert!(rig.asked.reading_under.is_empty(), "nothing was known before");
    rig.meet(2);
    assert_eq!(verdict(rig.recall(1, "/y").as_ref()), "allow permit /a");
    assert_eq!(verdict(rig.recall(2, "/y").as_ref()), "-");
    rig.ask(2, "/y");
    assert!(rig.asked.reading_under.is_empty());
    assert_eq!(verdict(rig.recall_with(1, &super::rig::head("POST", "/x")).as_ref()), "-");
}

#[test]
fn a_reading_is_told_once_and_again_when_it_was_forgotten() {
    let mut rig = Rig::new();
    let reading = tested("path", &["like:/a*"]);
    rig.learn(1, "/a", &by("/a", 1, Some(reading.clone())));
    rig.learn(1, "/b", &by("/a", 1, None));
    assert_eq!(rig.asked.reading_under, super::fixture::PLAN);
    assert_eq!(verdict(rig.recall(1, "/bb").as_ref()), "allow permit /a", "by the reading told before");
    rig.update(&revoked(5, "spiffe-id:spiffe://td/a"));
    rig.learn(1, "/a", &link::DecideResponse { seq: 9, ..by("/a", 1, None) });
    assert!(rig.asked.reading_under.is_empty());
    assert_eq!(verdict(rig.recall(1, "/a").as_ref()), "-", "no key can be made");
}

#[test]
fn a_reading_that_is_not_understood_is_not_replaced_by_one_that_was_known() {
    let mut rig = Rig::new();
    rig.learn(1, "/a", &by("/a", 1, Some(link::Reading::default())));
    for reading in [tested("tide", &[]), tested("path", &["sounds-like:/a"]), tested("path", &["at-most:x"])] {
        let mut answer = by("/a", 1, Some(reading));
        answer.decision.as_mut().unwrap().id = vec![9; 16];
        rig.learn(1, "/a", &answer);
        let Some(Answer::Allow(_, note)) = rig.recall(1, "/a") else { panic!("of others nothing is lost") };
        assert_eq!(note.id.0.to_be_bytes(), [1; 16], "not the answer whose key is unknown");
    }
}

#[test]
fn where_policies_look_at_certificates_what_is_said_to_one_is_not_said_to_another_of_the_same_workload() {
    let whole = |read: &str| link::Use { read: read.into(), whole: true, tests: Vec::new() };
    for (uses, to_the_first) in [(vec![], "deny no_permit"), (vec![whole("credential-not-before")], "allow permit /a")]
    {
        let mut rig = Rig::new();
        let reading = Some(link::Reading { uses });
        rig.learn(1, "/x", &by("/a", 1, reading.clone()));
        rig.learn(2, "/x", &link::DecideResponse { reading, ..deny("/a", 2, 1) });
        let said = [1, 2].map(|certificate| verdict(rig.recall(certificate, "/x").as_ref()));
        assert_eq!(said, [to_the_first, "deny no_permit"]);
    }
}

#[test]
fn a_change_of_risk_takes_what_rests_on_it_and_nothing_else() {
    let mut rig = Rig::new();
    let (risky, plain) = (Some(tested("risk", &["at-most:50"])), Some(tested("path", &["equals:/x"])));
    for (path, n) in [("/a", 1), ("/b", 2)] {
        rig.learn(n, "/x", &by(path, n, risky.clone()));
    }
    rig.learn(3, "/x", &by("/c", 3, plain));
    let recalled = |rig: &mut Rig| [1, 2, 3].map(|n| rig.recall(n, "/x").is_some());
    assert_eq!(recalled(&mut rig), [true; 3]);
    let restated = |seq, scope: &str| {
        let invalidation = link::Invalidation { revoke: false, standing: true, ..super::rig::revoke(seq, scope) };
        link::Update { invalidations: vec![invalidation], seq, ..Default::default() }
    };
    rig.update(&restated(5, "spiffe-id:spiffe://td/a"));
    assert_eq!(recalled(&mut rig), [false, true, true], "of others nothing is touched");
    rig.ask(1, "/x");
    assert_eq!(rig.asked.reading_under, super::fixture::PLAN, "the caller itself stays known");
    rig.update(&restated(6, "trust-domain:td"));
    assert_eq!(
        recalled(&mut rig),
        [false, false, true],
        "who rests on it, but is not asked about risk, keeps its answer"
    );
    rig.learn(1, "/x", &link::DecideResponse { seq: 6, ..by("/a", 1, risky.clone()) });
    assert_eq!(recalled(&mut rig), [true, false, true]);
}

#[test]
fn an_answer_older_than_a_change_of_risk_is_asked_again() {
    let mut rig = Rig::new();
    rig.meet(1);
    let stream = rig.ask(1, "/x");
    let invalidation = link::Invalidation { revoke: false, standing: true, ..super::rig::revoke(5, "trust-domain:td") };
    rig.update(&link::Update { invalidations: vec![invalidation], seq: 5, ..Default::default() });
    let answer = by("/a", 1, Some(tested("risk", &["at-most:50"])));
    assert!(matches!(rig.answer(stream, &answer), Next::Ask(_)));
}

#[test]
fn a_question_that_is_asked_again_does_not_count_on_what_may_be_forgotten() {
    let mut rig = Rig::new();
    rig.learn(1, "/a", &by("/a", 1, Some(link::Reading::default())));
    rig.machine.decisions.clear();
    let stream = rig.ask(1, "/a");
    assert_eq!(rig.asked.reading_under, super::fixture::PLAN);
    rig.update(&revoked(5, "spiffe-id:spiffe://td/a"));
    let Next::Ask(bytes) = rig.answer(stream, &by("/a", 1, None)) else { panic!("overtaken") };
    assert!(link::DecideRequest::decode(&*bytes).unwrap().reading_under.is_empty());
}
