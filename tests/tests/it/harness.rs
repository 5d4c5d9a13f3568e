//! The harness shows that it is real: a shipped configuration in a real Envoy, and what such an Envoy tells an authorizer.

use countersign_tests::authorizer::{Authorizer, status};
use countersign_tests::client::{Client, Protocol, request, with_header};
use countersign_tests::envoy::Envoy;
use countersign_tests::pki::{Authority, Svid};
use countersign_tests::upstream::{Upstream, echoed_header};
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use http::StatusCode;

struct Hop {
    authority: Authority,
    caller: Svid,
    authorizer: Authorizer,
    upstream: Upstream,
    envoy: Envoy,
}

impl Hop {
    async fn start() -> Self {
        let authority = Authority::new("demo.test").with_intermediate();
        let authorizer = Authorizer::start(status(0));
        let upstream = Upstream::start().await;
        let envoy = Envoy::shipped("ext-authz")
            .identity(&authority.issue("/envoy"))
            .trusting(&[&authority])
            .sidecar(&authorizer.socket())
            .local_service(upstream.address())
            .start()
            .await;
        Self { caller: authority.issue("/caller"), authority, authorizer, upstream, envoy }
    }

    fn client(&self) -> Client {
        Client::new(self.envoy.address(), &self.authority).identity(&self.caller)
    }
}

fn header(check: &CheckRequest, name: &str) -> Vec<Vec<u8>> {
    let http = check.attributes.as_ref().unwrap().request.as_ref().unwrap().http.as_ref().unwrap();
    let headers = &http.header_map.as_ref().expect("encode_raw_headers fills header_map").headers;
    headers.iter().filter(|header| header.key == name).map(|header| header.raw_value.to_vec()).collect()
}

#[tokio::test]
async fn an_allowed_request_reaches_the_service_over_http1_and_http2() {
    let hop = Hop::start().await;
    for (protocol, version) in [(Protocol::Http1, "HTTP/1.1"), (Protocol::Http2, "HTTP/2.0")] {
        let reply = hop.client().get(protocol, "/orders?id=7").await.unwrap();
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        assert_eq!(reply.json()["path"], "/orders?id=7");
        assert_eq!(reply.json()["version"], version);
    }
    assert_eq!(hop.upstream.requests(), 2);
    hop.envoy.until_stat("http.mesh.ext_authz.countersign.ok", 2).await;
}

#[tokio::test]
async fn a_check_carries_the_leaf_and_the_whole_chain_of_the_caller() {
    let hop = Hop::start().await;
    hop.client().get(Protocol::Http2, "/").await.unwrap();
    let check = hop.authorizer.checks().pop().unwrap();
    let source = check.attributes.clone().unwrap().source.unwrap();
    assert_eq!(percent_decoded(&source.certificate), hop.caller.leaf_pem());
    assert_eq!(source.principal, "spiffe://demo.test/caller");
    let xfcc = String::from_utf8(header(&check, "x-forwarded-client-cert").concat()).unwrap();
    let fields: Vec<(&str, &str)> = xfcc.split(';').map(|pair| pair.split_once('=').unwrap()).collect();
    let field = |key| fields.iter().find(|(name, _)| *name == key).map(|(_, value)| value.trim_matches('"')).unwrap();
    assert_eq!(field("By"), "spiffe://demo.test/envoy");
    assert_eq!(field("Hash"), hop.caller.digest());
    assert_eq!(field("URI"), "spiffe://demo.test/caller");
    assert_eq!(percent_decoded(field("Cert")), hop.caller.leaf_pem());
    assert_eq!(percent_decoded(field("Chain")), hop.caller.chain_pem());
    assert_eq!(hop.caller.chain_der().len(), 2, "leaf and intermediate");
}

#[tokio::test]
async fn private_headers_of_a_client_reach_neither_authorizer_nor_service() {
    let hop = Hop::start().await;
    let mut wanted = request("/");
    let forged = [
        "x-countersign-caller",
        "x-countersign-decision-id",
        "x_countersign_caller",
        "x-countersign-anything",
        "x-envoy-auth-failure-mode-allowed",
        "x-envoy-downstream-service-cluster",
    ];
    for name in forged {
        wanted = with_header(wanted, name, b"forged");
    }
    wanted = with_header(wanted, "x-forwarded-client-cert", b"By=forged;URI=spiffe://demo.test/admin");
    wanted = with_header(wanted, "x-other", b"kept");
    for protocol in Protocol::ALL {
        let reply = hop.client().connect(protocol).await.unwrap().send(wanted.clone()).await.unwrap();
        let check = hop.authorizer.checks().pop().unwrap();
        for name in forged {
            assert!(header(&check, name).is_empty(), "{name} reached the authorizer by {protocol:?}");
            assert!(echoed_header(&reply.json(), name).is_empty(), "{name} reached the service by {protocol:?}");
        }
        assert_eq!(header(&check, "x-other"), [b"kept".to_vec()]);
        assert_eq!(header(&check, "x-forwarded-client-cert").len(), 1);
        assert!(!echoed_header(&reply.json(), "x-forwarded-client-cert").concat().contains("forged"));
    }
}

#[tokio::test]
async fn headers_reach_the_authorizer_byte_for_byte() {
    let hop = Hop::start().await;
    let mut wanted = with_header(request("/"), "x-bytes", b"caf\xe9 \xff");
    wanted = with_header(wanted, "x-twice", b"one");
    wanted = with_header(wanted, "x-twice", b"two,three");
    for protocol in Protocol::ALL {
        let reply = hop.client().connect(protocol).await.unwrap().send(wanted.clone()).await.unwrap();
        assert_eq!(reply.status, StatusCode::OK);
        let check = hop.authorizer.checks().pop().unwrap();
        assert_eq!(header(&check, "x-bytes"), [b"caf\xe9 \xff".to_vec()]);
        assert_eq!(header(&check, "x-twice"), [b"one".to_vec(), b"two,three".to_vec()]);
        assert_eq!(echoed_header(&reply.json(), "x-bytes"), ["caf\u{e9} \u{ff}"]);
    }
}

fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(code, 16).unwrap());
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).unwrap()
}
