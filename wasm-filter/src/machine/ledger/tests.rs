//! Batches: cut, sent again, received.

use authz_core::{decision::DecisionId, time::Timestamp};

use super::*;
use crate::machine::{decisions::Kept, tests::caller};

fn tally(id: u128, count: u64, last: u64) -> Tally {
    let kept = Kept {
        id: DecisionId(id),
        verdict: Verdict::Allow,
        reason: Reason::Permit,
        holds_until: Timestamp::NEVER,
        generation: 1,
        caller: caller("/a", 1),
        behind: None,
        reads_standings: false,
    };
    Tally { kept, count, last: Timestamp::from_millis(last) }
}

#[test]
fn counts_of_one_decision_become_one_line_with_the_latest_moment() {
    let mut ledger = Ledger::default();
    ledger.add([tally(1, 2, 50), tally(2, 1, 10), tally(1, 3, 40)]);
    ledger.add_local(Reason::Contended);
    ledger.add_local(Reason::Contended);
    let batch = ledger.cut().unwrap();
    let mut lines: Vec<_> = batch.hits.iter().map(|hits| (hits.decision_id[15], hits.count, hits.last_ms)).collect();
    lines.sort_unstable();
    assert_eq!(lines, [(1, 5, 50), (2, 1, 10)]);
    assert_eq!(batch.local, [link::Local { reason: "contended".into(), count: 2 }]);
    assert!(ledger.cut().is_none(), "nothing waits");
}

#[test]
fn a_batch_is_bounded_and_so_are_those_on_their_way() {
    let mut ledger = Ledger::default();
    let lines = u128::try_from(MAX_BATCH * MAX_UNRECEIVED + 7).unwrap();
    ledger.add((0..lines).map(|id| tally(id, 1, 1)));
    for number in 1..=4 {
        let batch = ledger.cut().unwrap();
        assert_eq!((batch.number, batch.hits.len()), (number, MAX_BATCH));
    }
    assert!(ledger.cut().is_none(), "four are on their way");
    ledger.received(2);
    assert_eq!(ledger.unreceived().map(|batch| batch.number).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(ledger.cut().map(|batch| (batch.number, batch.hits.len())), Some((5, 7)));
}

#[test]
fn beyond_its_bounds_a_count_loses_its_name_but_is_not_lost() {
    let mut ledger = Ledger::default();
    let lines = u128::try_from(MAX_LINES + 100).unwrap();
    ledger.add((0..lines).map(|id| tally(id, 2, 1)));
    ledger.add([tally(5, 2, 1)]);
    assert_eq!(ledger.room(), 0);
    let rest = ledger.hits.get(&Line::Rest(Verdict::Allow, Reason::Permit, false)).unwrap();
    assert_eq!((rest.count, &*rest.caller, &*rest.decision_id), (200, "", &[][..]));
    let sum: u64 = ledger.hits.values().map(|hits| hits.count).sum();
    assert_eq!(u128::from(sum), 2 * lines + 2);
}

#[test]
fn what_was_answered_while_the_sidecar_was_not_heard_has_lines_of_its_own() {
    let mut ledger = Ledger::default();
    ledger.add([tally(1, 2, 50)]);
    ledger.lose_link(Timestamp::from_millis(60));
    ledger.lose_link(Timestamp::from_millis(70));
    ledger.add([tally(1, 3, 59), tally(1, 5, 60), tally(1, 1, 65)]);
    ledger.find_link();
    ledger.add([tally(1, 7, 90)]);
    let batch = ledger.cut().unwrap();
    let mut lines: Vec<_> = batch.hits.iter().map(|hits| (hits.link_lost, hits.count)).collect();
    lines.sort_unstable();
    assert_eq!(lines, [(false, 12), (true, 6)]);
}
