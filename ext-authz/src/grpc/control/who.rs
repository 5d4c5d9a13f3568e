//! Who is on the other end of a control connection, by what proves it: its certificate, or the kernel. It judges nobody.

use std::sync::Arc;

use tonic::{Request, Status, transport::server::UdsConnectInfo};

use crate::{policy::control::Principal, tls::Peer};

/// What the connection proves about its other end.
///
/// # Errors
/// Nothing: then nobody knows whom to ask the policies about.
pub(super) fn principal<T>(request: &Request<T>) -> Result<Principal, Status> {
    if let Some(peer) = request.extensions().get::<Arc<Peer>>() {
        return Ok(Principal::Workload(peer.id()));
    }
    let credentials = request.extensions().get::<UdsConnectInfo>().and_then(|info| info.peer_cred);
    match credentials {
        Some(credentials) => Ok(Principal::LocalUser { uid: credentials.uid(), gid: credentials.gid() }),
        None => Err(Status::unauthenticated("the system does not say who is on the other end of this socket")),
    }
}
