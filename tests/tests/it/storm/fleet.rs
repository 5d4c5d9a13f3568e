//! The log of a fleet: three sidecars, three Envoys and the nats-server, all killed again and again.

use std::sync::Arc;

use countersign_tests::fleet::Fleet;
use http::StatusCode;
use tokio::sync::watch;

use super::askers::{Asker, status};
use super::ledger::workload;
use super::{Ledger, count, random, senders};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_signal_outlives_kills_of_sidecars_envoys_and_nats_server() {
    let mut random = random();
    let mut fleet = Fleet::start(|_, mesh| mesh).await;
    let ledger = Arc::new(Ledger::new(SIGNALS));
    let sockets: Vec<_> = fleet.hops.iter().map(|hop| hop.mesh.control_socket()).collect();
    let mut senders = senders::send(&ledger, &sockets);
    let proxies: Vec<_> = fleet.hops.iter().map(|hop| watch::Sender::new(hop.mesh.envoy.address())).collect();
    let start = |(sidecar, proxy): (usize, &watch::Sender<_>)| {
        Asker::start(&ledger, &fleet.authority, sidecar, proxy.subscribe())
    };
    let askers: Vec<_> = proxies.iter().enumerate().map(start).collect();
    let mut moments: Vec<u32> = (0..KILLS).map(|_| random.u32(1..SIGNALS * 9 / 10)).collect();
    moments.sort_unstable();
    for (kill, moment) in moments.into_iter().enumerate() {
        ledger.until(moment).await;
        let hop = random.usize(..fleet.hops.len());
        match kill % 4 {
            0 | 2 => fleet.hops[hop].mesh.sidecar.restart().await,
            1 => fleet.nats.restart().await,
            _ => {
                let envoy = &mut fleet.hops[hop].mesh.envoy;
                envoy.restart().await;
                proxies[hop].send_replace(envoy.address());
            }
        }
    }
    while let Some(sender) = senders.join_next().await {
        sender.unwrap();
    }
    for asker in askers {
        let answers = asker.stop().await;
        println!("while things died: {answers:?}");
        assert!(answers.denied > 0, "{answers:?}");
    }

    let last = ledger.last();
    fleet.enforced(last).await;
    let log = fleet.hops[0].control().log().await;
    let revoked = ledger.check(&log);
    for hop in &fleet.hops {
        assert!(hop.control().log().await == log, "all have the same log");
        assert_eq!(hop.mesh.sidecar.metric("countersign_revocations", &[]).await, count(&revoked));
        hop.mesh.until_leased().await;
        for _ in 0..ASKED {
            let path = workload(random.u32(0..ledger.count()));
            let expected = if revoked.contains(&path) { StatusCode::FORBIDDEN } else { StatusCode::OK };
            assert_eq!(status(hop.mesh.envoy.address(), &fleet.authority, &path).await, expected, "{path}");
        }
    }
}

const SIGNALS: u32 = 10_000;
const KILLS: usize = 12;
const ASKED: usize = 100;
