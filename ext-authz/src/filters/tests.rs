//! Enforcement over the life of a filter: connected, acknowledging, gone, forgotten, back.

use std::time::Duration;

use super::*;

/// Names in the three lists, as `enforcing|pending|unreachable`, and `!` if it is complete.
fn summary(filters: &Filters, seq: u64, now: Instant) -> String {
    let it = filters.enforcement(Seq(seq), Some(now), now);
    let names = |list: &[FilterState]| list.iter().map(|it| it.node.to_string()).collect::<Vec<_>>().join(",");
    let complete = if it.is_complete(now) { "!" } else { "" };
    format!("{}|{}|{}{complete}", names(&it.enforcing), names(&it.pending), names(&it.unreachable))
}

#[test]
fn a_signal_is_complete_when_all_that_may_answer_alone_have_it() {
    let now = Instant::now();
    let lease = now + Duration::from_mins(1);
    let filters = Filters::new(None);
    assert_eq!(summary(&filters, 1, now), "||!");
    let a = filters.connect("1", "a", now);
    let b = filters.connect("2", "b", now);
    assert_eq!(summary(&filters, 1, now), "|a,b|!", "without lease nobody answers alone");
    a.lease_granted(lease);
    b.lease_granted(lease);
    assert_eq!(summary(&filters, 1, now), "|a,b|");
    a.acked(Seq(3), now);
    assert_eq!(summary(&filters, 1, now), "a|b|");
    b.acked(Seq(2), now);
    assert_eq!(summary(&filters, 2, now), "a,b||!");
    assert_eq!(summary(&filters, 3, now), "a|b|");
    drop(b);
    assert_eq!(summary(&filters, 3, now), "a||b");
    assert_eq!(summary(&filters, 2, now), "a,b||!");
    assert_eq!(summary(&filters, 3, lease), "a||!", "its lease is over");
    let next = filters.enforcement(Seq(3), None, now).next_lease_end(now);
    assert_eq!(next, Some(lease));
    assert_eq!(filters.counts(now), Counts { connected: 1, unreachable: 1, least_enforced: Some(Seq(3)) });
}

#[test]
fn a_filter_that_comes_back_keeps_its_lease_and_its_old_stream_can_not_disconnect_it() {
    let now = Instant::now();
    let filters = Filters::new(None);
    let old = filters.connect("1", "a", now);
    old.acked(Seq(2), now);
    let new = filters.connect("1", "a2", now);
    old.lease_granted(now + Duration::from_mins(1));
    drop(old);
    assert_eq!(summary(&filters, 3, now), "|a2|");
    drop(new);
    assert_eq!(summary(&filters, 3, now), "||a2");
    let _back = filters.connect("1", "a3", now);
    assert_eq!(summary(&filters, 2, now), "a3||!");
}

#[test]
fn a_gone_filter_is_forgotten_when_its_lease_is_over() {
    let now = Instant::now();
    let mut registry = Registry::new(None);
    let node: Arc<str> = "a".into();
    let session = registry.connect(&"1".into(), &node, now);
    registry.acked(&"1".into(), Seq(5), now);
    registry.lease_granted(&"1".into(), &node, now + Duration::from_secs(1));
    registry.lease_granted(&"1".into(), &node, now);
    registry.disconnect(&"1".into(), session, now);
    assert_eq!(registry.counts(now).unreachable, 1, "a shorter lease does not take back a longer one");
    registry.connect(&"2".into(), &node, now + Duration::from_secs(1));
    let states = registry.enforcement(Seq(5), None, now).enforcing;
    assert_eq!(states, [], "what it had in force went with it");
}

#[test]
fn filters_of_an_earlier_run_count_until_their_leases_must_be_over() {
    let now = Instant::now();
    let until = now + Duration::from_secs(3);
    let filters = Filters::new(Some(until));
    let a = filters.connect("1", "a", now);
    a.acked(Seq(1), now);
    assert_eq!(summary(&filters, 1, now), "a||filters not heard of since the sidecar started");
    assert_eq!(filters.enforcement(Seq(1), None, now).next_lease_end(now), Some(until));
    assert_eq!(summary(&filters, 1, until), "a||!");
}

#[test]
fn the_time_taken_is_that_of_the_first_acknowledgement_that_covers_the_signal() {
    let now = Instant::now();
    let after = |millis| now + Duration::from_millis(millis);
    let filters = Filters::new(None);
    let a = filters.connect("1", "a", now);
    let took = |seq| filters.enforcement(Seq(seq), Some(now), now).enforcing.first().and_then(|it| it.took);
    a.acked(Seq(2), after(5));
    a.acked(Seq(2), after(6));
    a.acked(Seq(4), after(9));
    a.acked(Seq(1), after(10));
    for (seq, millis) in [(1, 5), (2, 5), (3, 9), (4, 9)] {
        assert_eq!(took(seq), Some(Duration::from_millis(millis)), "{seq}");
    }
    (5..400).for_each(|seq| a.acked(Seq(seq), after(seq)));
    assert_eq!(took(1), None, "too long ago to say");
    assert_eq!(took(399), Some(Duration::from_millis(399)));
}

#[tokio::test]
async fn whatever_may_complete_an_enforcement_wakes_those_who_wait() {
    let filters = Filters::new(None);
    let mut changes = filters.subscribe();
    let now = Instant::now();
    let a = filters.connect("1", "a", now);
    changes.changed().await.unwrap();
    a.acked(Seq(1), now);
    changes.changed().await.unwrap();
    assert_eq!(summary(&filters, 1, now), "a||!");
    drop(a);
    changes.changed().await.unwrap();
    assert_eq!(filters.counts(now), Counts::default());
}

#[test]
fn only_the_last_of_many_acknowledgements_wakes_those_who_wait_but_each_is_a_change() {
    let filters = Filters::new(None);
    let now = Instant::now();
    let all: Vec<_> = (0..5).map(|number| filters.connect(&number.to_string(), "a", now)).collect();
    let mut settled = filters.subscribe();
    settled.mark_unchanged();
    for (acknowledged, filter) in all.iter().enumerate() {
        assert!(!settled.has_changed().unwrap(), "{acknowledged} of 5");
        let before = filters.changes();
        filter.acked(Seq(3), now);
        assert_ne!(filters.changes(), before);
    }
    assert!(settled.has_changed().unwrap());
    assert_eq!(filters.counts(now).least_enforced, Some(Seq(3)));
}

#[test]
fn the_least_position_is_that_of_connected_filters_only() {
    let filters = Filters::new(None);
    let now = Instant::now();
    let least = || filters.counts(now).least_enforced;
    let (a, b) = (filters.connect("1", "a", now), filters.connect("2", "b", now));
    a.lease_granted(now + Duration::from_mins(1));
    a.acked(Seq(2), now);
    b.acked(Seq(5), now);
    assert_eq!(least(), Some(Seq(2)));
    // Its new stream takes the place of the old one, whose end says nothing.
    let again = filters.connect("1", "a", now);
    drop(a);
    assert_eq!(least(), Some(Seq(2)));
    drop(again);
    assert_eq!(least(), Some(Seq(5)), "it is gone");
    let back = filters.connect("1", "a", now);
    assert_eq!(least(), Some(Seq(2)), "and back where it was");
    back.acked(Seq(9), now);
    assert_eq!(least(), Some(Seq(5)));
}
