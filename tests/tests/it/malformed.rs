//! Bytes nobody should send, at every door: each is denied with a reason, and nothing crashes.

use countersign::wire::link::{DecideRequest, Header, Report, link_client::LinkClient};
use countersign_tests::client::{Protocol, request, with_header};
use countersign_tests::mesh::{CALLER, Mesh, Mode};
use countersign_tests::pki::Fault;
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use http::StatusCode;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

async fn channel(mesh: &Mesh) -> Channel {
    let socket = mesh.ext_authz_socket();
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://sidecar").connect_with_connector(connector).await.unwrap()
}

fn check_request(certificate: &str, path: &str, headers: Vec<(&str, &[u8])>) -> CheckRequest {
    let headers = headers
        .into_iter()
        .map(|(key, value)| HeaderValue { key: key.to_owned(), raw_value: value.to_vec(), ..HeaderValue::default() })
        .collect();
    let http = HttpRequest {
        method: "GET".to_owned(),
        path: path.to_owned(),
        host: "orders".to_owned(),
        header_map: Some(HeaderMap { headers }),
        ..HttpRequest::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer { certificate: certificate.to_owned(), ..Peer::default() }),
            request: Some(Request { http: Some(http), ..Request::default() }),
            ..AttributeContext::default()
        }),
    }
}

#[tokio::test]
async fn malformed_checks_are_denied_with_their_reason() {
    let mesh = Mesh::start(Mode::ExtAuthz).await;
    let mut client = AuthorizationClient::new(channel(&mesh).await).max_encoding_message_size(32 << 20);
    let svid = mesh.authority.issue(CALLER);
    let unsigning = mesh.authority.wrong(CALLER, Fault::NoDigitalSignature).leaf_pem();
    let (leaf, chain) = (svid.leaf_pem(), svid.chain_pem());
    let escaped = |pem: &str| {
        pem.replace('\n', "%0A").replace(' ', "%20").replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
    };
    let xfcc = format!("Hash={};Cert=\"{}\";Chain=\"{}\"", svid.digest(), escaped(&leaf), escaped(&chain));
    let good = ("x-forwarded-client-cert", xfcc.as_bytes());
    let header = |value: &'static [u8]| vec![("x-forwarded-client-cert", value)];
    let many: Vec<(&str, &[u8])> = std::iter::once(good).chain((0..10_000).map(|_| ("x-many", &b"1"[..]))).collect();
    let big = vec![b'x'; 1 << 20];
    let cases: Vec<(&str, CheckRequest, &str)> = vec![
        ("nothing at all", CheckRequest::default(), "certificate_missing"),
        ("no http", CheckRequest { attributes: Some(AttributeContext::default()) }, "certificate_missing"),
        ("all good", check_request(&leaf, "/", vec![good]), "permit"),
        ("10,000 headers", check_request(&leaf, "/", many), "permit"),
        ("a header of 1 MiB", check_request(&leaf, "/", vec![good, ("x-big", &big)]), "permit"),
        ("a header that is not UTF-8", check_request(&leaf, "/", vec![good, ("x-raw", b"\xff\xfe")]), "permit"),
        (
            "a read header that is not UTF-8",
            check_request(&leaf, "/", vec![good, ("x-tenant", b"\xff")]),
            "header_ambiguous",
        ),
        (
            "a read header twice",
            check_request(&leaf, "/", vec![good, ("x-tenant", b"a"), ("x-tenant", b"a")]),
            "header_ambiguous",
        ),
        (
            "authorization twice, which nobody reads",
            check_request(&leaf, "/", vec![good, ("authorization", b"a"), ("authorization", b"b")]),
            "header_ambiguous",
        ),
        ("no path", check_request(&leaf, "", vec![good]), "request_malformed"),
        ("a relative path", check_request(&leaf, "orders", vec![good]), "request_malformed"),
        ("control bytes in the path", check_request(&leaf, "/\u{1}", vec![good]), "path_ambiguous"),
        ("a leaf without digitalSignature", check_request(&unsigning, "/", vec![]), "key_usage_invalid"),
        ("a certificate that is none", check_request("hello", "/", vec![]), "certificate_malformed"),
        ("a certificate cut short", check_request(&leaf[..leaf.len() / 2], "/", vec![]), "certificate_malformed"),
        ("bad escapes in the certificate", check_request("%zz", "/", vec![]), "certificate_malformed"),
        ("broken XFCC", check_request(&leaf, "/", header(b"Hash=\"")), "xfcc_invalid"),
        ("XFCC that is not UTF-8", check_request(&leaf, "/", header(b"\xff")), "xfcc_invalid"),
        ("XFCC as JSON", check_request(&leaf, "/", header(b"[{}]")), "xfcc_invalid"),
        ("XFCC of another certificate", check_request(&leaf, "/", header(OTHER_HASH)), "certificate_mismatch"),
        ("XFCC without the leaf of Envoy", check_request("", "/", vec![good]), "certificate_missing"),
    ];
    for trick in super::paths::TRICKS.iter().filter(|trick| !trick.starts_with("/caf")) {
        let response = client.check(check_request(&leaf, trick, vec![good])).await.unwrap().into_inner();
        assert_eq!(response.status.unwrap().message, "path_ambiguous", "{trick}, straight at the socket");
    }
    for (case, request, reason) in cases {
        let response = client.check(request).await.unwrap_or_else(|status| panic!("{case}: {status}")).into_inner();
        let status = response.status.unwrap_or_else(|| panic!("{case}: no status"));
        assert_eq!(status.message, reason, "{case}");
        assert_eq!(status.code == 0, reason == "permit", "{case}");
    }
    assert!(mesh.sidecar.is_ready().await);
}

const OTHER_HASH: &[u8] = b"Hash=0000000000000000000000000000000000000000000000000000000000000000";

#[tokio::test]
async fn joined_headers_are_read_like_raw_ones_and_metadata_says_all_an_operator_needs() {
    use envoy_types::pb::google::protobuf::value::Kind;
    let mesh = Mesh::start(Mode::ExtAuthz).await;
    let mut client = AuthorizationClient::new(channel(&mesh).await);
    let svid = mesh.authority.issue("/tenant");
    let chain = svid
        .chain_pem()
        .replace('\n', "%0A")
        .replace(' ', "%20")
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    let xfcc = format!("Hash={};Chain=\"{chain}\"", svid.digest());
    let lines = [("x-forwarded-client-cert", xfcc.as_str()), ("x-tenant", "a")];
    let raw = check_request(&svid.leaf_pem(), "/t", lines.map(|(key, value)| (key, value.as_bytes())).to_vec());
    let mut joined = check_request(&svid.leaf_pem(), "/t", vec![]);
    let http = joined.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap();
    http.header_map = None;
    http.headers = lines.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    for request in [raw, joined] {
        let response = client.check(request).await.unwrap().into_inner();
        assert_eq!(response.status.unwrap().message, "permit");
        let fields = response.dynamic_metadata.unwrap().fields;
        let text = |name: &str| match fields[name].kind.clone().unwrap() {
            Kind::StringValue(text) => text,
            Kind::ListValue(list) => {
                format!("{:?}", list.values.into_iter().filter_map(|it| it.kind).collect::<Vec<_>>())
            }
            other => format!("{other:?}"),
        };
        assert_eq!((text("verdict").as_str(), text("reason").as_str()), ("allow", "permit"));
        assert_eq!(text("caller"), svid.id());
        assert!(text("policies").contains("tenant-a"), "{}", text("policies"));
        assert_eq!(text("decision_id").len(), 32);
        assert!(fields.contains_key("view_age_ms"));
    }
}

#[tokio::test]
async fn the_same_answers_come_over_tcp_where_it_is_wanted() {
    let mesh = Mesh::build(Mode::ExtAuthz).tcp().start().await;
    let address = format!("http://{}", mesh.ext_authz_port());
    let mut client = AuthorizationClient::connect(address).await.unwrap();
    let response = client.check(CheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(response.status.unwrap().message, "certificate_missing");
    let svid = mesh.authority.issue(CALLER);
    let response = client.check(check_request(&svid.chain_pem(), "/", vec![])).await.unwrap().into_inner();
    assert_ne!(response.status.unwrap().code, 0, "an intermediate without a chain header proves nothing");
}

#[tokio::test]
async fn malformed_link_messages_are_refused_and_harm_nobody() {
    let mesh = Mesh::start(Mode::ExtAuthz).await;
    let mut client = LinkClient::new(channel(&mesh).await);
    let decided = client.decide(DecideRequest::default()).await.unwrap().into_inner();
    assert_eq!(decided.decision.unwrap().reason, "certificate_missing");
    let garbage = DecideRequest {
        peer_certificate: vec![0xff; 100],
        headers: vec![Header { name: ":path".to_owned(), value: vec![0xff] }],
        source_address: "nowhere".to_owned(),
        ..DecideRequest::default()
    };
    let decided = client.decide(garbage).await.unwrap().into_inner();
    assert_ne!(decided.decision.unwrap().reason, "permit");
    assert!(!decided.cacheable);
    // A watch that does not say who it is.
    let reports = tokio_stream::iter([Report::default()]);
    let mut updates = client.watch(reports).await.unwrap().into_inner();
    let status = updates.message().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status}");
    assert!(mesh.sidecar.is_ready().await);
}

#[tokio::test]
async fn a_sidecar_survives_bytes_that_are_no_grpc() {
    use tokio::io::AsyncWriteExt as _;
    let mesh = Mesh::start(Mode::ExtAuthz).await;
    for bytes in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff"]
    {
        for socket in [mesh.ext_authz_socket(), mesh.control_socket()] {
            let mut stream = UnixStream::connect(socket).await.unwrap();
            // It may be closed on us before all is written; that is an answer too.
            let _ = stream.write_all(bytes).await;
        }
    }
    let svid = mesh.authority.issue(CALLER);
    assert_eq!(mesh.client(&svid).get(Protocol::Http1, "/").await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn odd_headers_pass_through_envoy_without_harm() {
    for mode in Mode::ALL {
        let mesh = Mesh::build(mode).envoy(|envoy| envoy.change(take_many_headers)).start().await;
        let svid = mesh.authority.issue(CALLER);
        let mut connection = mesh.client(&svid).connect(Protocol::Http1).await.unwrap();
        let raw = || with_header(request("/raw"), "x-raw", b"\xff\xfe\x80");
        for _ in 0..2 {
            assert_eq!(connection.send(raw()).await.unwrap().status, StatusCode::OK, "{mode:?}: not UTF-8");
        }
        let read = with_header(request("/raw"), "x-tenant", b"\xff");
        assert_eq!(connection.send(read).await.unwrap().status, StatusCode::FORBIDDEN, "{mode:?}: read, not UTF-8");
        let twice = with_header(with_header(request("/raw"), "x-tenant", b"a"), "x-tenant", b"b");
        assert_eq!(connection.send(twice).await.unwrap().status, StatusCode::FORBIDDEN, "{mode:?}: read, twice");
        let many = (0..10_000).fold(request("/many"), |request, _| with_header(request, "x-many", b"1"));
        let answered = mesh.client(&svid).connect(Protocol::Http1).await.unwrap().send(many).await.unwrap();
        assert_eq!(answered.status, StatusCode::OK, "{mode:?}: 10,000 headers that no policy reads");
        let big = with_header(request("/big"), "x-big", &vec![b'x'; 1 << 20]);
        let answered = mesh.client(&svid).connect(Protocol::Http1).await.unwrap().send(big).await.unwrap();
        assert_eq!(
            answered.status,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "{mode:?}: Envoy itself refuses 1 MiB"
        );
        assert_eq!(connection.send(raw()).await.unwrap().status, StatusCode::OK, "{mode:?}: still standing");
        assert_eq!(mesh.envoy.stats_matching("vm_reload_success").await.iter().map(|(_, count)| count).sum::<u64>(), 0);
    }
}

fn take_many_headers(config: &mut serde_json::Value) {
    let manager = &mut config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    manager["common_http_protocol_options"]["max_headers_count"] = 20_000.into();
    manager["max_request_headers_kb"] = 8192.into();
}
