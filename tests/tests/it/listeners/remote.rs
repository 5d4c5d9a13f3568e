//! The command line by TCP with mTLS: who revoked is proven, and every way to fail says what to do.

use std::process::Output;

use countersign_tests::pki::Authority;

use super::stand::{ASKS, REVOKES, Stand};

const SERVER_ID: &str = "spiffe://demo.test/sidecar";
const REVOKE: &[&str] = &["revoke", "spiffe://demo.test/x", "--why", "test"];

#[track_caller]
fn refused(output: &Output, code: i32, remedy: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert!(errors.contains(remedy), "{errors}");
}

#[tokio::test]
async fn a_signal_by_tcp_carries_the_spiffe_id_of_its_sender() {
    let stand = Stand::start().await;
    let bob = stand.authority.issue(REVOKES);
    let output = stand.remote(REVOKE, &bob, SERVER_ID).await;
    assert!(output.status.success(), "{output:?}");
    let line = stand.audited("the revocation", |line| line["kind"] == "signal").await;
    assert!(line["who"].as_str().unwrap().starts_with("spiffe://demo.test/security/bob"), "{line}");
    let list = stand.remote(&["signals", "list", "--output", "json"], &bob, SERVER_ID).await;
    assert!(String::from_utf8_lossy(&list.stdout).contains("spiffe://demo.test/security/bob"), "{list:?}");
    let waited = stand.remote(&[REVOKE, &["--wait"]].concat(), &bob, SERVER_ID).await;
    assert!(waited.status.success(), "{waited:?}");
}

#[tokio::test]
async fn every_way_to_fail_says_what_to_do() {
    let stand = Stand::start().await;
    let bob = stand.authority.issue(REVOKES);
    refused(&stand.remote(REVOKE, &stand.authority.issue(ASKS), SERVER_ID).await, 1, "listen.control_tcp.allow");
    let stranger = Authority::new("other.test").issue("/security/bob");
    refused(&stand.remote(REVOKE, &stranger, SERVER_ID).await, 1, "identity.trust_bundles of the sidecar");
    refused(
        &stand.remote(REVOKE, &bob, "spiffe://demo.test/sidecar-2").await,
        1,
        "the server is spiffe://demo.test/sidecar",
    );
    refused(
        &stand.remote(REVOKE, &bob, "spiffe://other.test/sidecar").await,
        1,
        "no bundle for trust domain demo.test",
    );
    stand.revoke(bob.id()).await;
    refused(&stand.remote(REVOKE, &bob, SERVER_ID).await, 1, "your SVID is revoked there");

    let nobody = "127.0.0.1:1".parse().unwrap();
    refused(&stand.remote_at(nobody, REVOKE, &bob, SERVER_ID).await, 1, "listen.control_tcp");
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    });
    refused(&stand.remote_at(address, REVOKE, &bob, SERVER_ID).await, 1, "does not speak TLS");
    drop(server);
}

#[test]
fn half_of_the_arguments_is_a_mistake_of_the_command_line() {
    let run = |arguments: &[&str]| countersign_tests::sidecar::countersign(&[REVOKE, arguments].concat());
    refused(&run(&["--address", "https://127.0.0.1:1"]), 2, "--server-id");
    refused(&run(&["--address", "127.0.0.1:1"]), 2, "https://HOST:PORT");
}
