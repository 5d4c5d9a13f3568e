//! The control API from outside: who may use it for what, batches, refusals, dry runs, and the proof that something is in force.

mod batch;
mod dry_run;
mod proof;
mod rights;

use std::path::Path;

use countersign::wire::control::control_client::ControlClient;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

/// A client at the control socket of the sidecar in `directory`.
async fn at_socket(directory: &Path) -> ControlClient<Channel> {
    let socket = directory.join("control.sock");
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    ControlClient::new(Endpoint::from_static("http://sidecar.invalid").connect_with_connector(connector).await.unwrap())
}
