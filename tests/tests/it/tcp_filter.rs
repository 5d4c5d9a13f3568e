//! TCP connections decided by the filter in the proxy: before the service hears of them, once, and cut on revocation.

use std::time::Duration;

use countersign_tests::client::{Protocol, RawConnection};
use countersign_tests::envoy::EnvoyBuilder;
use countersign_tests::eventually::eventually;
use countersign_tests::mesh::{CALLER, Mesh, MeshBuilder, Mode, OTHER};
use countersign_tests::pki::{Authority, Svid};
use countersign_tests::tcp_service::{GREETING, TcpService};

const POLICIES: &str = r#"
@id("shop-connects")
permit (
  principal in WorkloadPath::"spiffe://demo.test/ns/shop",
  action == Action::"tcp:connect",
  resource == Service::"orders"
) when { context has tls.sni && context.tls.sni == "envoy.test" && context has source.ip && context.source.ip.isLoopback() };
@id("anything-by-http")
permit (principal, action, resource);
"#;

fn build(service: &TcpService) -> MeshBuilder {
    let address = service.address();
    Mesh::build(Mode::TcpFilter)
        .authority(Authority::new("demo.test"))
        .policies(POLICIES)
        .envoy(move |envoy| envoy.local_service(address))
}

async fn start() -> (TcpService, Mesh) {
    let service = TcpService::start().await;
    let mesh = build(&service).start().await;
    (service, mesh)
}

async fn dial(mesh: &Mesh, svid: &Svid) -> RawConnection {
    mesh.client(svid).raw(Protocol::Http1).await.unwrap()
}

/// Whether the service answers to `word` on the connection, whose greeting is read already.
async fn echoes(connection: &mut RawConnection, word: &[u8]) -> bool {
    connection.write(word).await.is_ok() && connection.read(word.len()).await.is_ok_and(|echo| echo == word)
}

/// A connection that the service has greeted and answered.
async fn live(mesh: &Mesh, svid: &Svid) -> RawConnection {
    let mut connection = dial(mesh, svid).await;
    assert!(is_served(&mut connection).await, "{:?}", mesh.audit());
    connection
}

/// Whether the service greets and answers.
async fn is_served(connection: &mut RawConnection) -> bool {
    let expected = [GREETING, b"ping"].concat();
    connection.write(b"ping").await.is_ok() && connection.read(expected.len()).await.is_ok_and(|read| read == expected)
}

/// The connection is closed and nothing of the service came.
async fn closed_without_a_word(mut connection: RawConnection) {
    // A refusal may overtake what is written.
    let _ = connection.write(b"ping").await;
    assert_eq!(connection.read_to_close().await, b"");
}

#[tokio::test]
async fn a_connection_is_decided_once_and_the_next_one_from_memory() {
    let (service, mesh) = start().await;
    let web = mesh.authority.issue(CALLER);
    let mut first = live(&mesh, &web).await;
    assert!(echoes(&mut first, b"more").await);
    let line = mesh.audited("the decision", |line| line["mode"] == "link_network").await;
    assert_eq!((&line["caller"], &line["policies"][0]), (&web.id().into(), &"shop-connects".into()));
    assert_eq!((&line["verdict"], &line["source_ip"]), (&"allow".into(), &"127.0.0.1".into()));
    assert_eq!(line["destination"], mesh.envoy.address().to_string());
    let mut second = live(&mesh, &web).await;
    assert!(echoes(&mut second, b"more").await);
    assert_eq!(mesh.decisions().await, 1.0, "the second was answered from memory");
    eventually("counters of the filter", async || {
        let counts =
            (mesh.filter_stat("hits").await, mesh.filter_stat("misses").await, mesh.filter_stat("open_streams").await);
        (counts == (1, 1, 2)).then_some(())
    })
    .await;
    mesh.audited("the answer from memory", |line| line["kind"] == "filter_hits" && line["count"] == 1).await;
    drop((first, second));
    let logged = mesh.envoy.logged("the connection", |entry| entry["caller"] == web.id()).await;
    assert!(logged["decision"].as_str().unwrap().contains(r#""verdict":"allow""#), "{logged}");
    assert_eq!(service.connections(), 2);
}

#[tokio::test]
async fn who_is_not_permitted_never_reaches_the_service() {
    let (service, mesh) = start().await;
    for path in ["/ns/else/sa/x", "/tenant"] {
        let svid = mesh.authority.issue(path);
        for _ in 0..2 {
            closed_without_a_word(dial(&mesh, &svid).await).await;
        }
    }
    mesh.audited("the denial", |line| line["mode"] == "link_network" && line["reason"] == "no_permit").await;
    assert_eq!((service.connections(), mesh.decisions().await), (0, 2.0), "the second of each from memory");
    live(&mesh, &mesh.authority.issue(CALLER)).await;
    assert_eq!(service.connections(), 1);
    eventually("counters of the filter", async || (mesh.filter_stat("denied").await == 4).then_some(())).await;
}

#[tokio::test]
async fn a_client_that_waits_for_the_server_to_speak_is_decided_too() {
    let (service, mesh) = start().await;
    let mut silent = dial(&mesh, &mesh.authority.issue(CALLER)).await;
    assert_eq!(silent.read(GREETING.len()).await.unwrap(), GREETING);
    assert!(echoes(&mut silent, b"hello").await);
    let mut denied = dial(&mesh, &mesh.authority.issue("/ns/else/sa/x")).await;
    assert_eq!(denied.read_to_close().await, b"");
    // From memory, at the tick.
    let mut again = dial(&mesh, &mesh.authority.issue(CALLER)).await;
    assert_eq!(again.read(GREETING.len()).await.unwrap(), GREETING);
    assert_eq!(service.connections(), 2);
}

#[tokio::test]
async fn a_client_that_only_ends_its_half_is_decided_and_served() {
    let (_service, mesh) = start().await;
    let mut connection = dial(&mesh, &mesh.authority.issue(CALLER)).await;
    connection.end_writing().await.unwrap();
    assert_eq!(connection.read_to_close().await, GREETING);
}

#[tokio::test]
async fn a_revocation_ends_the_connections_of_its_caller_and_no_others() {
    let service = TcpService::start().await;
    let mesh = build(&service).workers(2).start().await;
    let (web, cart) = (mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
    let mut busy = live(&mesh, &web).await;
    let mut silent = dial(&mesh, &web).await;
    silent.read(GREETING.len()).await.unwrap();
    let mut other = live(&mesh, &cart).await;
    mesh.revoke(web.id()).await;
    assert_eq!((busy.read_to_close().await, silent.read_to_close().await), (vec![], vec![]));
    assert!(echoes(&mut other, b"still here").await);
    eventually("the service lost them", async || (service.open() == 1).then_some(())).await;
    closed_without_a_word(dial(&mesh, &web).await).await;
    assert_eq!(service.connections(), 3);
    eventually("the count of what was cut", async || (mesh.filter_stat("resets").await == 2).then_some(())).await;
    let logged = mesh.envoy.logged("what cut it", |entry| entry.to_string().contains("revoked")).await;
    assert_eq!(logged["caller"], web.id());
    mesh.restore(web.id()).await;
    let mut back = live(&mesh, &web).await;
    assert!(echoes(&mut back, b"again").await && echoes(&mut other, b"unmoved").await);
}

#[tokio::test]
async fn without_a_sidecar_memory_answers_for_a_lease_and_then_nobody_comes_in() {
    let service = TcpService::start().await;
    let mut mesh = build(&service).lease("1s").start().await;
    let web = mesh.authority.issue(CALLER);
    let mut open = live(&mesh, &web).await;
    mesh.sidecar.kill();
    closed_without_a_word(dial(&mesh, &mesh.authority.issue(OTHER)).await).await;
    eventually("denial without a lease", async || {
        let mut connection = dial(&mesh, &web).await;
        (!is_served(&mut connection).await).then_some(())
    })
    .await;
    let reached = service.connections();
    for _ in 0..3 {
        closed_without_a_word(dial(&mesh, &web).await).await;
    }
    assert_eq!(service.connections(), reached);
    assert!(echoes(&mut open, b"allowed before").await);
    mesh.sidecar.restart().await;
    mesh.revoke(web.id()).await;
    assert_eq!(open.read_to_close().await, b"", "it was not forgotten meanwhile");
}

#[tokio::test]
async fn who_proves_nothing_never_reaches_the_service() {
    let service = TcpService::start().await;
    let mesh = build(&service).envoy(EnvoyBuilder::without_client_validation).start().await;
    closed_without_a_word(mesh.anonymous().raw(Protocol::Http1).await.unwrap()).await;
    mesh.audited("the denial", |line| line["reason"] == "certificate_missing").await;
    closed_without_a_word(dial(&mesh, &Authority::new("demo.test").issue(CALLER)).await).await;
    mesh.audited("the denial", |line| line["reason"] == "chain_invalid").await;
    assert_eq!(service.connections(), 0);
    live(&mesh, &mesh.authority.issue(CALLER)).await;
}

/// A listener that also takes TLS 1.2.
fn with_tls12(envoy: EnvoyBuilder) -> EnvoyBuilder {
    envoy.edit(
        "tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3",
        "tls_minimum_protocol_version: TLSv1_2, tls_maximum_protocol_version: TLSv1_3",
    )
}

#[tokio::test]
async fn in_tls_1_2_a_client_proves_itself_by_its_first_byte() {
    let service = TcpService::start().await;
    let mesh = build(&service).envoy(with_tls12).start().await;
    let web = mesh.authority.issue(CALLER);
    let mut old = mesh.client(&web).only_tls12().raw(Protocol::Http1).await.unwrap();
    // Later, and decided at a tick that has seen the first one too.
    let mut new = dial(&mesh, &web).await;
    assert_eq!(new.read(GREETING.len()).await.unwrap(), GREETING);
    assert_eq!(service.connections(), 1, "the certificate alone does not open it");
    assert!(is_served(&mut old).await);
}

#[tokio::test]
async fn a_cut_connection_of_a_client_that_reads_nothing_passes_nothing_more() {
    let service = TcpService::start().await;
    let mesh = build(&service).envoy(|envoy| envoy.edit("idle_timeout: 300s", "idle_timeout: 5s")).start().await;
    let (web, cart) = (mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
    let mut deaf = dial(&mesh, &web).await;
    let mut other = live(&mesh, &cart).await;
    // The echo comes back until every buffer on the way is full.
    let flood = vec![0; 1 << 20];
    while tokio::time::timeout(Duration::from_secs(1), deaf.write(&flood)).await.is_ok() {}
    mesh.revoke(web.id()).await;
    eventually("the count of what was cut", async || (mesh.filter_stat("resets").await == 1).then_some(())).await;
    let received = service.received();
    assert!(echoes(&mut other, b"still here").await);
    assert_eq!(service.received(), received + 10, "nothing of the deaf one");
    // Envoy keeps it until what it had taken from the service is read, or nothing has moved for the idle timeout.
    eventually("the end of both", async || (service.open() == 0).then_some(())).await;
    drop(deaf);
}

#[tokio::test]
async fn nothing_reaches_the_service_while_the_sidecar_thinks_and_a_revocation_in_between_counts() {
    let service = TcpService::start().await;
    let mut mesh = build(&service)
        .envoy(|envoy| envoy.edit(r#""decide_timeout_ms":500"#, r#""decide_timeout_ms":60000"#))
        .start()
        .await;
    let (web, cart) = (mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
    let asked = mesh.envoy.stats("cluster.countersign.upstream_rq_total").await;
    mesh.sidecar.process().signal("STOP");
    let (mut held, mut patient) = (dial(&mesh, &web).await, dial(&mesh, &cart).await);
    held.write(b"ping").await.unwrap();
    patient.write(b"ping").await.unwrap();
    mesh.envoy.until_stat("cluster.countersign.upstream_rq_total", asked + 2).await;
    held.write(b"more").await.unwrap();
    // One that goes while it is asked about.
    let mut gone = dial(&mesh, &cart).await;
    gone.write(b"ping").await.unwrap();
    mesh.envoy.until_stat("cluster.countersign.upstream_rq_total", asked + 3).await;
    drop(gone);
    assert_eq!(service.connections(), 0);
    // The command waits for the sidecar already, or comes right after it goes on: it is in force before it returns.
    mesh.sidecar.process().signal("CONT");
    mesh.revoke(web.id()).await;
    let read = held.read_to_close().await;
    assert!(GREETING.starts_with(&read) || read.starts_with(GREETING), "{read:?}");
    assert_eq!(patient.read(GREETING.len() + 4).await.unwrap(), [GREETING, b"ping"].concat());
    assert!(mesh.envoy.stats("wasm.envoy.wasm.runtime.v8.active").await >= 2, "no VM has crashed");
    assert_eq!(mesh.envoy.stats("wasm.countersign.vm_reload").await, 0);
}

#[tokio::test]
async fn a_module_that_is_told_the_wrong_layer_lets_nobody_through_and_says_why() {
    let service = TcpService::start().await;
    let mesh = build(&service).envoy(|envoy| envoy.edit(r#""layer":"tcp","#, "")).start().await;
    let web = mesh.authority.issue(CALLER);
    assert!(mesh.client(&web).raw(Protocol::Http1).await.is_err(), "not even a handshake");
    assert_eq!(service.connections(), 0);
    eventually("the cause in the log", async || mesh.envoy.logs().contains("layer is wrong").then_some(())).await;
}

#[tokio::test]
async fn a_module_that_is_not_told_of_connections_closes_them_at_their_first_byte() {
    let service = TcpService::start().await;
    let mesh =
        build(&service).envoy(|envoy| envoy.edit("proxy_on_new_connection: {}", "proxy_on_log: {}")).start().await;
    let mut connection = dial(&mesh, &mesh.authority.issue(CALLER)).await;
    let _ = connection.write(b"ping").await;
    let read = connection.read_to_close().await;
    assert!(GREETING.starts_with(&read), "{read:?}");
    assert_eq!(service.received(), 0);
    eventually("the cause in the log", async || {
        mesh.envoy.logs().contains("add it to allowed_capabilities").then_some(())
    })
    .await;
}
