//! What a real Envoy tells an authorizer about a request, as the shipped configuration has it.

use countersign_tests::client::{Protocol, request, with_header};
use countersign_tests::upstream::echoed_header;
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer};
use http::StatusCode;

use super::hop::Hop;

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
    let check = hop.last_check();
    assert_eq!(percent_decoded(&source(&check).certificate), hop.caller.leaf_pem());
    assert_eq!(source(&check).principal, "spiffe://demo.test/caller");
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
    for name in FORGED {
        wanted = with_header(wanted, name, b"forged");
    }
    wanted = with_header(wanted, "x-forwarded-client-cert", b"By=forged;URI=spiffe://demo.test/admin");
    wanted = with_header(wanted, "x-other", b"kept");
    for protocol in Protocol::ALL {
        let reply = hop.client().connect(protocol).await.unwrap().send(wanted.clone()).await.unwrap();
        let check = hop.last_check();
        for name in FORGED {
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
        let check = hop.last_check();
        assert_eq!(header(&check, "x-bytes"), [b"caf\xe9 \xff".to_vec()]);
        assert_eq!(header(&check, "x-twice"), [b"one".to_vec(), b"two,three".to_vec()]);
        assert_eq!(echoed_header(&reply.json(), "x-bytes"), ["caf\u{e9} \u{ff}"]);
    }
}

#[tokio::test]
async fn authorizer_and_service_see_one_and_the_same_path() {
    let hop = Hop::start().await;
    let mut connection = hop.client().connect(Protocol::Http2).await.unwrap();
    for (sent, seen) in
        [("//a///b", "/a/b"), ("/a/./b/../c?q=/../x", "/a/c?q=/../x"), ("/a;x=1/b", "/a;x=1/b"), ("/%61", "/a")]
    {
        let reply = connection.get(sent).await.unwrap();
        assert_eq!(http(&hop.last_check()).path, seen, "authorizer, {sent}");
        assert_eq!(reply.json()["path"], seen, "service, {sent}");
    }
    let asked = hop.authorizer.checks().len();
    for ambiguous in ["/a%2fb", "/a%2Fb", "/a%5cb", "/..%2fb"] {
        assert_eq!(connection.get(ambiguous).await.unwrap().status, StatusCode::BAD_REQUEST, "{ambiguous}");
    }
    assert_eq!(hop.authorizer.checks().len(), asked, "what is ambiguous is refused before anyone is asked");
}

#[tokio::test]
async fn without_client_validation_a_caller_without_certificate_is_the_authorizers_to_judge() {
    let hop = Hop::start_with(countersign_tests::envoy::EnvoyBuilder::without_client_validation).await;
    let nobody = countersign_tests::client::Client::new(hop.envoy.address(), &hop.authority);
    assert_eq!(nobody.get(Protocol::Http1, "/").await.unwrap().status, StatusCode::OK);
    let check = hop.last_check();
    assert_eq!((source(&check).certificate.as_str(), source(&check).principal.as_str()), ("", ""));
    assert!(header(&check, "x-forwarded-client-cert").is_empty());
}

#[tokio::test]
async fn many_requests_share_a_connection_when_the_client_keeps_it() {
    let hop = Hop::start().await;
    for protocol in Protocol::ALL {
        let before = hop.envoy.stats("listener.127.0.0.1_0.downstream_cx_total").await;
        let mut connection = hop.client().connect(protocol).await.unwrap();
        for _ in 0..3 {
            connection.get("/").await.unwrap();
        }
        assert_eq!(hop.envoy.stats("listener.127.0.0.1_0.downstream_cx_total").await, before + 1);
    }
}

#[tokio::test]
async fn malformed_http_is_refused_before_the_authorizer_hears_of_it() {
    let hop = Hop::start().await;
    for bytes in
        [&b"GET / HTTP/1.1\r\nhost: a\r\nx-nul: a\0b\r\n\r\n"[..], b"GET /\r\n\r\n", b"\x16\x03\x01 nonsense\r\n\r\n"]
    {
        let mut connection = hop.client().raw(Protocol::Http1).await.unwrap();
        connection.write(bytes).await.unwrap();
        let head = connection.read_head().await;
        assert!(head.starts_with("HTTP/1.1 400 ") || head.starts_with("HTTP/1.1 426 "), "{head}");
    }
    assert!(hop.authorizer.checks().is_empty());
}

#[tokio::test]
async fn too_many_or_too_long_headers_are_refused_before_the_authorizer_hears_of_them() {
    let hop = Hop::start().await;
    for protocol in Protocol::ALL {
        for (count, length, refused) in
            [(80, 10, false), (101, 10, true), (10_000, 10, true), (1, 50_000, false), (1, 1 << 20, true)]
        {
            let mut wanted = request("/");
            for number in 0..count {
                wanted = with_header(wanted, &format!("x-header-{number}"), &vec![b'a'; length]);
            }
            let asked = hop.authorizer.checks().len();
            let reply = hop.client().connect(protocol).await.unwrap().send(wanted).await;
            // HTTP/1.1 gets a 431, HTTP/2 a reset.
            let served = reply.is_ok_and(|reply| reply.status == StatusCode::OK);
            assert_eq!(served, !refused, "{count} headers of {length} bytes by {protocol:?}");
            assert_eq!(hop.authorizer.checks().len() > asked, !refused);
        }
    }
}

fn http(check: &CheckRequest) -> &HttpRequest {
    check.attributes.as_ref().unwrap().request.as_ref().unwrap().http.as_ref().unwrap()
}

fn source(check: &CheckRequest) -> &Peer {
    check.attributes.as_ref().unwrap().source.as_ref().unwrap()
}

fn header(check: &CheckRequest, name: &str) -> Vec<Vec<u8>> {
    let headers = &http(check).header_map.as_ref().expect("encode_raw_headers fills header_map").headers;
    headers.iter().filter(|header| header.key == name).map(|header| header.raw_value.clone()).collect()
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

const FORGED: [&str; 7] = [
    "x-countersign-caller",
    "x-countersign-decision-id",
    "x-countersign-anything",
    "x_countersign_caller",
    "x-countersign_caller",
    "x-envoy-auth-failure-mode-allowed",
    "x-envoy-downstream-service-cluster",
];
