//! The control API as a program uses it, over the sidecar's socket; it makes signals and waits for nothing but the answer.

use std::path::Path;

use countersign::wire::control::control_client::ControlClient;
use countersign::wire::control::{Kind, ListRequest, Signal, SubmitRequest, SubmitResponse};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

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

/// The signal `id` that revokes `scope`.
pub fn revocation(id: &str, scope: &str) -> SubmitRequest {
    signal(id, scope, Kind::Revoke)
}

/// The signal `id` that restores `scope`.
pub fn restoration(id: &str, scope: &str) -> SubmitRequest {
    signal(id, scope, Kind::Restore)
}

fn signal(id: &str, scope: &str, kind: Kind) -> SubmitRequest {
    SubmitRequest {
        id: id.to_owned(),
        kind: kind.into(),
        scope: scope.to_owned(),
        who: "tester".to_owned(),
        why: "test".to_owned(),
        ..SubmitRequest::default()
    }
}
