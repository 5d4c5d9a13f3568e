//! The sidecar dies, comes back, or is told to stop: what filters may still answer, and what is never forgotten.

use std::time::{Duration, Instant};

use countersign_tests::client::{Connection, Protocol};
use countersign_tests::eventually::{eventually, within};
use countersign_tests::mesh::{CALLER, Mesh, Mode, OTHER};
use http::StatusCode;
use serde_json::{Value, json};

async fn status(connection: &mut Connection, path: &str) -> StatusCode {
    connection.get(path).await.unwrap().status
}

#[tokio::test]
async fn without_its_sidecar_a_filter_answers_from_memory_for_a_lease_and_then_denies() {
    let lease = Duration::from_secs(2);
    let mut mesh = Mesh::build(Mode::Filter).each_path().lease("2s").start().await;
    let web = mesh.authority.issue(CALLER);
    let mut connection = mesh.client(&web).connect(Protocol::Http2).await.unwrap();
    assert_eq!(status(&mut connection, "/known").await, StatusCode::OK);
    mesh.revoke(&mesh.authority.id(OTHER)).await;

    mesh.sidecar.kill();
    let killed = Instant::now();
    assert_eq!(status(&mut connection, "/known").await, StatusCode::OK, "within the lease, from memory");
    assert_eq!(status(&mut connection, "/unknown").await, StatusCode::SERVICE_UNAVAILABLE, "never asked before");
    let denied = within(lease * 3, "denial without a lease", async || {
        let answered = status(&mut connection, "/known").await;
        (answered != StatusCode::OK).then(|| (answered, killed.elapsed()))
    })
    .await;
    assert_eq!(denied.0, StatusCode::SERVICE_UNAVAILABLE);
    // The lease was granted before the kill, so it ends no later than one lease after it; the rest is scheduling.
    assert!(denied.1 < lease + Duration::from_secs(1), "answered from memory for {:?}", denied.1);

    mesh.sidecar.restart().await;
    eventually("recovery without touching Envoy", async || {
        (status(&mut connection, "/known").await == StatusCode::OK).then_some(())
    })
    .await;
    let cart = mesh.authority.issue(OTHER);
    let revoked = mesh.client(&cart).get(Protocol::Http1, "/known").await.unwrap().status;
    assert_eq!(revoked, StatusCode::FORBIDDEN, "revoked before the kill");
    mesh.audited("what the filter denied alone", |line| line["kind"] == "filter_local").await;
    mesh.audited("what it answered unheard", |line| line["kind"] == "filter_hits" && line["link_lost"] == true).await;
    assert!(mesh.sidecar.metric("countersign_filter_local_decisions_total", &["sidecar_unreachable"]).await >= 1.0);
}

#[tokio::test]
async fn a_filter_told_so_answers_nothing_from_memory_once_its_sidecar_is_gone() {
    let told = |config: &mut Value| *config.pointer_mut(PLUGIN).unwrap() = json!(r#"{"link_lost":"deny"}"#);
    let mut mesh = Mesh::build(Mode::Filter).lease("60s").envoy(move |envoy| envoy.change(told)).start().await;
    let web = mesh.authority.issue(CALLER);
    let mut connection = mesh.client(&web).connect(Protocol::Http2).await.unwrap();
    eventually("an answer from memory", async || {
        assert_eq!(status(&mut connection, "/known").await, StatusCode::OK);
        (mesh.envoy.stats("wasmcustom.countersign.hits").await > 0).then_some(())
    })
    .await;
    assert_eq!(mesh.envoy.stats("wasmcustom.countersign.link_lost").await, 0);

    mesh.sidecar.kill();
    eventually("denial long before the lease is over", async || {
        (status(&mut connection, "/known").await == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    eventually("a stat that says so", async || {
        (mesh.envoy.stats("wasmcustom.countersign.link_lost").await > 0).then_some(())
    })
    .await;
    mesh.sidecar.restart().await;
    eventually("recovery without touching Envoy", async || {
        (status(&mut connection, "/known").await == StatusCode::OK).then_some(())
    })
    .await;
}

/// Where Envoy's configuration has that of the filter.
const PLUGIN: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config/configuration/value";

#[tokio::test]
async fn every_acknowledged_revocation_survives_a_kill_in_the_middle_of_many() {
    let mut mesh = Mesh::start(Mode::ExtAuthz).await;
    for number in 0..20 {
        mesh.must(&["revoke", &format!("spiffe://demo.test/ns/shop/sa/n{number}"), "--why", "test"]).await;
    }
    mesh.sidecar.restart().await;
    for number in 0..20 {
        let svid = mesh.authority.issue(&format!("/ns/shop/sa/n{number}"));
        let reply = mesh.client(&svid).get(Protocol::Http1, "/").await.unwrap();
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{number}");
    }
    assert_eq!(mesh.sidecar.metric("countersign_revocations", &[]).await, 20.0);
}

#[tokio::test]
async fn a_stop_under_load_fails_no_request_of_the_drain() {
    for mode in Mode::ALL {
        let mut mesh = Mesh::build(mode).each_path().start().await;
        let web = mesh.authority.issue(CALLER);
        let client = mesh.client(&web);
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let load: Vec<_> = (0..4)
            .map(|worker| {
                let (client, stopped) = (client.clone(), stopped.clone());
                tokio::spawn(async move {
                    let mut connection = client.connect(Protocol::Http2).await.unwrap();
                    let mut answered = 0;
                    while !*stopped.borrow() {
                        let reply = connection.get(&format!("/w{worker}/{answered}")).await.unwrap();
                        assert_eq!(reply.status, StatusCode::OK, "after {answered}");
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        eventually("load", async || (mesh.decisions().await > 100.0).then_some(())).await;
        mesh.sidecar.process().signal("TERM");
        eventually("not ready while draining", async || (!mesh.sidecar.is_ready().await).then_some(())).await;
        let at_drain = mesh.decisions().await;
        eventually("answers during the drain", async || (mesh.decisions().await > at_drain + 100.0).then_some(()))
            .await;
        // The load moves away, as it does when Envoy drains too; until then nothing may have failed.
        stop.send_replace(true);
        for worker in load {
            assert!(worker.await.unwrap() > 0, "{mode:?}");
        }
        let ended = mesh.sidecar.process().wait().await;
        assert!(ended.success(), "{mode:?}: {ended:?}\n{}", mesh.sidecar.logs());
        let decided = mesh.audit().iter().filter(|line| line["kind"] == "decision").count();
        assert!(decided > 200, "{mode:?}: the trail was written to its end");
    }
}
