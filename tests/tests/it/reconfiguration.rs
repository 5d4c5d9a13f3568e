//! Several listeners, several workers, and listeners that are replaced while streams are open: who shares what, and for how long.

use countersign_tests::client::{Client, OpenStream, Protocol};
use countersign_tests::eventually::eventually;
use countersign_tests::mesh::{CALLER, Mesh, MeshBuilder, Mode, OTHER};
use countersign_tests::pki::{Authority, Svid};
use http::StatusCode;
use serde_json::{Value, json};

const POLICIES: &str = r#"
@id("requests")
permit (principal in WorkloadPath::"spiffe://demo.test/ns/shop", action == Action::"GET", resource == Service::"orders");
@id("connections")
permit (principal in WorkloadPath::"spiffe://demo.test/ns/shop", action == Action::"tcp:connect", resource == Service::"orders");
"#;

const VM_OF_CONNECTIONS: &str =
    "/static_resources/listeners/1/filter_chains/0/filters/0/typed_config/config/vm_config/vm_id";

fn build() -> MeshBuilder {
    // The TCP filter sees the leaf alone.
    Mesh::build(Mode::Filter).authority(Authority::new("demo.test")).policies(POLICIES).workers(4)
}

async fn open(client: &Client) -> OpenStream {
    let mut stream = client.connect(Protocol::Http2).await.unwrap().stream("/stream").await.unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    stream.flows(1).await;
    stream
}

async fn status(mesh: &Mesh, svid: &Svid, path: &str) -> StatusCode {
    mesh.client(svid).get(Protocol::Http1, path).await.unwrap().status
}

/// The configuration of the plugin, as JSON text.
fn plugin(listeners: &mut Value) -> &mut Value {
    let path = "/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config/configuration/value";
    listeners.pointer_mut(path).expect("a plugin configuration")
}

async fn until_filters(mesh: &Mesh, count: f64) {
    eventually(&format!("{count} filters"), async || {
        (mesh.sidecar.metric("countersign_filters", &[]).await == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn requests_and_connections_are_decided_by_one_module_in_one_envoy() {
    for vm in ["countersign-tcp", "countersign"] {
        // With the same name they share a VM; each has a memory and a stream from the sidecar of its own all the same.
        let share = move |config: &mut Value| *config.pointer_mut(VM_OF_CONNECTIONS).unwrap() = json!(vm);
        decides_both(build().envoy(move |envoy| envoy.and_listener_of("tcp-filter").change(share)).start().await).await;
    }
}

async fn decides_both(mesh: Mesh) {
    until_filters(&mesh, 10.0).await;
    let (web, cart) = (mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
    let tcp = mesh.envoy.address_of("tcp-filter").await;
    let by_tcp = |svid: &Svid| Client::new(tcp, &mesh.authority).identity(svid);
    let mut of_web = [open(&mesh.client(&web)).await, open(&by_tcp(&web)).await];
    let mut of_cart = [open(&mesh.client(&cart)).await, open(&by_tcp(&cart)).await];
    let modes = |wanted: &str| mesh.audit().iter().filter(|line| line["mode"] == wanted).count();
    mesh.audited("all decisions", |_| (modes("link"), modes("link_network")) == (2, 2)).await;
    // Whether it was cut on the connection or the request, to a client it looks the same.
    mesh.revoke(web.id()).await;
    for stream in &mut of_web {
        stream.until_cut().await;
    }
    for stream in &mut of_cart {
        stream.flows(3).await;
    }
    eventually("the count of both", async || (mesh.filter_stat("resets").await == 2).then_some(())).await;
    assert_eq!(status(&mesh, &web, "/").await, StatusCode::FORBIDDEN);
    assert!(by_tcp(&web).get(Protocol::Http1, "/").await.is_err());
    assert_eq!(by_tcp(&cart).get(Protocol::Http1, "/").await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn a_new_plugin_configuration_has_a_memory_of_its_own_and_the_old_one_cuts_its_streams_until_they_end() {
    let mesh = build().envoy(|envoy| envoy.with_listeners_in_a_file()).start().await;
    until_filters(&mesh, 5.0).await;
    let (web, cart) = (mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
    let (mut of_web, mut of_cart) = (open(&mesh.client(&web)).await, open(&mesh.client(&cart)).await);
    let before = mesh.envoy.address();
    let taken = mesh.envoy.change_listeners(|listeners| {
        let mut config: Value = serde_json::from_str(plugin(listeners).as_str().unwrap()).unwrap();
        config["max_decisions"] = json!(77);
        *plugin(listeners) = json!(config.to_string());
    });
    assert!(taken.await);
    // The old plugins and the new ones, in every worker and the main thread.
    until_filters(&mesh, 10.0).await;
    assert_eq!(mesh.envoy.address_of("mesh").await, before);
    let asked = mesh.decisions().await;
    let mut new_of_cart = open(&mesh.client(&cart)).await;
    assert_eq!(mesh.decisions().await, asked + 1.0, "the new plugin asks, although the old one knew");
    of_web.flows(2).await;
    of_cart.flows(2).await;

    mesh.revoke(web.id()).await;
    of_web.until_cut().await;
    of_cart.flows(2).await;
    new_of_cart.flows(2).await;
    assert_eq!(status(&mesh, &web, "/stream").await, StatusCode::FORBIDDEN, "no stale memory");
    mesh.revoke(cart.id()).await;
    of_cart.until_cut().await;
    new_of_cart.until_cut().await;
    eventually("counters of old and new together", async || {
        let counts = (mesh.filter_stat("resets").await, mesh.filter_stat("open_streams").await);
        (counts == (3, 0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_listener_that_has_drained_takes_its_filters_with_it() {
    let mesh = build().workers(2).envoy(|envoy| envoy.with_listeners_in_a_file().drain_seconds(1)).start().await;
    until_filters(&mesh, 3.0).await;
    let (web, cart) = (mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
    let _ends_with_its_listener = open(&mesh.client(&web)).await;
    assert_eq!(status(&mesh, &cart, "/a").await, StatusCode::OK);
    eventually("what the old plugins remember", async || {
        (mesh.filter_stat("cached_decisions").await == 2).then_some(())
    })
    .await;
    for path in ["configuration", "again"] {
        let value = json!({ "cluster": "countersign", "decide_timeout_ms": if path == "again" { 600 } else { 700 } });
        assert!(mesh.envoy.change_listeners(|listeners| *plugin(listeners) = json!(value.to_string())).await);
    }
    until_filters(&mesh, 3.0).await;
    eventually("sizes of the new plugins alone", async || {
        let sizes = (mesh.filter_stat("cached_decisions").await, mesh.filter_stat("open_streams").await);
        (sizes == (0, 0)).then_some(())
    })
    .await;
    assert_eq!(status(&mesh, &cart, "/a").await, StatusCode::OK);
    mesh.revoke(cart.id()).await;
    assert_eq!(status(&mesh, &cart, "/a").await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_wrong_plugin_configuration_is_refused_and_the_old_one_stays() {
    let mesh = build().workers(1).envoy(|envoy| envoy.with_listeners_in_a_file()).start().await;
    let web = mesh.authority.issue(CALLER);
    let mut stream = open(&mesh.client(&web)).await;
    assert!(!mesh.envoy.change_listeners(|listeners| *plugin(listeners) = json!(r#"{"layer":"udp"}"#)).await);
    eventually("the refusal in the log", async || {
        mesh.envoy.logs().contains("configuration refused: layer is \"udp\"").then_some(())
    })
    .await;
    stream.flows(2).await;
    mesh.revoke(web.id()).await;
    stream.until_cut().await;
}
