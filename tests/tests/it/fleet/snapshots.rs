//! A stream does not keep what matters no more, and who joins late or was away for long misses nothing.

use std::time::Duration;

use authz_core::{signal::Seq, time::Timestamp};
use countersign::config::NatsConfig;
use countersign_tests::{
    eventually::{eventually, within},
    nats::{Nats, Wire},
};

use super::member::{Home, Member, config, signal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_stream_is_cut_off_behind_a_snapshot_and_late_comers_load_it() {
    let (nats, home) = (Nats::start().await, Home::new());
    let wire = Wire::to(nats.address()).await;
    let one = Member::new(config(&[nats.url()])).await;
    let away = Member::new(config(&[nats.url_by(wire.address())])).await;
    let early = Member::at(&home, config(&[nats.url()])).await;
    for n in 0..3 {
        one.plane.submit(signal(&format!("early-{n}"))).await.unwrap();
    }
    early.reaches(Seq(3)).await;
    away.reaches(Seq(3)).await;
    drop(early);
    wire.cut();
    for part in 0..17 {
        let batch = (0..1000).map(|n| signal(&format!("id-{part}-{n}"))).collect();
        one.plane.submit_all(batch).await.into_iter().for_each(|result| drop(result.unwrap()));
    }
    let last = Seq(17_003);
    // As if all but the last few had long been over.
    let now = Timestamp::from_millis(1_800_000_000_000);
    assert_eq!(one.plane.log().compact(Seq(17_000), now, |_, _| true).unwrap().removed, 17_000);
    let stream = nats.jetstream().await.get_stream("countersign").await.unwrap();
    let first = within(Duration::from_mins(1), "stream that is cut off", async || {
        let state = stream.get_info().await.ok()?.state;
        (state.first_sequence > 1).then_some(state.first_sequence)
    })
    .await;
    assert!(first < last.0, "the last ones stay, so that who was away for a moment reads on");
    let early = Member::at(&home, config(&[nats.url()])).await;
    let late = Member::new(config(&[nats.url()])).await;
    for member in [&early, &late] {
        member.reaches(last).await;
        member.caught_up().await;
        // The snapshot may have been made while the compaction was under way.
        assert_eq!(member.entries_after(Seq(17_000)), one.entries());
        assert_eq!(member.plane.log().fingerprint(last), one.plane.log().fingerprint(last));
    }
    assert_eq!(late.plane.submit(signal("new")).await.unwrap().seq, last.next());
    assert!(late.plane.submit(signal("id-3-4")).await.unwrap().known, "what was cut off is still known");
    wire.mend();
    let why = away.refuses().await;
    assert!(why.contains("this sidecar needs 4; restart this sidecar"), "{why}");
    eventually("the wish to start again", async || away.state().must_restart.then_some(())).await;
    assert_eq!(away.plane.head(), Seq(3));
}

#[tokio::test]
async fn a_stream_that_somebody_purged_without_a_snapshot_is_refused() {
    let nats = Nats::start().await;
    // It makes no snapshot before half a minute.
    let rare = NatsConfig { check_every: Duration::from_secs(1), ..config(&[nats.url()]) };
    let one = Member::new(rare).await;
    for id in ["a", "b", "c"] {
        one.plane.submit(signal(id)).await.unwrap();
    }
    let stream = nats.jetstream().await.get_stream("countersign").await.unwrap();
    stream.purge().sequence(3).await.unwrap();
    let late = Member::new(config(&[nats.url()])).await;
    let why = late.refuses().await;
    assert!(why.contains("it begins at 3 and has no snapshot, this sidecar needs 1"), "{why}");
    assert!(!late.state().must_restart && late.applied().is_empty());
    assert_eq!(one.plane.submit(signal("d")).await.unwrap().seq, Seq(4), "who has all goes on");
}
