//! nats-server is real: what `JetStream` acknowledged outlives a kill, strangers stay out, and a way to it can break.

use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::stream::Config;
use countersign_tests::eventually::eventually;
use countersign_tests::nats::{Nats, NatsCluster, Wire};
use countersign_tests::pki::Authority;
use tokio::time::timeout;

const SUBJECT: &str = "harness";

async fn publish(nats: &Nats, payload: &str) -> u64 {
    try_publish(nats, payload).await.unwrap()
}

async fn try_publish(nats: &Nats, payload: &str) -> Option<u64> {
    // Without its client an answer under way is lost.
    let jetstream = nats.jetstream().await;
    let sent = jetstream.publish(SUBJECT, payload.to_owned().into()).await.ok()?;
    Some(sent.await.ok()?.sequence)
}

fn stream(replicas: usize) -> Config {
    Config {
        name: "HARNESS".to_owned(),
        subjects: vec![SUBJECT.to_owned()],
        num_replicas: replicas,
        ..Config::default()
    }
}

#[tokio::test]
async fn what_it_acknowledged_is_there_after_a_kill() {
    let mut nats = Nats::start().await;
    nats.jetstream().await.create_stream(stream(1)).await.unwrap();
    assert_eq!(publish(&nats, "a").await, 1);
    let address = nats.address();
    nats.restart().await;
    assert_eq!(nats.address(), address);
    assert_eq!(publish(&nats, "b").await, 2);
    let stream = nats.jetstream().await.get_stream("HARNESS").await.unwrap();
    assert_eq!(&stream.get_raw_message(1).await.unwrap().payload[..], b"a");
}

#[tokio::test]
async fn strangers_stay_out_by_password_key_and_certificate() {
    let authority = Authority::new("demo.test");
    let servers = [
        Nats::build().password("countersign", "s3cret").start().await,
        Nats::build().nkey().start().await,
        Nats::build().tls(&authority).start().await,
    ];
    for nats in servers {
        let stranger = ConnectOptions::new().add_root_certificates(nats.dir().join("ca.pem"));
        let stranger = if nats.url().starts_with("tls") { stranger } else { ConnectOptions::new() };
        assert!(stranger.connect(nats.url()).await.is_err(), "{}", nats.url());
    }
}

#[tokio::test]
async fn a_cluster_goes_on_without_one_of_three() {
    let mut cluster = NatsCluster::start().await;
    cluster.servers[0].jetstream().await.create_stream(stream(3)).await.unwrap();
    assert_eq!(publish(&cluster.servers[0], "a").await, 1);
    cluster.servers[0].kill();
    let sequence = eventually("a new leader", async || try_publish(&cluster.servers[1], "b").await).await;
    assert!(sequence >= 2);
}

#[tokio::test]
async fn a_wire_is_cut_frozen_and_mended() {
    let nats = Nats::start().await;
    let wire = Wire::to(nats.address()).await;
    let connect = || ConnectOptions::new().retry_on_initial_connect().connect(wire.address().to_string());
    let client = connect().await.unwrap();
    let asks = || client.request("$JS.API.STREAM.NAMES", "".into());
    asks().await.unwrap();
    wire.freeze();
    assert!(timeout(Duration::from_millis(300), asks()).await.is_err(), "frozen");
    wire.mend();
    asks().await.unwrap();
    wire.cut();
    eventually("a cut connection", async || {
        (client.connection_state() == async_nats::connection::State::Disconnected).then_some(())
    })
    .await;
    wire.mend();
    eventually("a connection again", async || {
        (client.connection_state() == async_nats::connection::State::Connected).then_some(())
    })
    .await;
}
