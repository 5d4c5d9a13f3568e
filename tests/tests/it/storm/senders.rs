//! Sends each signal until it is acknowledged, again under the same id after every failure, as programs are told to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_tests::control::Control;
use tokio::task::JoinSet;
use tonic::Code;

use super::Ledger;
use super::ledger::{Acknowledged, request};

/// Sends all of `ledger` to these sidecars, each sender to another one after a failure.
pub(super) fn send(ledger: &Arc<Ledger>, sockets: &[PathBuf]) -> JoinSet<()> {
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let mut controls: Vec<_> = sockets.iter().map(|socket| Control::at(socket)).enumerate().collect();
        controls.rotate_left(sender % sockets.len());
        senders.spawn(send_some(Arc::clone(ledger), controls));
    }
    senders
}

async fn send_some(ledger: Arc<Ledger>, mut controls: Vec<(usize, Control)>) {
    while let Some(number) = ledger.take() {
        if number % DOUBLED == 0 {
            // Two senders of one signal at the same time: they must hear of one and the same position.
            let mut others = controls.clone();
            others.rotate_left(1);
            let (one, other) = tokio::join!(acknowledged(&mut controls, number), acknowledged(&mut others, number));
            ledger.acknowledge(number, one);
            ledger.acknowledge(number, other);
        } else {
            let answer = acknowledged(&mut controls, number).await;
            ledger.acknowledge(number, answer);
        }
    }
}

async fn acknowledged(controls: &mut [(usize, Control)], number: u32) -> Acknowledged {
    let start = Instant::now();
    loop {
        let (sidecar, control) = &mut controls[0];
        let status = match control.submit(request(number)).await {
            Ok(answer) => {
                return Acknowledged { seq: answer.signal.expect("an answer holds the signal").seq, by: *sidecar };
            }
            Err(status) => status,
        };
        // What a client may see of a server that dies, is away, or does not reach the others.
        let lost = matches!(status.code(), Code::Cancelled | Code::Internal | Code::Unavailable | Code::Unknown);
        assert!(lost && start.elapsed() < PATIENCE, "{number}: {status:?}");
        controls.rotate_left(1);
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
}

const SENDERS: usize = 48;
/// Every so many are sent twice at once.
const DOUBLED: u32 = 50;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_mins(1);
