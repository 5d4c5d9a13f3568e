//! How facts become keys as the sidecar tells it, for each caller and operation.

use authz_wire::link;

use super::{
    allow, deny,
    rig::{Rig, plan, revoked, verdict},
};

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
fn operations_of_the_plan_tell_requests_apart_and_name_their_resources() {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let operations = texts(&["GET /orders/{order} = {order}", "GET /carts/{cart} = {cart}"]);
    let plan = link::Plan { reads: texts(&["resource", "by-operation"]), operations, ..plan(super::fixture::PLAN) };
    let mut rig = Rig::new();
    rig.update(&link::Update { plan: Some(plan), ..Default::default() });
    rig.learn(1, "/orders/1", &by("/a", 1, Some(tested("resource", &["equals:7"]))));
    let found = ["/orders/2", "/orders/7", "/carts/2", "/", "/x"].map(|path| verdict(rig.recall(1, path).as_ref()));
    assert_eq!(
        found,
        ["allow permit /a", "-", "-", "-", "-"],
        "another order is not another key; another operation is"
    );
    // Whatever no operation matches has one reading.
    rig.learn(1, "/x", &by("/a", 1, Some(link::Reading::default())));
    assert_eq!(verdict(rig.recall(1, "/y/z").as_ref()), "allow permit /a");
    assert_eq!(verdict(rig.recall(1, "/carts/2").as_ref()), "-");
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
        rig.update(&revoked(5, "spiffe-id:spiffe://td/z"));
        rig.learn(1, "/new", &link::DecideResponse { seq: 9, ..by("/b", 2, Some(reading)) });
        rig.meet(2);
        assert_eq!(verdict(rig.recall(2, "/new").as_ref()), "-");
    }
    assert_eq!(verdict(rig.recall(1, "/a").as_ref()), "allow permit /a", "of others nothing is lost");
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
