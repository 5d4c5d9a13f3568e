//! Revocation on the real thing: new requests, remembered answers and open streams, and nobody else.

use countersign_tests::client::Protocol;
use countersign_tests::eventually::eventually;
use countersign_tests::mesh::{CALLER, Mesh, Mode, OTHER};
use countersign_tests::pki::Svid;
use http::StatusCode;

async fn status(mesh: &Mesh, svid: &Svid, path: &str) -> StatusCode {
    mesh.client(svid).get(Protocol::Http1, path).await.unwrap().status
}

#[tokio::test]
async fn a_revoked_workload_is_denied_at_once_and_a_restored_one_is_back() {
    for mode in Mode::ALL {
        let mesh = Mesh::start(mode).await;
        let (web, cart) = (mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
        let mut kept = mesh.client(&web).connect(Protocol::Http2).await.unwrap();
        for _ in 0..2 {
            assert_eq!(kept.get("/a").await.unwrap().status, StatusCode::OK, "{mode:?}");
            assert_eq!(status(&mesh, &cart, "/a").await, StatusCode::OK, "{mode:?}");
        }
        mesh.revoke(web.id()).await;
        assert_eq!(kept.get("/a").await.unwrap().status, StatusCode::FORBIDDEN, "{mode:?}: cached, same connection");
        assert_eq!(status(&mesh, &web, "/a").await, StatusCode::FORBIDDEN, "{mode:?}: new connection");
        assert_eq!(status(&mesh, &web, "/b").await, StatusCode::FORBIDDEN, "{mode:?}: not cached");
        assert_eq!(status(&mesh, &cart, "/a").await, StatusCode::OK, "{mode:?}: another caller");
        mesh.audited("the denial", |line| line["reason"] == "revoked" && line["caller"] == web.id()).await;
        mesh.restore(web.id()).await;
        assert_eq!(kept.get("/a").await.unwrap().status, StatusCode::OK, "{mode:?}: restored");
    }
}

#[tokio::test]
async fn a_revoked_certificate_is_denied_and_a_new_one_of_the_same_workload_is_not() {
    for mode in Mode::ALL {
        let mesh = Mesh::start(mode).await;
        let (old, new) = (mesh.authority.issue(CALLER), mesh.authority.issue(CALLER));
        assert_eq!(status(&mesh, &old, "/").await, StatusCode::OK, "{mode:?}");
        assert_eq!(status(&mesh, &new, "/").await, StatusCode::OK, "{mode:?}");
        mesh.revoke(&format!("certificate:{}", old.digest())).await;
        assert_eq!(status(&mesh, &old, "/").await, StatusCode::FORBIDDEN, "{mode:?}");
        assert_eq!(status(&mesh, &new, "/").await, StatusCode::OK, "{mode:?}");
    }
}

#[tokio::test]
async fn a_certificate_issued_after_the_moment_named_passes() {
    use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
    for mode in Mode::ALL {
        let mesh = Mesh::start(mode).await;
        let now = OffsetDateTime::now_utc();
        let valid = |from| mesh.authority.leaf(CALLER).valid(from, now + Duration::HOUR).issue();
        let (old, new) = (valid(now - Duration::HOUR), valid(now - Duration::MINUTE));
        let moment = (now - Duration::minutes(30)).format(&Rfc3339).unwrap();
        mesh.must(&["revoke", old.id(), "--issued-before", &moment, "--why", "rotated", "--wait"]).await;
        assert_eq!(status(&mesh, &old, "/").await, StatusCode::FORBIDDEN, "{mode:?}");
        assert_eq!(status(&mesh, &new, "/").await, StatusCode::OK, "{mode:?}");
    }
}

#[tokio::test]
async fn open_streams_of_the_revoked_end_and_those_of_others_go_on() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mesh = Mesh::build(Mode::Filter).workers(2).start().await;
        let (web, cart) = (mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
        let mut revoked = mesh.client(&web).connect(protocol).await.unwrap();
        let mut revoked = revoked.stream("/stream").await.unwrap();
        let mut other = mesh.client(&cart).connect(protocol).await.unwrap();
        let mut other = other.stream("/stream").await.unwrap();
        revoked.flows(3).await;
        other.flows(3).await;
        mesh.revoke(web.id()).await;
        revoked.until_cut().await;
        other.flows(5).await;
        eventually("the count", async || (mesh.filter_stat("resets").await == 1).then_some(())).await;
    }
}

#[tokio::test]
async fn waiting_for_enforcement_tells_how_many_filters_enforce_it() {
    let mesh = Mesh::build(Mode::Filter).workers(2).start().await;
    let report = mesh.must(&["revoke", "trust-domain:else.test", "--why", "drill", "--wait", "--output", "json"]).await;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    // Two workers and the VM of the main thread.
    assert!(report.to_string().contains("enforc"), "{report}");
}
