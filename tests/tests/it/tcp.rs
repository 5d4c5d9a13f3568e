//! TCP connections, which have no request: decided once on caller, server name and addresses, by the shipped configuration for them.

use countersign_tests::client::{Client, Protocol};
use countersign_tests::envoy::{Envoy, EnvoyBuilder};
use countersign_tests::mesh::{CALLER, ENVOY, Mesh, Mode, OTHER};
use countersign_tests::pki::{Authority, Fault, Svid};
use countersign_tests::tcp_service::{GREETING, TcpService};

const POLICIES: &str = r#"
@id("shop-connects")
permit (
  principal == Workload::"spiffe://demo.test/ns/shop/sa/web",
  action == Action::"tcp:connect",
  resource == Service::"orders"
) when {
  context has tls.sni && context.tls.sni == "envoy.test" &&
  context has source.ip && context.source.ip.isLoopback() &&
  context has destination.port && context.destination.port > 0
};
@id("anything-by-http")
permit (principal, action, resource);
@id("an-old-agent")
permit (principal is Unverified, action == Action::"tcp:connect", resource)
when { principal.cause == "certificate_expired" && principal has claimed_id && principal.claimed_id like "*/agent" };
"#;

/// A sidecar, and an Envoy that asks it about connections; its caller's chain has no intermediate, for Envoy sends none here.
async fn start(change: impl FnOnce(EnvoyBuilder) -> EnvoyBuilder) -> (Mesh, Envoy) {
    let mesh = Mesh::build(Mode::ExtAuthz).authority(Authority::new("demo.test")).policies(POLICIES).start().await;
    let envoy = Envoy::shipped("tcp")
        .identity(&mesh.authority.issue(ENVOY))
        .trusting(&[&mesh.authority])
        .sidecar(&mesh.ext_authz_socket())
        .local_service(mesh.upstream.address());
    let envoy = change(envoy).start().await;
    (mesh, envoy)
}

/// Whether the service answers on a connection of its own.
async fn gets_through(mesh: &Mesh, envoy: &Envoy, svid: Option<&Svid>) -> bool {
    let client = Client::new(envoy.address(), &mesh.authority);
    let client = svid.map_or_else(|| client.clone(), |svid| client.clone().identity(svid));
    let Ok(mut connection) = client.raw(Protocol::Http1).await else { return false };
    if connection.write(b"GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n").await.is_err() {
        return false;
    }
    connection.read_to_close().await.starts_with(b"HTTP/1.1 200")
}

#[tokio::test]
async fn a_connection_is_decided_on_caller_server_name_and_addresses() {
    let (mesh, envoy) = start(|envoy| envoy).await;
    let (web, cart) = (mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
    assert!(gets_through(&mesh, &envoy, Some(&web)).await);
    let line = mesh.audited("the decision", |line| line["mode"] == "network" && line["verdict"] == "allow").await;
    assert_eq!((&line["caller"], &line["policies"][0]), (&web.id().into(), &"shop-connects".into()));
    assert_eq!((&line["source_ip"], &line["destination"]), (&"127.0.0.1".into(), &envoy.address().to_string().into()));
    assert!(!gets_through(&mesh, &envoy, Some(&cart)).await, "a permit for any action is one for requests");
    mesh.audited("the denial", |line| line["mode"] == "network" && line["reason"] == "no_permit").await;
    mesh.revoke(web.id()).await;
    assert!(!gets_through(&mesh, &envoy, Some(&web)).await);
    mesh.audited("the denial", |line| line["mode"] == "network" && line["reason"] == "revoked").await;
    mesh.restore(web.id()).await;
    assert!(gets_through(&mesh, &envoy, Some(&web)).await);
    assert_eq!(
        mesh.sidecar.metric("countersign_decisions_total", &["mode=\"network\"", "verdict=\"allow\""]).await,
        2.0
    );
}

#[tokio::test]
async fn who_proves_nothing_gets_no_connection_but_by_a_policy_that_names_such() {
    let (mesh, envoy) = start(EnvoyBuilder::without_client_validation).await;
    assert!(!gets_through(&mesh, &envoy, None).await);
    mesh.audited("the denial", |line| line["mode"] == "network" && line["reason"] == "certificate_missing").await;
    assert!(!gets_through(&mesh, &envoy, Some(&mesh.authority.wrong(CALLER, Fault::Expired))).await);
    assert!(
        !gets_through(&mesh, &envoy, Some(&Authority::new("demo.test").issue(CALLER))).await,
        "of another authority"
    );
    mesh.audited("the denial", |line| line["reason"] == "chain_invalid").await;
    assert!(gets_through(&mesh, &envoy, Some(&mesh.authority.wrong("/agent", Fault::Expired))).await);
    mesh.audited("the use", |line| line["mode"] == "network" && line["reason"] == "permit_unverified").await;
}

#[tokio::test]
async fn without_a_sidecar_nobody_gets_through() {
    let (mut mesh, envoy) = start(|envoy| envoy).await;
    let web = mesh.authority.issue(CALLER);
    assert!(gets_through(&mesh, &envoy, Some(&web)).await);
    mesh.sidecar.kill();
    assert!(!gets_through(&mesh, &envoy, Some(&web)).await);
}

/// Why `envoy/tcp-filter.yaml` is there: README says so.
#[tokio::test]
async fn what_a_service_says_before_the_client_does_passes_undecided_here() {
    let service = TcpService::start().await;
    let address = service.address();
    let (mesh, envoy) = start(move |envoy| envoy.local_service(address)).await;
    let client = Client::new(envoy.address(), &mesh.authority).identity(&mesh.authority.issue(OTHER));
    let mut denied = client.raw(Protocol::Http1).await.unwrap();
    assert_eq!(denied.read(GREETING.len()).await.unwrap(), GREETING);
    denied.write(b"ping").await.unwrap();
    assert_eq!(denied.read_to_close().await, b"");
    assert_eq!(service.received(), 0);
}
