//! What is open when its caller is revoked ends, whatever it is; what is of others goes on, also on the same connection.

use countersign_tests::client::{Chunk, Connection, OpenStream, Protocol, request, with_header};
use countersign_tests::envoy::EnvoyBuilder;
use countersign_tests::eventually::eventually;
use countersign_tests::mesh::{CALLER, Mesh, Mode, OTHER};
use countersign_tests::pki::Svid;
use countersign_tests::upstream::{DOWNLOAD, GrpcUpstream};
use http::StatusCode;
use tonic::Streaming;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};

const ANYBODY: &str = "permit (principal, action, resource);";

/// A hop that lets everybody in, and what its test wants of Envoy.
async fn hop(change: impl FnOnce(EnvoyBuilder) -> EnvoyBuilder + 'static) -> Mesh {
    Mesh::build(Mode::Filter).policies(ANYBODY).workers(2).envoy(change).start().await
}

async fn until_open_at_the_service(mesh: &Mesh, streams: u64) {
    eventually("open streams at the service", async || (mesh.upstream.open_streams() == streams).then_some(())).await;
}

#[tokio::test]
async fn a_websocket_of_the_revoked_ends_and_that_of_another_goes_on() {
    let mesh = hop(EnvoyBuilder::with_websockets).await;
    let (web, cart) = (mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
    let mut revoked = mesh.client(&web).websocket("/websocket").await.unwrap();
    let mut other = mesh.client(&cart).websocket("/websocket").await.unwrap();
    revoked.echoes("hello").await;
    other.echoes("hello").await;
    assert_eq!(mesh.upstream.open_streams(), 2);
    mesh.revoke(web.id()).await;
    revoked.until_cut().await;
    until_open_at_the_service(&mesh, 1).await;
    other.echoes("still here").await;
    let refused = mesh.client(&web).get(Protocol::Http1, "/websocket").await.unwrap().status;
    assert_eq!(refused, StatusCode::FORBIDDEN);
}

async fn watch(mesh: &Mesh, svid: &Svid) -> Streaming<HealthCheckResponse> {
    let mut client = HealthClient::new(mesh.client(svid).grpc().await.unwrap());
    client.watch(HealthCheckRequest { service: "changing".to_owned() }).await.unwrap().into_inner()
}

async fn flows(stream: &mut Streaming<HealthCheckResponse>) {
    for _ in 0..3 {
        stream.message().await.expect("an open stream").expect("an open stream");
    }
}

#[tokio::test]
async fn a_grpc_server_stream_of_the_revoked_ends_and_that_of_another_goes_on() {
    let service = GrpcUpstream::start().await;
    let address = service.address();
    let mesh = hop(move |envoy| envoy.local_service(address)).await;
    let (web, cart) = (mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
    let (mut revoked, mut other) = (watch(&mesh, &web).await, watch(&mesh, &cart).await);
    flows(&mut revoked).await;
    flows(&mut other).await;
    mesh.revoke(web.id()).await;
    let cut = eventually("end of the stream", async || revoked.message().await.err()).await;
    println!("a client of gRPC sees {cut:?}");
    flows(&mut other).await;
    let mut client = HealthClient::new(mesh.client(&web).grpc().await.unwrap());
    let refused = client.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{refused:?}");
}

/// Reads what is left, and says how much that was if the stream was cut.
async fn cut_after(mut stream: OpenStream) -> usize {
    let mut bytes = 0;
    loop {
        match stream.next().await {
            Chunk::Data(data) => bytes += data.len(),
            Chunk::Cut(_) => return bytes,
            Chunk::End => panic!("the whole download came"),
        }
    }
}

#[tokio::test]
async fn a_download_that_its_client_has_stopped_to_read_ends_too() {
    for protocol in Protocol::ALL {
        let mesh = hop(|envoy| envoy).await;
        let (web, cart) = (mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
        let mut revoked = mesh.client(&web).connect(protocol).await.unwrap().stream("/download").await.unwrap();
        let mut other = mesh.client(&cart).connect(protocol).await.unwrap().stream("/download").await.unwrap();
        // From here on neither reads: the service waits behind full buffers.
        revoked.flows(1).await;
        other.flows(1).await;
        assert_eq!(mesh.upstream.open_streams(), 2, "{protocol:?}");
        mesh.revoke(web.id()).await;
        until_open_at_the_service(&mesh, 1).await;
        assert!(cut_after(revoked).await < DOWNLOAD / 2, "{protocol:?}");
        other.flows(100).await;
        assert_eq!(mesh.upstream.open_streams(), 1, "{protocol:?}");
    }
}

/// What the gateway opens on behalf of `origin`, on its one connection.
async fn forwarded(connection: &mut Connection, gateway: &Svid, origin: &Svid) -> OpenStream {
    let behind = origin.xfcc_element(gateway.id());
    connection.open(with_header(request("/stream"), "x-forwarded-client-cert", behind.as_bytes())).await.unwrap()
}

#[tokio::test]
async fn of_two_callers_behind_one_connection_only_the_revoked_one_loses_its_stream() {
    let mesh = Mesh::build(Mode::Filter)
        .policies(ANYBODY)
        .identity("forwarders: [\"spiffe://demo.test/gw/*\"]")
        .envoy(EnvoyBuilder::appending_to_xfcc)
        .start()
        .await;
    let (gateway, web, cart) =
        (mesh.authority.issue("/gw/1"), mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
    let mut connection = mesh.client(&gateway).connect(Protocol::Http2).await.unwrap();
    let mut of_web = forwarded(&mut connection, &gateway, &web).await;
    let mut of_cart = forwarded(&mut connection, &gateway, &cart).await;
    let mut own = connection.stream("/stream").await.unwrap();
    for stream in [&mut of_web, &mut of_cart, &mut own] {
        assert_eq!(stream.status(), StatusCode::OK);
        stream.flows(2).await;
    }
    mesh.revoke(web.id()).await;
    of_web.until_cut().await;
    of_cart.flows(5).await;
    own.flows(5).await;
    assert_eq!(mesh.filter_stat("resets").await, 1);
    assert!(!connection.is_closed());
    let denied = forwarded(&mut connection, &gateway, &web).await;
    assert_eq!(denied.status(), StatusCode::FORBIDDEN, "the same connection, the revoked origin");
    assert_eq!(connection.get("/a").await.unwrap().status, StatusCode::OK);
    mesh.revoke(gateway.id()).await;
    of_cart.until_cut().await;
    own.until_cut().await;
}
