//! Which wrong certificates a real Envoy stops, and which only our own verification can.

use countersign_tests::client::Protocol;
use countersign_tests::pki::Fault;

use super::hop::Hop;

#[tokio::test]
async fn a_strict_envoy_stops_some_wrong_certificates_and_lets_others_through() {
    let hop = Hop::start().await;
    for fault in Fault::ALL {
        assert_eq!(reaches_authorizer(&hop, fault).await, PASS_STRICT_ENVOY.contains(&fault), "{fault:?}");
    }
}

#[tokio::test]
async fn without_client_validation_every_wrong_certificate_reaches_the_authorizer_except_one_that_tls_itself_refuses() {
    let hop = Hop::start_with(countersign_tests::envoy::EnvoyBuilder::without_client_validation).await;
    for fault in Fault::ALL {
        // A key that may not sign cannot sign the handshake: BoringSSL refuses, whatever Envoy is told to accept.
        assert_eq!(reaches_authorizer(&hop, fault).await, fault != Fault::NoDigitalSignature, "{fault:?}");
    }
}

#[tokio::test]
async fn a_proper_certificate_passes_with_and_without_intermediate() {
    let hop = Hop::start().await;
    assert!(hop.client().get(Protocol::Http1, "/").await.unwrap().status.is_success());
    assert!(
        hop.client_as(&hop.authority.leaf("/caller").without_intermediate().issue())
            .get(Protocol::Http1, "/")
            .await
            .is_err()
    );
}

async fn reaches_authorizer(hop: &Hop, fault: Fault) -> bool {
    let before = hop.authorizer.checks().len();
    let svid = hop.authority.wrong("/caller", fault);
    // The answer does not matter here: a NUL in the SAN, for one, breaks the request on its way to the service.
    let _ = hop.client_as(&svid).get(Protocol::Http1, "/").await;
    hop.authorizer.checks().len() > before
}

/// Envoy 1.40's SPIFFE validator does not look at these; Countersign must.
const PASS_STRICT_ENVOY: [Fault; 7] = [
    Fault::ClientAuthOnly,
    Fault::KeyUsageNotCritical,
    Fault::NulInSan,
    Fault::OversizedId,
    Fault::PercentEncodedPath,
    Fault::TwoUriSans,
    Fault::UriSanAndForeignUri,
];
