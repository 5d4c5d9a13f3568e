//! What a real Envoy does, as we ship it, when something around it fails.

use std::time::{Duration, Instant};

use countersign_tests::client::{Client, Protocol};
use countersign_tests::eventually::eventually;
use countersign_tests::pki::Authority;
use http::StatusCode;

use super::hop::Hop;

#[tokio::test]
async fn an_unreachable_authorizer_denies_with_403_and_is_logged_as_a_failure() {
    let hop = Hop::start().await;
    std::fs::remove_file(hop.authorizer.socket()).unwrap();
    assert_eq!(hop.client().get(Protocol::Http1, "/").await.unwrap().status, StatusCode::FORBIDDEN);
    hop.envoy.logged("a failure", |entry| entry["response_code_details"] == "ext_authz_error").await;
    hop.envoy.until_stat("http.mesh.ext_authz.countersign.error", 1).await;
    assert_eq!(hop.upstream.requests(), 0);
}

#[tokio::test]
async fn a_trust_domain_that_is_taken_out_of_the_bundles_is_refused_without_a_restart() {
    let (federated, successor) = (Authority::new("partner.test"), Authority::new("partner.test"));
    let hop = Hop::start().await;
    let [old, new] = [&federated, &successor].map(|authority| hop.client_as(&authority.issue("/caller")));
    hop.envoy.trust(&[&hop.authority, &federated]);
    eventually("partner accepted", async || serves(&old).await.then_some(())).await;
    hop.envoy.trust(&[&hop.authority, &successor]);
    eventually("old authority refused", async || (!serves(&old).await).then_some(())).await;
    assert!(serves(&new).await, "the successor is accepted");
    hop.envoy.trust(&[&hop.authority]);
    eventually("partner refused", async || (!serves(&new).await).then_some(())).await;
    assert!(serves(&hop.client()).await, "others are untouched");
}

#[tokio::test]
async fn a_session_is_never_resumed_even_if_the_client_would() {
    let hop = Hop::start().await;
    for protocol in Protocol::ALL {
        let client = hop.client().resuming_sessions();
        for _ in 0..3 {
            client.get(protocol, "/").await.unwrap();
        }
    }
    hop.envoy.until_stat("listener.127.0.0.1_0.ssl.handshake", 6).await;
    assert_eq!(hop.envoy.stats("listener.127.0.0.1_0.ssl.session_reused").await, 0);
}

#[tokio::test]
async fn an_authorizer_that_hangs_denies_within_the_time_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("hangs.sock");
    let _accepts_but_never_answers = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let hop = Hop::start_with(|envoy| envoy.sidecar(&socket)).await;
    let asked = Instant::now();
    assert_eq!(hop.client().get(Protocol::Http2, "/").await.unwrap().status, StatusCode::FORBIDDEN);
    let waited = asked.elapsed();
    assert!(waited > Duration::from_millis(400) && waited < Duration::from_secs(3), "it had half a second: {waited:?}");
    hop.envoy.logged("a failure", |entry| entry["response_code_details"] == "ext_authz_error").await;
}

#[tokio::test]
async fn a_client_without_certificate_is_refused_by_the_handshake() {
    let hop = Hop::start().await;
    for protocol in Protocol::ALL {
        assert!(Client::new(hop.envoy.address(), &hop.authority).get(protocol, "/").await.is_err());
    }
    hop.envoy.until_stat("listener.127.0.0.1_0.ssl.fail_verify_no_cert", 2).await;
    assert!(hop.authorizer.checks().is_empty());
}

async fn serves(client: &Client) -> bool {
    client.get(Protocol::Http2, "/").await.is_ok_and(|reply| reply.status == StatusCode::OK)
}
