//! What operators see and touch: readiness, health, metrics, configuration errors, permissions.

use std::os::unix::fs::PermissionsExt as _;

use countersign_tests::client::Protocol;
use countersign_tests::door::Door;
use countersign_tests::eventually::eventually;
use countersign_tests::mesh::{CALLER, Mesh, Mode, POLICIES};
use countersign_tests::sidecar::countersign;
use http::StatusCode;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::Endpoint;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

#[tokio::test]
async fn without_a_first_policy_set_nothing_is_allowed_and_the_sidecar_says_why() {
    let mesh = Mesh::build(Mode::ExtAuthz).policies("permit (principal, action").not_ready().start().await;
    let caller = mesh.authority.issue(CALLER);
    let reply = mesh.client(&caller).get(Protocol::Http1, "/").await.unwrap();
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "an error, told apart from a denial");
    mesh.audited("not ready", |line| line["reason"] == "not_ready").await;
    let (status, body) = mesh.sidecar.admin().get("/readyz?verbose").await.unwrap();
    let body = String::from_utf8_lossy(&body).into_owned();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("[-] policy") && body.contains("[+] log") && body.contains("not ready"), "{body}");
    assert_eq!(mesh.sidecar.admin().get("/livez").await.unwrap().0, StatusCode::OK);
    mesh.set_policies(POLICIES);
    eventually("ready once the file is mended", async || mesh.sidecar.is_ready().await.then_some(())).await;
    assert_eq!(mesh.client(&caller).get(Protocol::Http1, "/").await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn grpc_health_is_watched_from_serving_to_not_serving() {
    let mut mesh = Mesh::start(Mode::ExtAuthz).await;
    let socket = mesh.ext_authz_socket();
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://sidecar").connect_with_connector(connector).await.unwrap();
    let service = "envoy.service.auth.v3.Authorization".to_owned();
    let mut client = HealthClient::new(channel);
    let mut watch = client.watch(HealthCheckRequest { service: service.clone() }).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    mesh.sidecar.process().signal("TERM");
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    drop((watch, client));
    assert!(mesh.sidecar.process().wait().await.success(), "{}", mesh.sidecar.logs());
}

#[tokio::test]
async fn sockets_and_files_open_to_their_owner_only() {
    let mesh = Mesh::start(Mode::ExtAuthz).await;
    mesh.must(&["revoke", "spiffe://demo.test/x", "--why", "test"]).await;
    let dir = mesh.control_socket().parent().unwrap().to_path_buf();
    for (file, mode) in
        [("control.sock", 0o600), ("ext-authz.sock", 0o660), ("signals.redb", 0o600), ("audit.jsonl", 0o600)]
    {
        let found = std::fs::metadata(dir.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{file}: {found:o}");
    }
}

#[tokio::test]
async fn every_metric_of_the_table_is_served_and_no_spiffe_id_is_a_label() {
    let mesh = Mesh::start(Mode::Filter).await;
    let caller = mesh.authority.issue(CALLER);
    mesh.client(&caller).get(Protocol::Http1, "/").await.unwrap();
    let text = mesh.sidecar.metrics().await;
    for row in countersign::metrics::TABLE {
        assert!(text.contains(&format!("# TYPE {} {}", row.name, row.kind)), "{}", row.name);
    }
    assert!(!text.contains("spiffe://"));
}

#[test]
fn all_mistakes_of_a_configuration_are_told_at_once_with_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    std::fs::write(&file, "service: {}\nlink: { lease: soon }\ncolor: red\n").unwrap();
    let output = countersign(&["serve", "--config", file.to_str().unwrap()]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    for part in ["service.name", "link.lease", "color", "identity.trust_bundles", "policy.files"] {
        assert!(errors.contains(part), "{part} is not told: {errors}");
    }
}

#[tokio::test]
async fn a_command_without_a_sidecar_says_what_to_do() {
    let output = countersign(&["revoke", "spiffe://demo.test/x", "--why", "x", "--socket", "/nowhere/control.sock"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("/nowhere/control.sock"), "{errors}");
    // The admin door of a sidecar that is not there is an error too, not a hang.
    assert!(Door::Unix("/nowhere/admin.sock".into()).get("/readyz").await.is_err());
}
