//! What the sidecar hears of answers it did not give: each of them once.

use authz_wire::link;

use super::{
    allow, deny,
    rig::{Rig, plan, revoked},
};
use crate::{config::Config, machine::Effect};

/// All counts of reports with numbers not seen before, as the sidecar books them.
pub fn booked(rig: &Rig) -> u64 {
    let mut received = 0;
    let mut sum = 0;
    for report in &rig.reports {
        if report.number > received {
            received = report.number;
            sum += report.hits.iter().map(|hits| hits.count).sum::<u64>();
            sum += report.local.iter().map(|local| local.count).sum::<u64>();
        }
    }
    sum
}

pub fn acknowledge(rig: &mut Rig) {
    let received_report = rig.reports.iter().map(|report| report.number).max().unwrap_or(0);
    rig.update(&link::Update { received_report, ..Default::default() });
}

#[test]
fn hits_are_reported_by_decision_within_a_second() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    rig.learn(2, "/x", &deny("/b", 2, 1));
    for n in [1, 1, 1, 2] {
        rig.recall(n, "/x");
    }
    rig.now += 900;
    rig.renew();
    rig.now += 100;
    rig.renew();
    let report = rig.reports.iter().find(|report| report.number == 1).expect("a report with counts");
    let mut lines: Vec<_> = report
        .hits
        .iter()
        .map(|hits| (hits.decision_id[0], hits.count, &*hits.reason, &*hits.caller, hits.verdict))
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, [(1, 3, "permit", "spiffe://td/a", 1), (2, 1, "no_permit", "spiffe://td/b", 2)]);
    assert_eq!(report.gauges.map(|gauges| (gauges.hits, gauges.cached_decisions)), Some((4, 2)));
}

#[test]
fn counts_are_sent_again_on_a_new_stream_until_they_are_received_and_never_change() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    rig.recall(1, "/x");
    rig.now += 100;
    rig.renew();
    rig.recall(1, "/x");
    rig.machine.disconnected(rig.at());
    rig.now += 900;
    rig.connect();
    let numbered = |rig: &Rig| -> Vec<_> {
        rig.reports.iter().filter(|it| it.number > 0).map(|it| (it.number, it.hits.len(), it.hits[0].count)).collect()
    };
    assert_eq!(numbered(&rig), [(1, 1, 1), (1, 1, 1)], "the very same again");
    rig.tick();
    assert_eq!(booked(&rig), 2);
    acknowledge(&mut rig);
    rig.machine.disconnected(rig.at());
    rig.now += 1000;
    rig.connect();
    assert_eq!(numbered(&rig).len(), 3, "what was received is not sent again");
}

#[test]
fn no_count_is_lost_when_its_decision_is() {
    let losses: [fn(&mut Rig); 5] = [
        |rig| drop(rig.update(&revoked(5, "trust-domain:td"))),
        |rig| drop(rig.update(&link::Update { resync: true, seq: 9, ..Default::default() })),
        |rig| drop(rig.update(&link::Update { plan: Some(plan([8; 32])), ..Default::default() })),
        |rig| drop(rig.learn(1, "/y", &allow("/a", 1, 1))),
        |rig| drop(rig.learn(1, "/x", &allow("/a", 1, 1))),
    ];
    for (which, lose) in losses.into_iter().enumerate() {
        let mut rig = Rig::unconnected(&Config { max_decisions: 1, ..Config::default() });
        rig.connect();
        rig.learn(1, "/x", &allow("/a", 1, 1));
        rig.recall(1, "/x");
        rig.recall(1, "/x");
        lose(&mut rig);
        rig.now += 1000;
        rig.renew();
        assert_eq!(booked(&rig), 2, "loss {which}");
    }
}

#[test]
fn denials_without_the_sidecar_are_counted_by_reason() {
    let mut rig = Rig::unconnected(&Config::default());
    rig.meet(1);
    for _ in 0..3 {
        let stream = rig.ask(1, "/x");
        let _ = rig.machine.answered(stream, None, rig.at());
    }
    rig.connect();
    rig.tick();
    let local: Vec<_> = rig.reports.iter().flat_map(|report| &report.local).cloned().collect();
    assert_eq!(local, [link::Local { reason: "sidecar_unreachable".into(), count: 3 }]);
}

#[test]
fn a_sidecar_that_receives_nothing_costs_bounded_memory_and_still_hears_every_count() {
    let mut rig = Rig::unconnected(&Config { max_decisions: 2000, ..Config::default() });
    rig.connect();
    let mut given = 0;
    // More decisions than can wait with a line of their own.
    for round in 0..14_000_u32 {
        let mut response = allow("/a", 1, 1);
        response.decision.as_mut().unwrap().id = u128::from(round).to_be_bytes().to_vec();
        rig.learn(1, &format!("/{round}"), &response);
        rig.recall(1, &format!("/{round}")).expect("a hit");
        given += 1;
        if round % 200 == 0 {
            rig.now += 500;
            rig.renew();
        }
    }
    assert!(rig.machine.ledger.room() < 100 && rig.machine.ledger.unreceived().count() == 4);
    for _ in 0..20 {
        acknowledge(&mut rig);
        rig.now += 500;
        rig.renew();
        rig.now += 500;
        rig.renew();
    }
    assert_eq!(booked(&rig), given);
    let coarse = rig.reports.iter().flat_map(|report| &report.hits).filter(|hits| hits.caller.is_empty());
    assert_eq!(coarse.map(|hits| (&*hits.decision_id, hits.verdict)).next(), Some((&[][..], 1)));
}

#[test]
fn stats_are_told_as_they_change_and_sizes_leave_with_the_vm() {
    let mut rig = Rig::new();
    rig.tick();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    rig.open(1, "/x");
    let told = rig.tick().into_iter().filter(|effect| matches!(effect, Effect::Metric(..))).count();
    assert_eq!(told, 4, "hits, misses, cached decisions and open streams; the lease was told before");
    assert!(rig.tick().iter().all(|effect| !matches!(effect, Effect::Metric(..))));
    assert_eq!(rig.machine.retire().len(), 3, "two sizes and the lease");
}
