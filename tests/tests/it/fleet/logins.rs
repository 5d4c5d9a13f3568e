//! The ways to show a nats-server who one is, and what is said when that fails.

use authz_core::signal::Seq;
use countersign::config::{NatsConfig, NatsLogin};
use countersign_tests::{eventually::eventually, nats::Nats, pki::Authority};

use super::member::{Member, config, signal};

async fn works(config: NatsConfig) {
    let member = Member::new(config).await;
    assert_eq!(member.plane.submit(signal("a")).await.unwrap().seq, Seq(1));
}

async fn fails(config: NatsConfig) -> String {
    let member = Member::new(config).await;
    eventually("trouble", async || {
        let state = member.state();
        state.trouble.or(state.refused.map(|it| it.to_string()))
    })
    .await
}

#[tokio::test]
async fn a_password_from_a_file_opens_the_door_and_a_wrong_one_is_named() {
    let nats = Nats::build().password("orders", "s3cret").start().await;
    let login = |user: &str| NatsLogin::Password(user.to_owned(), nats.dir().join("password"));
    works(NatsConfig { login: login("orders"), ..config(&[nats.url()]) }).await;
    let why = fails(NatsConfig { login: login("nobody"), ..config(&[nats.url()]) }).await;
    assert!(why.contains("authorization violation"), "{why}");
}

#[tokio::test]
async fn an_nkey_seed_opens_the_door() {
    let nats = Nats::build().nkey().start().await;
    works(NatsConfig { login: NatsLogin::Nkey(nats.dir().join("user.nk")), ..config(&[nats.url()]) }).await;
    let why = fails(config(&[nats.url()])).await;
    assert!(why.contains("authorization violation"), "{why}");
}

#[tokio::test]
async fn servers_with_tls_are_verified_and_ask_for_our_certificate() {
    let authority = Authority::new("nats.test");
    let nats = Nats::build().tls(&authority).start().await;
    let file = |name: &str| nats.dir().join(name);
    let good = NatsConfig {
        ca_file: Some(file("ca.pem")),
        certificate: Some((file("client.pem"), file("client.key"))),
        ..config(&[nats.url()])
    };
    works(good.clone()).await;
    fails(NatsConfig { certificate: None, ..good.clone() }).await;
    fails(NatsConfig { ca_file: None, ..good.clone() }).await;
    let why = fails(NatsConfig { ca_file: Some(file("missing.pem")), ..good }).await;
    assert!(why.contains("signals.nats.ca_file") && why.contains("missing.pem"), "{why}");
}
