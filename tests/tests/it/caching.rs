//! What the filter answers from memory, and what it asks for.

use countersign_tests::client::{Connection, Protocol, request, with_header};
use countersign_tests::mesh::{CALLER, Mesh, Mode, OTHER};
use http::{Method, StatusCode};

/// Sends a request and says by how many decisions of the sidecar it was answered.
async fn asked(
    mesh: &Mesh,
    connection: &mut Connection,
    request: http::Request<http_body_util::Full<bytes::Bytes>>,
) -> f64 {
    let before = mesh.decisions().await;
    connection.send(request).await.unwrap();
    mesh.decisions().await - before
}

#[tokio::test]
async fn an_identical_request_is_answered_without_the_sidecar_and_a_different_one_is_not() {
    let mesh = Mesh::start(Mode::Filter).await;
    let mut web = mesh.client(&mesh.authority.issue(CALLER)).connect(Protocol::Http1).await.unwrap();
    let mut cart = mesh.client(&mesh.authority.issue(OTHER)).connect(Protocol::Http1).await.unwrap();
    assert_eq!(asked(&mesh, &mut web, request("/orders/1")).await, 1.0, "first");
    let reply = web.get("/orders/1").await.unwrap();
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(asked(&mesh, &mut web, request("/orders/1")).await, 0.0, "again");
    assert_eq!(
        asked(&mesh, &mut web, request("/orders/2")).await,
        0.0,
        "another path that no policy tells from the first"
    );
    assert_eq!(asked(&mesh, &mut web, request("/admin")).await, 1.0, "a path that one does");
    assert_eq!(asked(&mesh, &mut cart, request("/orders/1")).await, 1.0, "another caller");
    assert_eq!(asked(&mesh, &mut web, method(Method::HEAD)).await, 1.0, "another method");
    let with_tenant = |value: &str| with_header(request("/orders/1"), "x-tenant", value.as_bytes());
    assert_eq!(
        asked(&mesh, &mut web, with_tenant("a")).await,
        0.0,
        "a header that only policies for another caller read"
    );
    let mut tenant = mesh.client(&mesh.authority.issue("/tenant")).connect(Protocol::Http1).await.unwrap();
    assert_eq!(asked(&mesh, &mut tenant, with_tenant("a")).await, 1.0, "that caller");
    assert_eq!(asked(&mesh, &mut tenant, with_tenant("b")).await, 1.0, "another class of the header");
    assert_eq!(asked(&mesh, &mut tenant, with_tenant("c")).await, 0.0, "the same class again");
    assert_eq!(asked(&mesh, &mut tenant, request("/orders/1")).await, 1.0, "no header is a class, too");
    let unread = with_header(request("/orders/1"), "x-unread", b"anything");
    assert_eq!(asked(&mesh, &mut web, unread).await, 0.0, "a header that no policy reads");
    mesh.envoy.until_stat(&stat_name(&mesh, "hits").await, 5).await;
}

fn method(method: Method) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let mut head = request("/orders/1");
    *head.method_mut() = method;
    head
}

async fn stat_name(mesh: &Mesh, name: &str) -> String {
    let stats = mesh.envoy.stats_matching(&format!("countersign[._]{name}$")).await;
    stats.into_iter().map(|(name, _)| name).next().expect("the filter counts")
}

#[tokio::test]
async fn a_denial_is_remembered_too() {
    let mesh = Mesh::start(Mode::Filter).await;
    let mut stranger = mesh.client(&mesh.authority.issue("/ns/else/sa/x")).connect(Protocol::Http2).await.unwrap();
    assert_eq!(asked(&mesh, &mut stranger, request("/")).await, 1.0);
    let before = mesh.decisions().await;
    assert_eq!(stranger.get("/").await.unwrap().status, StatusCode::FORBIDDEN);
    assert_eq!(mesh.decisions().await, before);
}

#[tokio::test]
async fn answers_from_memory_are_audited_by_count() {
    let mesh = Mesh::start(Mode::Filter).await;
    let mut web = mesh.client(&mesh.authority.issue(CALLER)).connect(Protocol::Http1).await.unwrap();
    for _ in 0..11 {
        assert_eq!(web.get("/orders/7").await.unwrap().status, StatusCode::OK);
    }
    let decision = mesh.audited("the one decision", |line| line["path"] == "/orders/7").await;
    countersign_tests::eventually::eventually("ten hits in the audit trail", async || {
        let hits = mesh.audit().into_iter().filter(|line| line["kind"] == "filter_hits");
        let hits = hits.filter(|line| line["decision_id"] == decision["decision_id"]);
        (hits.map(|line| line["count"].as_u64().unwrap()).sum::<u64>() == 10).then_some(())
    })
    .await;
    assert_eq!(mesh.sidecar.metric("countersign_filter_hits_total", &["verdict=\"allow\""]).await, 10.0);
}
