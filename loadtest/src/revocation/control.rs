//! Whoever revokes: a client of the control API. It must not decide when a revocation counts.

use std::path::Path;
use std::time::Duration;

use countersign::wire::control::control_client::ControlClient;
use countersign::wire::control::{AwaitRequest, Kind, ListRequest, SubmitRequest};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

/// One connection to one sidecar.
#[derive(Clone)]
pub struct Control {
    client: ControlClient<Channel>,
}

/// How far a signal is in force, in the sidecar's last word on it.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// Filters that have it in force.
    pub filters: usize,
    /// From its acceptance to the last of them.
    pub slowest: Duration,
}

impl Control {
    /// Connects to the sidecar that takes signals at `socket`.
    pub async fn connect(socket: &Path) -> Result<Self, ControlFailed> {
        let socket = socket.to_path_buf();
        let connector = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let channel = Endpoint::from_static("http://sidecar.bench").connect_with_connector(connector).await?;
        Ok(Self { client: ControlClient::new(channel).max_decoding_message_size(MAX_ANSWER) })
    }

    /// Revokes one scope; its position in the log.
    pub async fn revoke(&mut self, scope: &str) -> Result<u64, ControlFailed> {
        let request = SubmitRequest { kind: Kind::Revoke.into(), scope: scope.to_owned(), ..SubmitRequest::default() };
        let answer = self.client.submit(request).await?.into_inner();
        answer.signal.map(|signal| signal.seq).ok_or(ControlFailed::NoSignal)
    }

    /// Revokes all of them at once; the last position in the log.
    pub async fn revoke_at_once(&self, scopes: &[String]) -> Result<u64, ControlFailed> {
        let mut sent = JoinSet::new();
        for scope in scopes {
            let (mut control, scope) = (self.clone(), scope.clone());
            sent.spawn(async move { control.revoke(&scope).await });
        }
        sent.join_all().await.into_iter().try_fold(0, |last, seq| Ok(seq?.max(last)))
    }

    /// The first live signals, as many as one answer has.
    pub async fn list_live(&mut self) -> Result<usize, ControlFailed> {
        let request = ListRequest { live_only: true, ..ListRequest::default() };
        Ok(self.client.list(request).await?.into_inner().signals.len())
    }

    /// Waits for the sidecar's word that the signal at `seq` is in force in every filter that it knows.
    pub async fn enforced(&mut self, seq: u64) -> Result<Word, ControlFailed> {
        let mut states = self.client.r#await(AwaitRequest { seq, timeout_ms: 0 }).await?.into_inner();
        loop {
            let state = states.message().await?.ok_or(ControlFailed::NoWord(seq))?;
            if state.complete {
                let slowest = state.enforcing.iter().map(|filter| filter.took_us).max().unwrap_or(0);
                return Ok(Word { filters: state.enforcing.len(), slowest: Duration::from_micros(slowest) });
            }
        }
    }
}

/// Why the sidecar did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlFailed {
    /// It was accepted without a position.
    #[error("the sidecar answered a revocation without a signal")]
    NoSignal,
    /// The stream ended early.
    #[error("the sidecar stopped speaking of signal {0} before it was in force")]
    NoWord(u64),
    /// Refused.
    #[error("the sidecar refused: {0}")]
    Refused(#[from] tonic::Status),
    /// Not even connected.
    #[error("cannot connect to the sidecar's control socket: {0}")]
    Unreachable(#[from] tonic::transport::Error),
}

/// A thousand filters are a long list.
const MAX_ANSWER: usize = 16 << 20;
