//! What is in force where, when filters hang, die or come back, when what identities rest on changes, and what gRPC sees.

use std::time::{Duration, Instant};

use countersign_tests::client::{Client, Connection, Protocol, request, with_header};
use countersign_tests::eventually::eventually;
use countersign_tests::mesh::{CALLER, Mesh, Mode, OTHER};
use countersign_tests::pki::Authority;
use http::{Method, StatusCode};
use serde_json::Value;

const LEASE: Duration = Duration::from_secs(3);

async fn status(connection: &mut Connection, path: &str) -> StatusCode {
    connection.get(path).await.unwrap().status
}

/// Allowed, and then allowed from memory.
async fn warm(connection: &mut Connection, path: &str) {
    for _ in 0..3 {
        assert_eq!(status(connection, path).await, StatusCode::OK);
    }
}

async fn until_filters(mesh: &Mesh, count: f64) {
    eventually("all filters, with a lease", async || {
        let filters = mesh.sidecar.metric("countersign_filters", &[]).await;
        let leases = mesh.sidecar.metric("countersign_leases_granted_total", &[]).await;
        ((filters - count).abs() < 0.5 && leases >= 2.0 * count).then_some(())
    })
    .await;
}

/// Revokes and waits; the exit code and what was said of enforcement.
async fn revoke(mesh: &Mesh, scope: &str, more: &[&str]) -> (i32, Value) {
    let arguments = [&["revoke", scope, "--why", "test", "--output", "json", "--wait"], more].concat();
    let output = mesh.countersign(&arguments).await;
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let enforcement = find(&said, "enforcing").unwrap_or_else(|| panic!("no enforcement in {said}")).clone();
    (output.status.code().unwrap(), enforcement)
}

/// The object that has `field`, wherever it stands.
fn find<'v>(value: &'v Value, field: &str) -> Option<&'v Value> {
    match value {
        Value::Object(fields) if fields.contains_key(field) => Some(value),
        Value::Object(fields) => fields.values().find_map(|it| find(it, field)),
        Value::Array(items) => items.iter().find_map(|it| find(it, field)),
        _ => None,
    }
}

fn count(enforcement: &Value, list: &str) -> usize {
    enforcement[list].as_array().unwrap().len()
}

#[tokio::test]
async fn waiting_names_every_filter_that_enforces_it_and_how_long_each_took() {
    let mesh = Mesh::build(Mode::Filter).workers(2).start().await;
    // Two workers and the VM of the main thread.
    until_filters(&mesh, 3.0).await;
    let (code, said) = revoke(&mesh, "trust-domain:else.test", &[]).await;
    assert_eq!((code, &said["complete"]), (0, &Value::Bool(true)), "{said}");
    assert_eq!((count(&said, "enforcing"), count(&said, "pending"), count(&said, "unreachable")), (3, 0, 0), "{said}");
    for filter in said["enforcing"].as_array().unwrap() {
        assert!(filter["took_us"].as_u64().unwrap() > 0 && filter["enforced_seq"] == 1, "{filter}");
        assert!(!filter["node"].as_str().unwrap().is_empty() && !filter["instance"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_filter_that_hangs_holds_up_the_wait_for_a_lease_and_answers_nothing_of_the_past_when_it_goes_on() {
    let mut mesh = Mesh::start(Mode::Filter).await;
    until_filters(&mesh, 2.0).await;
    let web = mesh.authority.issue(CALLER);
    let mut kept = mesh.client(&web).connect(Protocol::Http2).await.unwrap();
    warm(&mut kept, "/a").await;
    mesh.envoy.process().signal("STOP");
    let stopped = Instant::now();
    let (code, said) = revoke(&mesh, web.id(), &["--timeout", "1s"]).await;
    assert_eq!((code, &said["complete"]), (3, &Value::Bool(false)), "{said}");
    assert_eq!((count(&said, "enforcing"), count(&said, "pending") + count(&said, "unreachable")), (0, 2), "{said}");
    let named = said["pending"].as_array().unwrap().iter().chain(said["unreachable"].as_array().unwrap());
    assert!(named.clone().all(|it| it["lease_until"].is_string() && it["node"].is_string()), "{said}");

    let (code, said) = revoke(&mesh, "trust-domain:else.test", &[]).await;
    assert_eq!((code, &said["complete"], count(&said, "enforcing")), (0, &Value::Bool(true), 0), "{said}");
    let waited = stopped.elapsed();
    assert!(
        waited > LEASE / 2 && waited < LEASE + Duration::from_secs(2),
        "complete when the lease is over: {waited:?}"
    );

    // The request is in Envoy's socket before Envoy goes on, so it may well be the first thing it sees.
    let first = tokio::spawn(async move { (status(&mut kept, "/a").await, status(&mut kept, "/a").await) });
    tokio::task::yield_now().await;
    mesh.envoy.process().signal("CONT");
    assert_eq!(first.await.unwrap(), (StatusCode::FORBIDDEN, StatusCode::FORBIDDEN));
}

#[tokio::test]
async fn a_filter_that_died_is_unreachable_until_its_lease_is_over() {
    let mut mesh = Mesh::start(Mode::Filter).await;
    until_filters(&mesh, 2.0).await;
    mesh.envoy.process().kill();
    eventually("the end of both watches", async || {
        (mesh.sidecar.metric("countersign_filters", &[]).await == 0.0).then_some(())
    })
    .await;
    let (code, said) = revoke(&mesh, "trust-domain:else.test", &["--timeout", "500ms"]).await;
    assert_eq!((code, &said["complete"]), (3, &Value::Bool(false)), "{said}");
    assert_eq!((count(&said, "enforcing"), count(&said, "pending"), count(&said, "unreachable")), (0, 0, 2), "{said}");
    assert!(said["unreachable"].as_array().unwrap().iter().all(|it| it["lease_until"].is_string()), "{said}");
    let (code, said) = revoke(&mesh, "trust-domain:other.test", &[]).await;
    assert_eq!((code, &said["complete"], count(&said, "unreachable")), (0, &Value::Bool(true), 0), "{said}");
}

#[tokio::test]
async fn a_filter_that_comes_from_a_longer_log_does_not_count_as_enforcing_what_it_has_not() {
    let mut mesh = Mesh::start(Mode::Filter).await;
    for number in 0..5 {
        mesh.revoke(&format!("spiffe://demo.test/gone/{number}")).await;
    }
    mesh.sidecar.kill();
    // Without its witness too, or it would not start.
    std::fs::remove_file(mesh.signal_log()).unwrap();
    std::fs::remove_file(mesh.signal_log().with_extension("redb.head")).unwrap();
    mesh.sidecar.restart().await;
    until_filters(&mesh, 2.0).await;
    mesh.envoy.process().signal("STOP");
    let (code, said) = revoke(&mesh, "trust-domain:else.test", &["--timeout", "500ms"]).await;
    assert_eq!((code, count(&said, "enforcing")), (3, 0), "{said}");
    mesh.envoy.process().signal("CONT");
    let (code, said) = revoke(&mesh, "trust-domain:other.test", &[]).await;
    assert_eq!((code, count(&said, "enforcing")), (0, 2), "{said}");
}

#[tokio::test]
async fn a_filter_that_cuts_a_stream_acknowledges_on_the_watch_it_has() {
    let mesh = Mesh::start(Mode::Filter).await;
    until_filters(&mesh, 2.0).await;
    let web = mesh.authority.issue(CALLER);
    let mut connection = mesh.client(&web).connect(Protocol::Http2).await.unwrap();
    let mut stream = connection.stream("/stream").await.unwrap();
    stream.flows(2).await;
    let (code, said) = revoke(&mesh, web.id(), &[]).await;
    assert_eq!((code, count(&said, "enforcing")), (0, 2), "{said}");
    stream.until_cut().await;
    let connected = mesh.sidecar.logs().matches("filter connected").count();
    assert_eq!(connected, 2, "a watch was lost:\n{}", mesh.sidecar.logs());
}

#[tokio::test]
async fn a_certificate_that_expires_is_denied_from_then_on_though_it_was_allowed_on_the_same_connection() {
    for mode in Mode::ALL {
        let mesh = Mesh::start(mode).await;
        let begun = Instant::now();
        let ttl = Duration::from_secs(4);
        let web = mesh.authority.leaf(CALLER).ttl(ttl).issue();
        let mut kept = mesh.client(&web).connect(Protocol::Http2).await.unwrap();
        warm(&mut kept, "/a").await;
        if mode == Mode::Filter {
            eventually("a hit", async || (mesh.filter_stat("hits").await > 0).then_some(())).await;
        }
        eventually("denial", async || {
            let asked = begun.elapsed();
            let answered = status(&mut kept, "/a").await;
            // Times in certificates have whole seconds, and the last of them counts.
            assert!(
                answered != StatusCode::OK || asked <= ttl + Duration::from_secs(1),
                "{mode:?}: allowed at {asked:?}"
            );
            assert!(
                answered == StatusCode::OK || asked + Duration::from_secs(2) >= ttl,
                "{mode:?}: denied at {asked:?}"
            );
            (answered == StatusCode::UNAUTHORIZED).then_some(())
        })
        .await;
        mesh.audited("expiry", |line| line["reason"] == "certificate_expired").await;
    }
}

#[tokio::test]
async fn a_removed_authority_vouches_for_nobody_any_more_not_even_from_memory_nor_beside_a_namesake() {
    for mode in Mode::ALL {
        let mut mesh = Mesh::build(mode).without_client_validation().start().await;
        let next = Authority::new("demo.test");
        let (old, new) = (mesh.authority.issue(CALLER), next.issue(CALLER));
        let mut of_old = mesh.client(&old).connect(Protocol::Http2).await.unwrap();
        let mut of_new = mesh.client(&new).connect(Protocol::Http2).await.unwrap();
        warm(&mut of_old, "/a").await;
        assert_eq!(status(&mut of_new, "/a").await, StatusCode::UNAUTHORIZED, "{mode:?}: not trusted yet");
        mesh.trust(&next);
        eventually("trust in the new authority", async || {
            (status(&mut of_new, "/a").await == StatusCode::OK).then_some(())
        })
        .await;
        warm(&mut of_new, "/a").await;
        for _ in 0..3 {
            assert_eq!(
                status(&mut of_old, "/a").await,
                StatusCode::UNAUTHORIZED,
                "{mode:?}: same workload, old authority"
            );
        }
        mesh.audited("the refusal", |line| line["reason"] == "chain_invalid").await;

        // Bundles that change while the sidecar is away are another matter for the filter, which was not told.
        mesh.sidecar.kill();
        mesh.trust(&mesh.authority);
        mesh.sidecar.restart().await;
        mesh.until_leased().await;
        eventually("trust in the old authority again", async || {
            (status(&mut of_old, "/a").await == StatusCode::OK).then_some(())
        })
        .await;
        assert_eq!(status(&mut of_new, "/a").await, StatusCode::UNAUTHORIZED, "{mode:?}: after a restart");
    }
}

/// `grpc-status` of a call, which must come as the headers of an HTTP 200.
async fn grpc_status(client: &Client, path: &str) -> String {
    let mut call = with_header(request(path), "content-type", b"application/grpc");
    *call.method_mut() = Method::POST;
    let call = with_header(call, "te", b"trailers");
    let reply = client.connect(Protocol::Http2).await.unwrap().send(call).await.unwrap();
    assert_eq!(reply.status, StatusCode::OK, "{path}: {reply:?}");
    reply.headers.get("grpc-status").unwrap_or_else(|| panic!("{reply:?}")).to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_grpc_client_that_is_denied_reads_a_status_that_it_does_not_retry() {
    for mode in Mode::ALL {
        let mut mesh = Mesh::build(mode).without_client_validation().start().await;
        let (stranger, revoked) = (mesh.authority.issue("/ns/else/sa/x"), mesh.authority.issue(OTHER));
        mesh.revoke(revoked.id()).await;
        assert_eq!(grpc_status(&mesh.anonymous(), "/svc/Call").await, "16", "{mode:?}: nobody");
        for _ in 0..2 {
            assert_eq!(grpc_status(&mesh.client(&stranger), "/svc/Call").await, "7", "{mode:?}: by policy");
            assert_eq!(grpc_status(&mesh.client(&revoked), "/svc/Call").await, "7", "{mode:?}: revoked");
        }
        mesh.sidecar.kill();
        assert_eq!(grpc_status(&mesh.client(&stranger), "/svc/Dead").await, "7", "{mode:?}: no sidecar");
    }
}

#[tokio::test]
async fn a_grpc_client_reads_no_unavailable_from_a_sidecar_that_is_not_ready() {
    for mode in Mode::ALL {
        let mesh = Mesh::build(mode).policies("permit (principal, action").not_ready().start().await;
        let web = mesh.authority.issue(CALLER);
        assert_eq!(grpc_status(&mesh.client(&web), "/svc/Call").await, "7", "{mode:?}");
    }
}
