//! The measurement on a real sidecar, too short to mean anything.

use super::*;

#[tokio::test]
async fn every_filter_is_counted_and_takes_some_time() {
    let plan = Plan { logs: vec![Log::Embedded], filters: vec![1, 5], revocations: 4, live: vec![2_000] };
    let found = run(&plan, |_| ()).await.unwrap();
    assert_eq!(found.iter().map(|it| (it.filters, it.live)).collect::<Vec<_>>(), [(1, 0), (5, 0), (AMONG, 2_000)]);
    for it in found {
        assert!(
            0.0 < it.last_acknowledgement_p50_ms && it.last_acknowledgement_p50_ms <= it.last_acknowledgement_p99_ms,
            "{it:?}"
        );
        assert!(
            it.last_acknowledgement_p50_ms <= it.revocation_p50_ms && it.revocation_p50_ms <= it.revocation_p99_ms,
            "{it:?}"
        );
        assert!(it.burst_ms > 0.0, "{it:?}");
    }
}

#[tokio::test]
async fn the_same_is_measured_over_a_real_nats_server() {
    let plan = Plan { logs: vec![Log::Nats], filters: vec![3], revocations: 3, live: Vec::new() };
    let found = run(&plan, |_| ()).await.unwrap();
    assert_eq!(found.iter().map(|it| (it.log, it.filters)).collect::<Vec<_>>(), [(Log::Nats, 3)]);
    assert!(found[0].revocation_p50_ms > 0.0, "{found:?}");
}

#[tokio::test]
async fn filters_that_do_not_come_are_missed() {
    let stage = Stage::boot(Log::Embedded, 0).await.unwrap();
    let mut control = Control::connect(stage.control()).await.unwrap();
    let seq = control.revoke("token:x").await.unwrap();
    let error = in_force(&mut control, seq, 2).await.unwrap_err().to_string();
    assert!(error.starts_with("2 of 2 filters did not come"), "{error}");
}

#[test]
fn percentiles_are_of_what_was_seen() {
    let mut times = Times::default();
    (1..=200_u64).rev().for_each(|number| times.add(Duration::from_millis(number)));
    let seen = [1, 50, 99, 100].map(|percent| times.percentile(percent).to_string());
    assert_eq!(seen, ["2", "100", "198", "200"]);
    assert_eq!(Times::default().percentile(99).to_string(), "0");
}
