//! Servers that die, come back, or come back with another past.

use std::{path::Path, process::Command};

use authz_core::signal::Seq;
use countersign::config::NatsConfig;
use countersign_tests::{eventually::eventually, nats::Nats};
use futures_util::{StreamExt, stream};

use super::member::{Home, Member, config, signal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_again_and_again_loses_no_acknowledged_signal_and_has_none_twice() {
    let mut nats = Nats::start().await;
    let members = [Member::new(config(&[nats.url()])).await, Member::new(config(&[nats.url()])).await];
    let sends = (0..400).map(|n| {
        let member = &members[n % 2];
        async move { member.insist(signal(&format!("id-{n}"))).await }
    });
    let sending = stream::iter(sends).buffer_unordered(8).collect::<Vec<_>>();
    let killing = async {
        for goal in [50, 150, 250] {
            members[0].reaches(Seq(goal)).await;
            nats.restart().await;
        }
    };
    let (accepted, ()) = tokio::join!(sending, killing);
    for member in &members {
        member.reaches(Seq(400)).await;
        assert_eq!(member.applied(), (1..=400).map(Seq).collect::<Vec<_>>());
        assert_eq!(member.entries(), members[0].entries());
    }
    let entries = members[0].entries();
    for it in accepted {
        let (_, kept) = &entries[usize::try_from(it.seq.0).unwrap() - 1];
        assert_eq!(kept.id, it.signal.id);
    }
}

#[tokio::test]
async fn a_stream_from_an_old_copy_is_refused_and_followed_again_once_it_is_whole_without_a_hand() {
    let (mut nats, home) = (Nats::start().await, Home::new());
    let one = Member::at(&home, config(&[nats.url()])).await;
    one.plane.submit(signal("a")).await.unwrap();
    nats.kill();
    let (old, whole) = (nats.dir().join("old"), nats.dir().join("whole"));
    copy(&nats.store(), &old);
    nats.restart().await;
    one.insist(signal("b")).await;
    nats.kill();
    copy(&nats.store(), &whole);
    copy(&old, &nats.store());
    nats.restart().await;
    let why = one.refuses().await;
    assert!(why.contains("it ends at 1, and this sidecar has seen it at 2") && why.contains("import: true"), "{why}");
    assert_eq!((one.metrics.fleet_refused.get(), one.plane.head()), (1, Seq(2)), "what was revoked stays so");
    let error = one.plane.submit(signal("c")).await.unwrap_err();
    assert!(error.to_string().contains("the stream is refused"), "{error}");
    nats.kill();
    copy(&whole, &nats.store());
    nats.restart().await;
    assert_eq!(one.insist(signal("c")).await.seq, Seq(3));
    assert_eq!((one.metrics.fleet_refused.get(), one.state().refused), (0, None));
}

#[tokio::test]
async fn an_old_copy_that_went_on_is_told_by_its_entries_and_import_brings_back_what_it_lacks() {
    let (mut nats, home) = (Nats::start().await, Home::new());
    let one = Member::at(&home, config(&[nats.url()])).await;
    one.plane.submit(signal("a")).await.unwrap();
    nats.kill();
    let old = nats.dir().join("old");
    copy(&nats.store(), &old);
    nats.restart().await;
    one.insist(signal("b")).await;
    drop(one);
    nats.kill();
    copy(&old, &nats.store());
    nats.restart().await;
    let stranger = Member::new(config(&[nats.url()])).await;
    for id in ["x", "y"] {
        stranger.plane.submit(signal(id)).await.unwrap();
    }
    let one = Member::at(&home, config(&[nats.url()])).await;
    let why = one.refuses().await;
    assert!(why.contains("it holds another signal at 2"), "{why}");
    assert_eq!(one.applied(), [1, 2].map(Seq));
    drop(one);
    let one = Member::at(&home, NatsConfig { import: true, ..config(&[nats.url()]) }).await;
    one.caught_up().await;
    let ids: Vec<_> = one.entries().into_iter().map(|(_, signal)| signal.id.to_string()).collect();
    assert_eq!(ids, ["a", "x", "y", "b"]);
    stranger.reaches(Seq(4)).await;
    assert_eq!(stranger.entries(), one.entries());
}

#[tokio::test]
async fn a_stream_that_was_made_anew_is_refused_until_the_log_is_imported_into_it() {
    let (nats, home) = (Nats::start().await, Home::new());
    let one = Member::at(&home, config(&[nats.url()])).await;
    one.plane.submit(signal("a")).await.unwrap();
    let jetstream = nats.jetstream().await;
    jetstream.delete_stream("countersign").await.unwrap();
    let why = one.refuses().await;
    assert!(why.contains("the stream countersign is gone") && why.contains("import: true"), "{why}");
    let other = Member::new(config(&[nats.url()])).await;
    other.plane.submit(signal("x")).await.unwrap();
    eventually("another refusal", async || one.state().refused.filter(|why| why.what.contains("created anew"))).await;
    assert_eq!(one.applied(), [Seq(1)]);
    drop(one);
    let one = Member::at(&home, NatsConfig { import: true, ..config(&[nats.url()]) }).await;
    one.caught_up().await;
    assert_eq!(one.plane.submit(signal("b")).await.unwrap().seq, Seq(3));
    other.reaches(Seq(3)).await;
    let ids: Vec<_> = one.entries().into_iter().map(|(_, signal)| signal.id.to_string()).collect();
    assert_eq!((ids, other.entries()), (["x", "a", "b"].map(str::to_owned).to_vec(), one.entries()));
}

#[tokio::test]
async fn what_somebody_else_publishes_is_refused_and_not_skipped() {
    let nats = Nats::start().await;
    let one = Member::new(config(&[nats.url()])).await;
    one.plane.submit(signal("a")).await.unwrap();
    let jetstream = nats.jetstream().await;
    jetstream.publish("countersign.signals.x", "no signal".into()).await.unwrap().await.unwrap();
    let why = one.refuses().await;
    assert!(why.contains("what stands at 2 is no signal that this version can read"), "{why}");
    assert_eq!(one.applied(), [Seq(1)]);
}

/// Makes `to` a copy of the directory `from`.
fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}
