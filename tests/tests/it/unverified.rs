//! Callers that prove nothing: denied and counted, unless a policy lets one in by name; then each use is on record.

use countersign_tests::client::Protocol;
use countersign_tests::envoy::EnvoyBuilder;
use countersign_tests::eventually::eventually;
use countersign_tests::mesh::{CALLER, Mesh, Mode};
use countersign_tests::pki::Fault;
use countersign_tests::upstream::echoed_header;
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const LEGACY: &str = r#"
@id("legacy-reads-health")
permit (principal is Unverified, action == Action::"GET", resource)
when {
  principal.cause == "certificate_missing" && context has source.ip && context.source.ip.isLoopback() &&
  context.http.path == "/health"
};
@id("verified-read")
permit (principal, action == Action::"GET", resource);
"#;

#[tokio::test]
async fn a_caller_without_a_certificate_gets_what_a_policy_names_and_nothing_else() {
    for mode in Mode::ALL {
        let mesh = Mesh::build(mode).policies(LEGACY).without_client_validation().start().await;
        let mut legacy = mesh.anonymous().connect(Protocol::Http1).await.unwrap();
        for _ in 0..2 {
            let reply = legacy.get("/health").await.unwrap();
            assert_eq!(reply.status, StatusCode::OK, "{mode:?}");
            assert_eq!(
                echoed_header(&reply.json(), "x-countersign-caller"),
                Vec::<String>::new(),
                "{mode:?}: nobody is named"
            );
        }
        assert_eq!(legacy.get("/orders").await.unwrap().status, StatusCode::UNAUTHORIZED, "{mode:?}");
        let line = mesh.audited("the use", |line| line["reason"] == "permit_unverified").await;
        assert_eq!((&line["unverified"], &line["source_ip"]), (&"certificate_missing".into(), &"127.0.0.1".into()));
        assert_eq!(line["policies"][0], "legacy-reads-health");
        eventually("each use on record, for none comes from memory", async || {
            let uses = mesh.audit().iter().filter(|line| line["reason"] == "permit_unverified").count();
            (uses == 2).then_some(())
        })
        .await;
        let denied = mesh.sidecar.metric("countersign_decisions_total", &["reason=\"certificate_missing\""]).await;
        let admitted = mesh.sidecar.metric("countersign_decisions_total", &["reason=\"permit_unverified\""]).await;
        assert_eq!((denied, admitted), (1.0, 2.0), "{mode:?}: counted by cause");
    }
}

#[tokio::test]
async fn another_cause_is_another_caller_and_a_revoked_claim_stays_out() {
    for mode in Mode::ALL {
        let expired_may = LEGACY.replace("certificate_missing", "certificate_expired");
        let mesh = Mesh::build(mode).policies(&expired_may).without_client_validation().start().await;
        let expired = mesh.authority.wrong(CALLER, Fault::Expired);
        let get = async |svid| mesh.client(svid).get(Protocol::Http2, "/health").await.unwrap().status;
        assert_eq!(get(&expired).await, StatusCode::OK, "{mode:?}");
        let line = mesh.audited("the use", |line| line["reason"] == "permit_unverified").await;
        assert_eq!(line["claimed_id"], expired.id());
        assert_eq!(
            mesh.anonymous().get(Protocol::Http2, "/health").await.unwrap().status,
            StatusCode::UNAUTHORIZED,
            "{mode:?}"
        );
        mesh.revoke(expired.id()).await;
        assert_eq!(get(&expired).await, StatusCode::FORBIDDEN, "{mode:?}: revoked, whatever it proves");
    }
}

#[tokio::test]
async fn without_such_a_policy_nobody_unverified_gets_in_not_even_by_a_permit_for_everybody() {
    for mode in Mode::ALL {
        let open = "permit (principal, action, resource);";
        let mesh = Mesh::build(mode).policies(open).without_client_validation().start().await;
        assert_eq!(
            mesh.anonymous().get(Protocol::Http1, "/").await.unwrap().status,
            StatusCode::UNAUTHORIZED,
            "{mode:?}"
        );
        let stranger = mesh.authority.wrong(CALLER, Fault::Expired);
        assert_eq!(
            mesh.client(&stranger).get(Protocol::Http1, "/").await.unwrap().status,
            StatusCode::UNAUTHORIZED,
            "{mode:?}"
        );
    }
}

#[tokio::test]
async fn plaintext_proves_nothing_and_is_governed_like_every_other_caller_that_does_not() {
    for mode in Mode::ALL {
        let mesh = Mesh::build(mode).policies(LEGACY).envoy(EnvoyBuilder::in_plaintext).start().await;
        for (path, expected) in [("/health", "HTTP/1.1 200"), ("/orders", "HTTP/1.1 401")] {
            let mut plain = TcpStream::connect(mesh.envoy.address()).await.unwrap();
            let head = format!("GET {path} HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n");
            plain.write_all(head.as_bytes()).await.unwrap();
            let mut reply = String::new();
            plain.read_to_string(&mut reply).await.unwrap();
            assert!(reply.starts_with(expected), "{mode:?} {path}: {reply}");
        }
        mesh.audited("the denial", |line| line["reason"] == "certificate_missing" && line["path"] == "/orders").await;
    }
}
