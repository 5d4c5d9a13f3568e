//! The file of the log against a real sidecar: an old copy, a copy of nothing, and a log cut by a byte.

use std::fs;

use countersign_tests::client::Protocol;
use countersign_tests::mesh::{CALLER, Mesh, Mode, OTHER};
use countersign_tests::sidecar::countersign;
use http::StatusCode;

/// What the sidecar says as it refuses to start.
async fn refusal(mesh: &Mesh) -> String {
    let config = mesh.signal_log().with_file_name("config.yaml").display().to_string();
    let serve = move || countersign(&["serve", "--config", &config]);
    let output = tokio::task::spawn_blocking(serve).await.unwrap();
    assert!(!output.status.success(), "it started");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

async fn status(mesh: &Mesh, workload: &str) -> StatusCode {
    mesh.client(&mesh.authority.issue(workload)).get(Protocol::Http1, "/").await.unwrap().status
}

#[tokio::test]
async fn an_old_copy_of_the_log_never_un_revokes_unless_somebody_says_so() {
    let mut mesh = Mesh::start(Mode::ExtAuthz).await;
    mesh.revoke(&mesh.authority.id(CALLER)).await;
    assert!(mesh.sidecar.terminate().await.success());
    let old = fs::read(mesh.signal_log()).unwrap();
    mesh.sidecar.restart().await;
    mesh.revoke(&mesh.authority.id(OTHER)).await;
    assert!(mesh.sidecar.terminate().await.success());
    let new = fs::read(mesh.signal_log()).unwrap();

    fs::write(mesh.signal_log(), &old).unwrap();
    let said = refusal(&mesh).await;
    assert!(said.contains("it ends at 1, and signal 2 was in it") && said.contains("signals.redb.head"), "{said}");
    fs::remove_file(mesh.signal_log()).unwrap();
    let said = refusal(&mesh).await;
    assert!(said.contains("it is gone, and signal 2 was in it"), "{said}");
    fs::write(mesh.signal_log(), &new[..new.len() - 1]).unwrap();
    let said = refusal(&mesh).await;
    assert!(said.contains("is damaged") && said.contains("put back a copy of it"), "{said}");

    fs::write(mesh.signal_log(), new).unwrap();
    mesh.sidecar.restart().await;
    assert_eq!(
        (status(&mesh, CALLER).await, status(&mesh, OTHER).await),
        (StatusCode::FORBIDDEN, StatusCode::FORBIDDEN)
    );

    assert!(mesh.sidecar.terminate().await.success());
    fs::write(mesh.signal_log(), old).unwrap();
    fs::remove_file(mesh.signal_log().with_file_name("signals.redb.head")).unwrap();
    mesh.sidecar.restart().await;
    assert_eq!((status(&mesh, CALLER).await, status(&mesh, OTHER).await), (StatusCode::FORBIDDEN, StatusCode::OK));
    let line = mesh.audited("the log without witness", |line| line["kind"] == "log").await;
    assert!(line["detail"].as_str().unwrap().contains("it ends at signal 1"), "{line}");
}
