//! A real Envoy that asks by TCP with mTLS, in both modes.

use countersign_tests::client::Protocol;
use countersign_tests::eventually::eventually;
use countersign_tests::mesh::{CALLER, ENVOY, Mesh, Mode, OTHER, SIDECAR};
use http::StatusCode;

#[tokio::test]
async fn envoy_asks_by_mtls_and_everything_works_as_by_the_socket() {
    for mode in Mode::ALL {
        let mesh = Mesh::build(mode).mtls().start().await;
        let (web, cart) = (mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
        let get = async |svid| mesh.client(svid).get(Protocol::Http2, "/x").await.unwrap().status;
        assert_eq!(get(&web).await, StatusCode::OK, "{mode:?}");
        assert_eq!(get(&cart).await, StatusCode::OK, "{mode:?}");
        mesh.revoke(web.id()).await;
        assert_eq!(get(&web).await, StatusCode::FORBIDDEN, "{mode:?}");
        assert_eq!(get(&cart).await, StatusCode::OK, "{mode:?}");
        assert!(mesh.envoy.stats("cluster.countersign-tls.upstream_rq_total").await > 0, "{mode:?}");
        assert!(mesh.envoy.stats("cluster.countersign-tls.ssl.handshake").await > 0, "{mode:?}");
        assert_eq!(
            mesh.envoy.stats("cluster.countersign.upstream_cx_total").await,
            0,
            "{mode:?}: nothing by the socket"
        );

        // The workload that Envoy itself is: the sidecar hears it no more, and Envoy lets nobody pass unheard.
        mesh.must(&["revoke", &mesh.authority.id(ENVOY), "--why", "test"]).await;
        eventually("denial without a sidecar", async || {
            let status = get(&cart).await;
            matches!(status, StatusCode::FORBIDDEN | StatusCode::SERVICE_UNAVAILABLE).then_some(())
        })
        .await;
        mesh.must(&["restore", &mesh.authority.id(ENVOY), "--why", "test"]).await;
        eventually("recovery without touching Envoy", async || (get(&cart).await == StatusCode::OK).then_some(()))
            .await;
    }
}

#[tokio::test]
async fn a_sidecar_that_is_somebody_else_decides_nothing() {
    let mesh = Mesh::build(Mode::ExtAuthz)
        .mtls()
        .envoy(|envoy| envoy.set("COUNTERSIGN_SPIFFE_ID", "spiffe://demo.test/ns/shop/sa/somebody-else"))
        .start()
        .await;
    let web = mesh.authority.issue(CALLER);
    assert_ne!(SIDECAR, "/ns/shop/sa/somebody-else");
    assert_eq!(mesh.client(&web).get(Protocol::Http2, "/x").await.unwrap().status, StatusCode::FORBIDDEN);
    assert_eq!(mesh.decisions().await, 0.0);
    mesh.envoy.until_stat("cluster.countersign-tls.ssl.fail_verify_san", 1).await;
}
