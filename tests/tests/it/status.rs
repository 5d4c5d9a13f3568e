//! `countersign status` against a running sidecar: what it says when all is well, and when something is not.

use std::fs;

use countersign_tests::eventually::eventually;
use countersign_tests::mesh::{CALLER, Mesh, Mode, POLICIES};
use countersign_tests::pki::Authority;

/// What is shown, once it begins as wanted.
async fn until_shown(mesh: &Mesh, begins: &str, code: i32) -> String {
    eventually(&format!("status that begins with {begins}"), async || {
        let output = mesh.countersign(&["status"]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        (text.starts_with(begins) && output.status.code() == Some(code)).then_some(text)
    })
    .await
}

#[tokio::test]
async fn a_sidecar_that_is_fine_says_so_and_shows_every_part() {
    let mesh = Mesh::start(Mode::Filter).await;
    mesh.revoke(&mesh.authority.id(CALLER)).await;
    let text = until_shown(&mesh, "FINE: orders, countersign ", 0).await;
    let instances = text.lines().filter(|line| line.contains(": connected, at 1, lease for ")).count();
    assert!(instances >= 2, "every filter VM:\n{text}");
    for part in [
        "identity  none configured",
        "bundles   demo.test (file): 1 authority, ",
        "policy    3 policies, digest ",
        "log       at 1, 1 revoked now, revocations are taken",
        "filters   ",
        "audit     ",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[tokio::test]
async fn what_is_wrong_comes_first_and_goes_once_it_is_mended() {
    let mesh = Mesh::start(Mode::ExtAuthz).await;
    until_shown(&mesh, "FINE", 0).await;

    mesh.set_policies("permit (principal, action, resource)\nwhen { context.http.pth == \"/\" };\n");
    let text = until_shown(&mesh, "NOT FINE: policy: the new files were refused, the old policies stay", 1).await;
    assert!(text.contains("policy.cedar:2:") && text.contains("    do: run `countersign policy validate"), "{text}");
    mesh.set_policies(POLICIES);
    until_shown(&mesh, "FINE", 0).await;

    let bundle = mesh.policy_file().with_file_name("bundle.pem");
    let good = fs::read(&bundle).unwrap();
    fs::write(&bundle, "nothing").unwrap();
    let text = until_shown(&mesh, "NOT FINE: bundles: the bundle of demo.test could not be renewed", 1).await;
    assert!(text.contains("bundle.pem: bundle holds no certificate") && text.contains("IN TROUBLE"), "{text}");
    fs::write(&bundle, good).unwrap();
    until_shown(&mesh, "FINE", 0).await;

    fs::write(&bundle, r#"{"keys": [], "spiffe_sequence": 9}"#).unwrap();
    let text = until_shown(&mesh, "NOT FINE: bundles: demo.test has no authorities", 1).await;
    assert!(text.contains("demo.test (file): EMPTY, all of it is revoked, sequence 9"), "{text}");
    let restored = Authority::new("demo.test");
    mesh.trust(&restored);
    until_shown(&mesh, "FINE", 0).await;
}

#[tokio::test]
async fn a_sidecar_that_decides_nothing_yet_says_what_it_waits_for() {
    let mesh = Mesh::build(Mode::ExtAuthz).policies("permit (").not_ready().start().await;
    // What is wrong with the files is known a moment after that none is in force.
    let text = eventually("the place of the mistake", async || {
        let first = "NOT FINE: policy: no policy set is in force, every request is denied";
        let text = until_shown(&mesh, first, 1).await;
        text.contains("policy.cedar:1:").then_some(text)
    })
    .await;
    assert!(text.contains("policy    NONE in force"), "{text}");
}
