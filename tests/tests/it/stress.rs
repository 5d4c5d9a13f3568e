//! Requests, revocations and reloads against each other: whoever asks after a revocation was acknowledged is denied.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use countersign_tests::client::Protocol;
use countersign_tests::mesh::{Mesh, Mode, POLICIES};
use http::StatusCode;

/// What the revoker and the requesters share about one workload: even is in force, odd is revoked and acknowledged.
#[derive(Default)]
struct Standing {
    epoch: AtomicU64,
}

const WORKLOADS: usize = 3;
const LASTS: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_that_starts_after_an_acknowledged_revocation_is_allowed() {
    for mode in Mode::ALL {
        race(mode).await;
    }
}

async fn race(mode: Mode) {
    let mesh = Arc::new(Mesh::build(mode).workers(2).start().await);
    let standings: Arc<Vec<Standing>> = Arc::new((0..WORKLOADS).map(|_| Standing::default()).collect());
    let until = Instant::now() + LASTS;
    let mut tasks = Vec::new();
    for workload in 0..WORKLOADS {
        for _ in 0..2 {
            tasks.push(tokio::spawn(ask(Arc::clone(&mesh), Arc::clone(&standings), workload, until)));
        }
    }
    let reloads = tokio::spawn(reload(Arc::clone(&mesh), until));
    let revocations = revoke(&mesh, &standings, until).await;
    let mut counts = (0, 0);
    for task in tasks {
        let (allowed, denied) = task.await.unwrap();
        counts = (counts.0 + allowed, counts.1 + denied);
    }
    reloads.await.unwrap();
    println!("{mode:?}: {} allowed, {} denied, {revocations} revocations", counts.0, counts.1);
    assert!(
        revocations >= 5 && counts.0 > 100 && counts.1 > 20,
        "{mode:?}: the race was one: {counts:?}, {revocations}"
    );
}

async fn ask(mesh: Arc<Mesh>, standings: Arc<Vec<Standing>>, workload: usize, until: Instant) -> (u64, u64) {
    let svid = mesh.authority.issue(&path(workload));
    let mut connection = mesh.client(&svid).connect(Protocol::Http2).await.unwrap();
    let (mut allowed, mut denied) = (0, 0);
    while Instant::now() < until {
        let before = standings[workload].epoch.load(Ordering::SeqCst);
        let status = match connection.get("/raced").await {
            Ok(reply) => reply.status,
            // A revocation ends what is under way: the filter resets the stream.
            Err(_) if mesh.mode() == Mode::Filter => StatusCode::FORBIDDEN,
            Err(error) => panic!("{error}"),
        };
        let after = standings[workload].epoch.load(Ordering::SeqCst);
        match status {
            StatusCode::OK => {
                // Odd and unchanged: it started and ended while a revocation was acknowledged and not lifted.
                assert!(
                    before.is_multiple_of(2) || after != before,
                    "{:?}: allowed after the revocation of epoch {before}",
                    mesh.mode()
                );
                allowed += 1;
            }
            StatusCode::FORBIDDEN => denied += 1,
            other => panic!("{:?}: {other}", mesh.mode()),
        }
    }
    (allowed, denied)
}

async fn revoke(mesh: &Mesh, standings: &[Standing], until: Instant) -> u64 {
    let mut revocations = 0;
    for round in 0.. {
        let workload = round % WORKLOADS;
        let scope = format!("spiffe://demo.test{}", path(workload));
        mesh.revoke(&scope).await;
        standings[workload].epoch.fetch_add(1, Ordering::SeqCst);
        revocations += 1;
        tokio::time::sleep(Duration::from_millis(30)).await;
        // The requesters must stop to expect denials before the restore is on its way.
        standings[workload].epoch.fetch_add(1, Ordering::SeqCst);
        mesh.restore(&scope).await;
        if Instant::now() >= until {
            break;
        }
    }
    revocations
}

async fn reload(mesh: Arc<Mesh>, until: Instant) {
    for round in 0_u64.. {
        if Instant::now() >= until {
            return;
        }
        mesh.set_policies(&format!("{POLICIES}\n// round {round}\n{}", if round % 2 == 0 { UNRELATED } else { "" }));
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

fn path(workload: usize) -> String {
    format!("/ns/shop/sa/raced{workload}")
}

const UNRELATED: &str = r#"permit (principal == Workload::"spiffe://demo.test/nobody", action, resource);"#;
