//! Two real Envoys in a row: the second authenticates the first, and the first the second.

use countersign_tests::authorizer::{Authorizer, status};
use countersign_tests::client::{Client, Protocol};
use countersign_tests::envoy::Envoy;
use http::StatusCode;

use super::hop::Hop;

#[tokio::test]
async fn the_second_hop_sees_the_first_envoy_as_its_caller() {
    let second = Hop::start().await;
    for protocol in Protocol::ALL {
        let first_authorizer = Authorizer::start(status(0));
        let first = first_hop(&second, &first_authorizer, "spiffe://demo.test/envoy").await;
        let client = Client::new(first.address(), &second.authority).identity(&second.caller);
        assert_eq!(client.get(protocol, "/through").await.unwrap().status, StatusCode::OK);
        let principal = |check| source_of(check).principal;
        assert_eq!(
            first_authorizer.checks().into_iter().map(principal).collect::<Vec<_>>(),
            ["spiffe://demo.test/caller"]
        );
        assert_eq!(principal(second.last_check()), "spiffe://demo.test/first");
    }
}

#[tokio::test]
async fn a_next_hop_with_another_identity_gets_no_request() {
    let second = Hop::start().await;
    let first_authorizer = Authorizer::start(status(0));
    let first = first_hop(&second, &first_authorizer, "spiffe://demo.test/somebody-else").await;
    let client = Client::new(first.address(), &second.authority).identity(&second.caller);
    assert_eq!(client.get(Protocol::Http2, "/").await.unwrap().status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(second.authorizer.checks().is_empty());
}

async fn first_hop(second: &Hop, authorizer: &Authorizer, expected: &str) -> Envoy {
    Envoy::shipped("ext-authz")
        .node("first")
        .identity(&second.authority.issue("/first"))
        .trusting(&[&second.authority])
        .sidecar(&authorizer.socket())
        .next_hop(second.envoy.address(), expected)
        .start()
        .await
}

fn source_of(
    check: envoy_types::pb::envoy::service::auth::v3::CheckRequest,
) -> envoy_types::pb::envoy::service::auth::v3::attribute_context::Peer {
    check.attributes.unwrap().source.unwrap()
}
