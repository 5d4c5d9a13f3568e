//! Risk that a signal says of a workload, as a policy sees it through a real Envoy; nothing here waits for a lifetime to pass.

use countersign_tests::client::Protocol;
use countersign_tests::control::{Control, risk};
use countersign_tests::mesh::{CALLER, Mesh, Mode, OTHER};
use http::StatusCode;

const POLICIES: &str = r#"
permit (principal in WorkloadPath::"spiffe://demo.test/ns/shop", action in Action::"read", resource == Service::"orders");
@id("too-risky")
forbid (principal, action, resource) when { principal has risk && principal.risk >= 80 };
"#;

#[tokio::test]
async fn a_risk_denies_the_next_request_and_when_it_is_gone_the_next_is_allowed_and_nobody_else_is_asked_again() {
    for mode in Mode::ALL {
        let mesh = Mesh::build(mode).policies(POLICIES).start().await;
        let (web, cart) = (mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
        let mut of_web = mesh.client(&web).connect(Protocol::Http2).await.unwrap();
        let mut of_cart = mesh.client(&cart).connect(Protocol::Http2).await.unwrap();
        for connection in [&mut of_web, &mut of_cart] {
            for path in ["/a", "/b"] {
                assert_eq!(connection.get(path).await.unwrap().status, StatusCode::OK, "{mode:?}");
            }
        }
        let mut control = Control::at(&mesh.control_socket());
        let evaluated = async || mesh.sidecar.metric("countersign_decisions_total", &["source=\"policy\""]).await;
        for (score, expected) in [(80, StatusCode::FORBIDDEN), (79, StatusCode::OK), (100, StatusCode::FORBIDDEN)] {
            let seq = control.must(risk(&format!("risk-{score}"), web.id(), score)).await;
            control.enforced(seq).await;
            assert_eq!(of_web.get("/a").await.unwrap().status, expected, "{mode:?}: risk {score}");
            let (before, asked) = (evaluated().await, mesh.decisions().await);
            assert_eq!(of_cart.get("/a").await.unwrap().status, StatusCode::OK);
            assert_eq!(evaluated().await, before, "{mode:?}: the other is not evaluated anew");
            if mode == Mode::Filter {
                assert_eq!(mesh.decisions().await, asked, "nor is the sidecar asked about it");
            }
        }
        mesh.audited("the denial", |line| line["policies"] == serde_json::json!(["too-risky"])).await;
    }
}
