//! When memory may be used at all, and what happens without a sidecar.

use super::{
    allow,
    rig::{Rig, TTL, verdict},
};
use crate::{
    config::Config,
    machine::{Answer, Effect, Next},
};

#[test]
fn without_a_lease_memory_is_not_used_and_with_a_new_one_it_is_again() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    rig.now += TTL - 1;
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "allow permit /a");
    rig.now += 1;
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
    assert_eq!(rig.machine.stats.stale, 1);
    rig.renew();
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "allow permit /a");
}

#[test]
fn a_vm_that_was_never_connected_asks_each_time_and_uses_the_answers() {
    let mut rig = Rig::unconnected(&Config::default());
    for _ in 0..3 {
        assert_eq!(verdict(Some(&rig.learn(1, "/x", &allow("/a", 1, 5)))), "allow permit /a");
        assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
    }
    assert_eq!(rig.machine.decisions.len(), 0, "without a plan there is no key");
}

#[test]
fn a_lost_link_ends_memory_only_where_that_is_configured() {
    for forgets_lost_link in [false, true] {
        let mut rig = Rig::unconnected(&Config { forgets_lost_link, ..Config::default() });
        rig.connect();
        rig.learn(1, "/x", &allow("/a", 1, 1));
        rig.machine.disconnected(rig.at());
        let expected = if forgets_lost_link { "-" } else { "allow permit /a" };
        assert_eq!(verdict(rig.recall(1, "/x").as_ref()), expected);
        assert_eq!(rig.machine.stats_at(rig.at()).link_lost, 1);
        rig.now += 200;
        rig.connect();
        rig.learn(1, "/x", &allow("/a", 1, 1));
        assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "allow permit /a");
        assert_eq!(rig.machine.stats_at(rig.at()).link_lost, 0);
    }
}

#[test]
fn what_memory_answered_while_the_link_was_lost_is_reported_as_such() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    rig.recall(1, "/x");
    rig.now += 10;
    rig.machine.disconnected(rig.at());
    rig.recall(1, "/x");
    rig.now += 200;
    rig.connect();
    rig.tick();
    let hits: Vec<_> =
        rig.reports.iter().flat_map(|report| &report.hits).map(|hits| (hits.link_lost, hits.count)).collect();
    assert_eq!(hits, [(true, 2)], "the last of them");
    rig.learn(1, "/x", &allow("/a", 1, 1));
    rig.recall(1, "/x");
    rig.now += 1000;
    rig.tick();
    let last = rig.reports.iter().flat_map(|report| &report.hits).last().map(|hits| hits.link_lost);
    assert_eq!(last, Some(false));
}

#[test]
fn a_clock_that_steps_back_ends_the_lease() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    rig.now -= 1001;
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
    rig.renew();
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "allow permit /a");
}

#[test]
fn beats_come_four_times_in_a_lease() {
    let mut rig = Rig::new();
    let beats = |rig: &Rig| rig.reports.iter().filter(|report| report.beat > 0).count();
    let before = beats(&rig);
    for _ in 0..20 {
        rig.now += 100;
        rig.renew();
    }
    // 250 ms, seen at ticks of 100 ms: every third tick.
    assert_eq!(beats(&rig) - before, 6);
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
}

#[test]
fn an_unreachable_sidecar_and_an_answer_that_is_none_deny_each_with_its_reason() {
    let mut rig = Rig::new();
    rig.meet(1);
    let denied = |next: &Next| match next {
        Next::Answer(answer @ Answer::Deny(note)) => format!("{} {}", verdict(Some(answer)), note.status(false)),
        other => panic!("{other:?}"),
    };
    let stream = rig.ask(1, "/x");
    assert_eq!(denied(&rig.machine.answered(stream, None, rig.at())), "deny sidecar_unreachable 503");
    let stream = rig.ask(1, "/x");
    assert_eq!(denied(&rig.machine.answered(stream, Some(b"\xff"), rig.at())), "deny link_invalid 503");
    let stream = rig.ask(1, "/x");
    assert_eq!(denied(&rig.answer(stream, &allow("/a", 2, 1))), "deny link_invalid 503", "another certificate");
    assert_eq!((rig.machine.stats.denied, rig.machine.stats.unreachable), (3, 1));
}

#[test]
fn an_answer_to_nobody_is_nothing() {
    let mut rig = Rig::new();
    rig.meet(1);
    let stream = rig.ask(1, "/x");
    rig.machine.closed(stream);
    assert!(matches!(rig.answer(stream, &allow("/a", 1, 1)), Next::Nothing));
    assert!(matches!(rig.answer(77, &allow("/a", 1, 1)), Next::Nothing));
    assert_eq!(rig.machine.streams.len(), 0, "a request that is gone is not on its way");
}

#[test]
fn a_message_that_is_none_ends_lease_and_stream() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    let effects = rig.machine.update(b"\xff\xff", rig.at());
    assert!(matches!(effects[..], [Effect::Close, Effect::Log(..)]), "{effects:?}");
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
    rig.now += 100;
    assert_eq!(rig.tick().first(), Some(&Effect::Open));
    let hello = rig.reports.last().unwrap().hello.clone().expect("a hello");
    assert_eq!(hello.last_seq, 1, "from where it knows everything");
}
