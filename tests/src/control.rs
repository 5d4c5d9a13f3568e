//! The control API as a program uses it, over the sidecar's socket; it makes signals and waits for nothing but the answer.

use std::path::Path;
use std::time::{Duration, Instant};

use countersign::wire::control::control_client::ControlClient;
use countersign::wire::control::{AwaitRequest, Kind, ListRequest, Signal, SubmitRequest, SubmitResponse};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use crate::eventually::PATIENCE;

/// A client of one sidecar; after a lost connection it makes a new one at the next call.
#[derive(Clone)]
pub struct Control {
    client: ControlClient<Channel>,
}

impl Control {
    /// Of the sidecar that listens at `socket`, be it there already or not.
    pub fn at(socket: &Path) -> Self {
        let socket = socket.to_path_buf();
        let connector = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let channel = Endpoint::from_static("http://sidecar.test").connect_with_connector_lazy(connector);
        Self { client: ControlClient::new(channel) }
    }

    /// Sends one signal.
    pub async fn submit(&mut self, request: SubmitRequest) -> Result<SubmitResponse, Status> {
        Ok(self.client.submit(request).await?.into_inner())
    }

    /// Sends one signal and gives its position.
    ///
    /// # Panics
    /// If it is not acknowledged.
    pub async fn must(&mut self, request: SubmitRequest) -> u64 {
        let answer = self.submit(request).await.expect("the sidecar acknowledges a signal");
        answer.signal.expect("an answer holds the signal").seq
    }

    /// Waits until `seq` is in force in this sidecar and in every filter of it that may answer from memory.
    ///
    /// # Panics
    /// If that is not so within the patience of a test.
    pub async fn enforced(&mut self, seq: u64) {
        // Not by `eventually`: its closures can't be sent between threads.
        let start = Instant::now();
        while !self.try_enforced(seq).await.unwrap_or(false) {
            assert!(start.elapsed() < PATIENCE, "signal {seq} is not in force within {PATIENCE:?}");
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    }

    /// Fails where the sidecar has not heard of `seq` yet.
    async fn try_enforced(&mut self, seq: u64) -> Result<bool, Status> {
        let mut news = self.client.r#await(AwaitRequest { seq, ..AwaitRequest::default() }).await?.into_inner();
        let mut complete = false;
        while let Some(enforcement) = news.message().await? {
            complete = enforcement.complete;
        }
        Ok(complete)
    }

    /// The whole log.
    ///
    /// # Panics
    /// If the sidecar does not give it.
    pub async fn log(&mut self) -> Vec<Signal> {
        let mut signals: Vec<Signal> = Vec::new();
        loop {
            let after_seq = signals.last().map_or(0, |signal| signal.seq);
            let page = self.client.list(ListRequest { after_seq, ..ListRequest::default() }).await;
            let page = page.expect("the sidecar lists its log").into_inner();
            if page.signals.is_empty() {
                return signals;
            }
            signals.extend(page.signals);
        }
    }
}

/// The signal `id` that revokes `scope`, which may be a bare SPIFFE ID.
pub fn revocation(id: &str, scope: &str) -> SubmitRequest {
    signal(id, scope, Kind::Revoke)
}

/// The signal `id` that restores `scope`.
pub fn restoration(id: &str, scope: &str) -> SubmitRequest {
    signal(id, scope, Kind::Restore)
}

/// The signal `id` that `scope` is as risky as this, from 0 to 100.
pub fn risk(id: &str, scope: &str, percent: u32) -> SubmitRequest {
    SubmitRequest { risk: Some(percent), ..signal(id, scope, Kind::Risk) }
}

fn signal(id: &str, scope: &str, kind: Kind) -> SubmitRequest {
    SubmitRequest {
        id: id.to_owned(),
        kind: kind.into(),
        scope: if scope.starts_with("spiffe://") { format!("spiffe-id:{scope}") } else { scope.to_owned() },
        who: "tester".to_owned(),
        why: "test".to_owned(),
        ..SubmitRequest::default()
    }
}

const BETWEEN_TRIES: Duration = Duration::from_millis(5);
