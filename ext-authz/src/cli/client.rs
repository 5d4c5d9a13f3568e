//! The way to a running sidecar: its control socket, or its control port with mTLS. It asks nothing by itself.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tower::service_fn;

use super::{CliError, remote::RemoteArgs};
use crate::wire::control::control_client::ControlClient;

/// Which sidecar.
#[derive(Clone, Debug, Args)]
pub(super) struct ControlArgs {
    /// The control socket of the sidecar
    #[arg(long, value_name = "PATH", env = "COUNTERSIGN_CONTROL", default_value_os_t = super::default_socket())]
    socket: PathBuf,
    #[command(flatten)]
    remote: RemoteArgs,
}

impl ControlArgs {
    #[cfg(test)]
    pub(super) fn at(socket: PathBuf) -> Self {
        Self { socket, remote: RemoteArgs::default() }
    }

    /// Connects, or says how to.
    pub(super) async fn connect(&self) -> Result<ControlClient<Channel>, CliError> {
        if let Some(remote) = self.remote.target()? {
            return talk(remote.connect().await?, remote.name()).await;
        }
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| unreachable(&self.socket, &error))?;
        talk(stream, self.socket.display().to_string()).await
    }
}

/// Speaks gRPC on a connection that was made already, so that its errors are plain; a second one is never asked for.
async fn talk<S>(stream: S, name: String) -> Result<ControlClient<Channel>, CliError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stream = Some(TokioIo::new(stream));
    let connector = service_fn(move |_| {
        let stream = stream.take().ok_or_else(|| io::Error::other("the sidecar closed the connection"));
        std::future::ready(stream)
    });
    let endpoint = Endpoint::from_static("http://countersign.invalid");
    let channel = endpoint.connect_with_connector(connector).await;
    channel.map(ControlClient::new).map_err(|error| CliError::Refused(format!("{name}: {}", with_sources(&error))))
}

/// What a refusal means to a person.
pub(super) fn refusal(status: &Status) -> CliError {
    match status.code() {
        Code::Unknown | Code::Internal | Code::Cancelled => CliError::Refused(format!(
            "the sidecar did not answer ({}): see whether it runs and what it logs",
            status.message()
        )),
        Code::Unimplemented => {
            CliError::Refused("that socket is not a control socket, see listen.control in the configuration".to_owned())
        }
        _ => CliError::Refused(status.message().to_owned()),
    }
}

/// An error and what lies behind it, in one line.
pub(super) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn unreachable(socket: &Path, error: &io::Error) -> CliError {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => "run as a user who may open it (listen.control.mode in the configuration)",
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "start a sidecar (countersign serve), or name its socket with --socket or COUNTERSIGN_CONTROL, its port with --address"
        }
        _ => "see whether it is the control socket of a sidecar",
    };
    CliError::Refused(format!("no sidecar answers on {}: {error}; {remedy}", socket.display()))
}
