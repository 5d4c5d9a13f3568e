//! The embedded log: one sidecar and one Envoy, both killed again and again.

use std::sync::Arc;

use countersign_tests::control::Control;
use countersign_tests::mesh::{Mesh, Mode};
use http::StatusCode;
use tokio::sync::watch;

use super::askers::{Asker, status};
use super::ledger::workload;
use super::{Ledger, count, random, senders};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_signal_of_ten_thousand_outlives_kills_of_sidecar_and_envoy() {
    let mut random = random();
    let mut mesh = Mesh::start(Mode::Filter).await;
    let ledger = Arc::new(Ledger::new(SIGNALS));
    let mut senders = senders::send(&ledger, &[mesh.control_socket()]);
    let proxy = watch::Sender::new(mesh.envoy.address());
    let asker = Asker::start(&ledger, &mesh.authority, 0, proxy.subscribe());
    let mut moments: Vec<u32> = (0..KILLS).map(|_| random.u32(1..SIGNALS * 9 / 10)).collect();
    moments.sort_unstable();
    for (kill, moment) in moments.into_iter().enumerate() {
        ledger.until(moment).await;
        if kill % 3 == 2 {
            mesh.envoy.restart().await;
            proxy.send_replace(mesh.envoy.address());
        } else {
            mesh.sidecar.restart().await;
        }
    }
    while let Some(sender) = senders.join_next().await {
        sender.unwrap();
    }
    mesh.sidecar.restart().await;
    let answers = asker.stop().await;
    println!("while things died: {answers:?}");
    assert!(answers.denied > 0, "{answers:?}");

    let log = Control::at(&mesh.control_socket()).log().await;
    let revoked = ledger.check(&log);
    assert_eq!(mesh.sidecar.metric("countersign_revocations", &[]).await, count(&revoked));
    mesh.until_leased().await;
    for _ in 0..ASKED {
        let path = workload(random.u32(0..ledger.count()));
        let expected = if revoked.contains(&path) { StatusCode::FORBIDDEN } else { StatusCode::OK };
        assert_eq!(status(mesh.envoy.address(), &mesh.authority, &path).await, expected, "{path}");
    }
    let never_sent = workload(SIGNALS + 1);
    assert_eq!(status(mesh.envoy.address(), &mesh.authority, &never_sent).await, StatusCode::OK);
}

const SIGNALS: u32 = 10_000;
const KILLS: usize = 12;
const ASKED: usize = 300;
