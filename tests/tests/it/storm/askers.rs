//! Requests of workloads whose revocation was acknowledged, all the while: whatever dies, none is allowed.

use std::net::SocketAddr;
use std::sync::Arc;

use countersign_tests::client::{Client, Protocol};
use countersign_tests::pki::Authority;
use http::StatusCode;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Ledger;
use super::ledger::workload;

/// Asks until it is told where to stop.
pub(super) struct Asker {
    stop: watch::Sender<bool>,
    task: JoinHandle<Answers>,
}

/// How requests of the revoked ended.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// 403.
    pub(super) denied: u32,
    /// Another refusal, or none of Envoy and sidecar were there to answer.
    pub(super) failed: u32,
}

impl Asker {
    /// Asks the Envoy of `sidecar`, whose address is in `proxy`, about what that sidecar has acknowledged.
    pub(super) fn start(
        ledger: &Arc<Ledger>,
        authority: &Authority,
        sidecar: usize,
        proxy: watch::Receiver<SocketAddr>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (ledger, authority) = (Arc::clone(ledger), authority.clone());
        let task = tokio::spawn(async move {
            let mut answers = Answers::default();
            while !*stopped.borrow() {
                ledger.until(1).await;
                let revoked = ledger.revoked_for_good(sidecar);
                let Some(&number) = fastrand::choice(&revoked) else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let client = Client::new(*proxy.borrow(), &authority).identity(&authority.issue(&workload(number)));
                match client.get(Protocol::Http1, "/asked").await.map(|reply| reply.status) {
                    Ok(StatusCode::OK) => panic!("{number} was allowed after its revocation was acknowledged"),
                    Ok(StatusCode::FORBIDDEN) => answers.denied += 1,
                    _ => answers.failed += 1,
                }
            }
            answers
        });
        Self { stop, task }
    }

    /// Stops, and says what it saw.
    pub(super) async fn stop(self) -> Answers {
        self.stop.send_replace(true);
        self.task.await.unwrap()
    }
}

/// What Envoy at `proxy` says to the workload.
pub(super) async fn status(proxy: SocketAddr, authority: &Authority, path: &str) -> StatusCode {
    let client = Client::new(proxy, authority).identity(&authority.issue(path));
    client.get(Protocol::Http1, "/asked").await.unwrap().status
}
