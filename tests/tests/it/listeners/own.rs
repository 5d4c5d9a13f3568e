//! The sidecar's own SVID: missing, exposed, half written, renewed under load, and at its end.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use countersign_tests::eventually::eventually;
use http::StatusCode;

use super::stand::{ASKS, LISTEN, SERVER, Stand, ask, comes_in};

async fn identity_of(stand: &Stand) -> (StatusCode, String) {
    let (status, body) = stand.sidecar.admin().get("/readyz?verbose").await.unwrap();
    let body = String::from_utf8_lossy(&body).into_owned();
    (status, body.lines().find(|line| line.contains("identity")).unwrap_or_default().to_owned())
}

#[tokio::test]
async fn without_an_svid_handshakes_fail_visibly_until_there_is_one() {
    let mut stand = Stand::spawn(LISTEN, |_, _| ());
    let client = stand.client("ext_authz", &stand.authority.issue(ASKS)).await;
    assert!(!comes_in(&client).await);
    stand.until_counted("no_own_svid", 0.0).await;
    eventually("everything but the SVID", async || {
        let (_, body) = stand.sidecar.admin().get("/readyz?verbose").await.ok()?;
        let body = String::from_utf8_lossy(&body).into_owned();
        (body.matches("[-]").count() == 1).then_some(())
    })
    .await;
    let (status, line) = identity_of(&stand).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(line.starts_with("[-] identity") && line.contains("identity.svid"), "{line}");
    assert_eq!(stand.sidecar.metric("countersign_ready", &["identity"]).await, 0.0);
    stand.audited("what is wrong with the files", |line| line["kind"] == "svid" && line["result"] == "refused").await;

    stand.put(&stand.authority.issue(SERVER));
    stand.sidecar.until_ready().await;
    assert!(comes_in(&client).await);
    assert!(identity_of(&stand).await.1.starts_with("[+] identity: spiffe://demo.test/sidecar"));
    assert_eq!(stand.sidecar.metric("countersign_ready", &["identity"]).await, 1.0);
}

#[tokio::test]
async fn a_key_that_others_can_read_is_refused_at_the_start_and_the_remedy_is_told() {
    let mut stand = Stand::spawn(LISTEN, |authority, dir| {
        let files = authority.issue(SERVER).write(dir, "svid");
        fs::set_permissions(files.key, fs::Permissions::from_mode(0o640)).unwrap();
    });
    assert_eq!(stand.sidecar.process().wait().await.code(), Some(1));
    let logs = stand.sidecar.logs();
    assert!(logs.contains("svid.key") && logs.contains("chmod 600"), "{logs}");
}

#[tokio::test]
async fn a_half_written_or_broken_pair_changes_nothing() {
    let stand = Stand::start().await;
    let client = stand.client("ext_authz", &stand.authority.issue(ASKS)).await;
    let (old, next) = (client.server_leaf().await.unwrap(), stand.authority.issue(SERVER));
    let refused = async |what: &str| {
        let what = what.to_owned();
        let said = |line: &serde_json::Value| line["detail"].as_str().is_some_and(|detail| detail.contains(&what));
        stand.audited(&what, |line| line["result"] == "refused" && said(line)).await;
    };
    next.write_cert(stand.dir.path(), "svid");
    refused("belongs to another certificate").await;
    assert_eq!(client.server_leaf().await.unwrap(), old);
    let key = next.write_key(stand.dir.path(), "svid");
    stand.until_presented(&client, &next).await;

    fs::write(stand.dir.path().join("svid.pem"), "-----BEGIN CERTIFICATE-----\nAAAA").unwrap();
    refused("PEM is broken").await;
    fs::remove_file(&key).unwrap();
    next.write_cert(stand.dir.path(), "svid");
    refused("svid.key: can't be read").await;
    let expired = stand.authority.wrong(SERVER, countersign_tests::pki::Fault::Expired);
    stand.put(&expired);
    refused("not valid now").await;
    fs::set_permissions(next.write_key(stand.dir.path(), "svid"), fs::Permissions::from_mode(0o644)).unwrap();
    next.write_cert(stand.dir.path(), "svid");
    refused("chmod 600").await;
    assert_eq!(client.server_leaf().await.unwrap(), next.leaf_der(), "all this time");
    assert!(comes_in(&client).await);
    assert!(stand.sidecar.is_ready().await);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let last = stand.authority.issue(SERVER);
    stand.put(&last);
    stand.until_presented(&client, &last).await;
    assert_eq!(stand.sidecar.metric("countersign_svid_reloads_total", &["accepted"]).await, 3.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn svids_change_under_load_without_a_failed_request() {
    let stand = Stand::start().await;
    let client = stand.client("ext_authz", &stand.authority.issue(ASKS)).await;
    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut load = Vec::new();
    for lasting in [true, true, false, false] {
        let (client, done, asked) = (client.clone(), Arc::clone(&done), Arc::clone(&asked));
        load.push(tokio::spawn(async move {
            let mut channel = client.grpc().await.unwrap();
            while !done.load(Ordering::Relaxed) {
                if !lasting {
                    channel = client.grpc().await.expect("a new connection during the change");
                }
                ask(&channel).await.expect("an answer during the change");
                asked.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for _ in 0..5 {
        let next = stand.authority.issue(SERVER);
        stand.put(&next);
        stand.until_presented(&client, &next).await;
    }
    let before = asked.load(Ordering::Relaxed);
    eventually("load on all connections", async || (asked.load(Ordering::Relaxed) > before + 100).then_some(())).await;
    done.store(true, Ordering::Relaxed);
    for task in load {
        task.await.expect("no request failed");
    }
    assert_eq!(stand.sidecar.metric("countersign_svid_reloads_total", &["accepted"]).await, 6.0);
}

#[tokio::test]
async fn an_svid_that_has_ended_answers_nobody_new_and_is_told_everywhere() {
    let mut stand = Stand::spawn(LISTEN, |authority, dir| {
        authority.leaf(SERVER).ttl(Duration::from_secs(5)).issue().write(dir, "svid");
    });
    stand.sidecar.until_ready().await;
    let client = stand.client("ext_authz", &stand.authority.issue(ASKS)).await;
    let open = client.grpc().await.unwrap();
    ask(&open).await.unwrap();
    eventually("end of the SVID", async || (!stand.sidecar.is_ready().await).then_some(())).await;
    let before = stand.handshakes("own_svid_expired").await;
    assert!(!comes_in(&client).await);
    stand.until_counted("own_svid_expired", before).await;
    ask(&open).await.expect("who came in before stays");
    assert!(identity_of(&stand).await.1.contains("not valid now"));
    eventually("a line in the log", async || stand.sidecar.logs().contains("own SVID has expired").then_some(())).await;
    let next = stand.authority.issue(SERVER);
    stand.put(&next);
    stand.until_presented(&client, &next).await;
    stand.sidecar.until_ready().await;
}
