//! What memory answers, and what it takes for the same request.

use authz_core::time::Timestamp;
use authz_wire::link;

use super::{
    allow, deny,
    rig::{Rig, get, head, plan, verdict},
};
use crate::{
    config::Config,
    machine::{Answer, Next, Peer, Source},
};

#[test]
fn an_equal_request_is_answered_from_memory_and_nothing_is_sent() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    let sent = rig.reports.len();
    for _ in 0..3 {
        let Some(Answer::Allow(Some(caller), note)) = rig.recall(1, "/x") else { panic!("no hit") };
        assert_eq!(caller.credential().id().as_str(), "spiffe://td/a");
        assert_eq!((note.id.0.to_be_bytes(), note.source), ([1; 16], Source::Filter));
    }
    assert_eq!(rig.reports.len(), sent);
    assert_eq!((rig.machine.stats.hits, rig.machine.stats.misses, rig.machine.stats.denied), (3, 1, 0));
}

#[test]
fn a_denial_by_policy_is_remembered_like_an_allow() {
    let mut rig = Rig::new();
    assert_eq!(verdict(Some(&rig.learn(1, "/x", &deny("/a", 1, 1)))), "deny no_permit");
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "deny no_permit");
    assert_eq!((rig.machine.stats.hits, rig.machine.stats.denied), (1, 2));
}

#[test]
fn what_policies_read_makes_another_request_and_what_they_do_not_read_does_not() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    let with = |name: &str, value: &[u8]| {
        let mut headers = get("/x");
        headers.push((name.into(), value.to_vec()));
        headers
    };
    let twice = [with("x-tenant", b"t"), vec![("x-tenant".to_owned(), b"u".to_vec())]].concat();
    for (headers, expected) in [
        (get("/x"), "allow permit /a"),
        (get("/x?unread"), "allow permit /a"),
        (with("x-unread", b"1"), "allow permit /a"),
        (with("x-unread", b"\xff"), "allow permit /a"),
        (get("/y"), "-"),
        (head("POST", "/x"), "-"),
        (with("x-tenant", b"t"), "-"),
        (with("x-tenant", b""), "-"),
        (with("x-tenant", b"\xff"), "-"),
        (twice, "-"),
        (head("", "/x"), "-"),
        (Vec::new(), "-"),
    ] {
        assert_eq!(verdict(rig.recall_with(1, &headers).as_ref()), expected, "{headers:?}");
    }
}

#[test]
fn another_caller_is_asked_about_and_another_certificate_of_the_same_only_once() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    rig.learn(2, "/other", &allow("/b", 2, 1));
    assert_eq!(verdict(rig.recall(2, "/x").as_ref()), "-");
    rig.meet(3);
    assert_eq!(verdict(rig.recall(3, "/x").as_ref()), "-", "nobody has verified certificate 3");
    rig.learn(3, "/other", &allow("/a", 3, 1));
    assert_eq!(verdict(rig.recall(3, "/x").as_ref()), "allow permit /a", "the same workload");
    assert_eq!(verdict(rig.recall(9, "/x").as_ref()), "-", "a connection never met");
}

#[test]
fn what_may_not_be_kept_is_not() {
    let change: fn(&mut link::DecideResponse) = |it| it.cacheable = false;
    let cases = [
        ("the sidecar says so", change),
        ("another plan", |it| it.plan = vec![1; 32]),
        ("no plan", |it| it.plan = Vec::new()),
        ("over already", |it| it.decision.as_mut().unwrap().holds_until_ms = 1_000_000),
    ];
    for (what, change) in cases {
        let mut rig = Rig::new();
        let mut response = allow("/a", 1, 1);
        change(&mut response);
        assert_eq!(verdict(Some(&rig.learn(1, "/x", &response))), "allow permit /a", "{what}: it is used");
        assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-", "{what}: and not kept");
    }
}

#[test]
fn without_a_certificate_nothing_is_kept() {
    let mut rig = Rig::new();
    rig.machine.meet(1, Peer::default());
    let stream = rig.ask(1, "/x");
    let denial = link::DecideResponse { caller: None, ..deny("/a", 1, 1) };
    assert!(matches!(rig.answer(stream, &denial), Next::Answer(Answer::Deny(_))));
    assert_eq!(rig.machine.decisions.len(), 0);
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
}

#[test]
fn a_decision_ends_at_its_moment_and_is_then_stale() {
    let mut rig = Rig::new();
    let mut response = allow("/a", 1, 1);
    response.decision.as_mut().unwrap().holds_until_ms = rig.now + 100;
    rig.learn(1, "/x", &response);
    rig.now += 99;
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "allow permit /a");
    rig.now += 1;
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
    assert_eq!(rig.machine.stats.stale, 1);
}

#[test]
fn a_certificate_that_has_expired_is_not_answered_from_memory() {
    let mut rig = Rig::new();
    let mut response = allow("/a", 1, 1);
    response.caller.as_mut().unwrap().not_after_ms = rig.now + 100;
    rig.learn(1, "/x", &response);
    rig.now += 100;
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "allow permit /a", "the last moment of its validity");
    rig.now += 1;
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
}

#[test]
fn a_new_plan_forgets_the_decisions_and_the_same_plan_again_does_not() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    let with = |plan| link::Update { plan: Some(plan), ..Default::default() };
    rig.update(&with(plan([7; 32])));
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "allow permit /a");
    rig.update(&with(plan([8; 32])));
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
    assert_eq!(rig.machine.decisions.len(), 0);
    rig.update(&with(link::Plan { digest: vec![9; 32], reads: vec!["tide".into()], operations: vec![] }));
    rig.learn(1, "/x", &link::DecideResponse { plan: vec![9; 32], ..allow("/a", 1, 1) });
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-", "without keys nothing is kept");
}

#[test]
fn everything_has_its_bounds() {
    let config = Config { max_decisions: 5, max_callers: 3, max_connections: 4, ..Config::default() };
    let mut rig = Rig::unconnected(&config);
    rig.connect();
    for n in 0..100 {
        rig.learn(n, "/x", &allow(&format!("/{n}"), n, 1));
        assert!(rig.machine.decisions.len() <= 5);
        assert!(rig.machine.peers.len() <= 4);
    }
    assert_eq!(verdict(rig.recall(99, "/x").as_ref()), "allow permit /99");
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
    let long = format!("/{}", "x".repeat(5000));
    rig.learn(99, &long, &allow("/99", 99, 1));
    assert_eq!(verdict(rig.recall(99, &long).as_ref()), "-", "a key that long is not kept");
    assert_eq!(rig.machine.key.capacity().min(1), 1, "the buffer of keys is kept");
    assert!(rig.machine.streams.len() == 0 && rig.machine.pending.is_empty());
    assert!(Timestamp::from_millis(rig.now) < Timestamp::NEVER);
}

/// 2026-11-25T17:00:00Z.
const FIVE_O_CLOCK: u64 = 1_795_626_000_000;

#[test]
fn a_time_window_ends_in_memory_at_its_first_millisecond_whoever_was_allowed_or_denied() {
    for (response, kept) in [(allow("/a", 1, 1), "allow permit /a"), (deny("/a", 1, 1), "deny no_permit")] {
        let mut rig = Rig::unconnected(&Config::default());
        rig.now = FIVE_O_CLOCK - 500;
        rig.connect();
        let mut response = response;
        response.decision.as_mut().unwrap().holds_until_ms = FIVE_O_CLOCK;
        rig.learn(1, "/x", &response);
        rig.now = FIVE_O_CLOCK - 1;
        assert_eq!(verdict(rig.recall(1, "/x").as_ref()), kept);
        rig.now = FIVE_O_CLOCK;
        assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
        // What the sidecar says from then on is kept in its place.
        rig.learn(1, "/x", &deny("/a", 1, 1));
        assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "deny no_permit");
    }
}
