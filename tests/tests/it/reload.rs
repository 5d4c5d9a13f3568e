//! New policies under load: at once, for everybody, and a broken file changes nothing.

use countersign_tests::client::Protocol;
use countersign_tests::eventually::eventually;
use countersign_tests::mesh::{CALLER, Mesh, Mode, POLICIES};
use http::StatusCode;

#[tokio::test]
async fn a_reload_under_load_fails_no_request_and_changes_decisions() {
    for mode in Mode::ALL {
        let mesh = Mesh::start(mode).await;
        let web = mesh.authority.issue(CALLER);
        let client = mesh.client(&web);
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let load = tokio::spawn(async move {
            let mut connection = client.connect(Protocol::Http2).await.unwrap();
            let mut answered = 0_u32;
            while !*stopped.borrow() {
                let reply = connection.get("/always").await.unwrap();
                assert_eq!(reply.status, StatusCode::OK, "after {answered}");
                answered += 1;
            }
            answered
        });
        let mut probe = mesh.client(&web).connect(Protocol::Http1).await.unwrap();
        for round in 0..5 {
            let closed = round % 2 == 0;
            let forbid = if closed {
                r#"forbid (principal, action, resource) when { context.http.path == "/probe" };"#
            } else {
                ""
            };
            mesh.set_policies(&format!("{POLICIES}\n{forbid}"));
            let expected = if closed { StatusCode::FORBIDDEN } else { StatusCode::OK };
            eventually("the new policies", async || {
                (probe.get("/probe").await.unwrap().status == expected).then_some(())
            })
            .await;
        }
        stop.send_replace(true);
        assert!(load.await.unwrap() > 50, "{mode:?}");
        assert_eq!(mesh.sidecar.metric("countersign_policy_reloads_total", &["accepted"]).await, 6.0, "{mode:?}");
    }
}

#[tokio::test]
async fn a_broken_policy_file_changes_nothing_and_says_where_it_is_broken() {
    for mode in Mode::ALL {
        let mesh = Mesh::start(mode).await;
        let web = mesh.authority.issue(CALLER);
        let mut probe = mesh.client(&web).connect(Protocol::Http1).await.unwrap();
        assert_eq!(probe.get("/").await.unwrap().status, StatusCode::OK);
        mesh.set_policies("permit (principal, action, resource)\nwhen { context.http.pth == \"/\" };\n");
        let refused = mesh.audited("the refusal", |line| line["kind"] == "policy" && line["result"] == "refused").await;
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("policy.cedar:2:"), "{mode:?}: {detail}");
        assert!(mesh.sidecar.logs().contains("policy.cedar:2:"), "{}", mesh.sidecar.logs());
        assert_eq!(probe.get("/").await.unwrap().status, StatusCode::OK, "{mode:?}: the old set stays");
        assert_eq!(mesh.sidecar.metric("countersign_policy_reloads_total", &["refused"]).await, 1.0, "{mode:?}");
        assert!(mesh.sidecar.is_ready().await);
    }
}
