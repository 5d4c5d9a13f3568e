//! Binds the doors and serves them until shutdown; each gets only the parts it needs.

use std::sync::Arc;

use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::transport::{Server, server::Router};
use tracing::info;

use super::{Admin, Parts, SidecarError, admin, health, named};
use crate::{
    config::{AdminListener, Config},
    grpc::{AuthorizationServer, control::ControlService, ext_authz::ExtAuthz, link::LinkService},
    socket::bind_unix,
    wire::{control::control_server::ControlServer, link::link_server::LinkServer},
};

type Tasks = JoinSet<Result<(), SidecarError>>;

/// Largest message a door takes: a request with 1 MiB of headers and its certificates fits.
const MAX_MESSAGE: usize = 8 << 20;

/// Binds every door and spawns its server.
pub(super) fn spawn(
    config: &Config,
    parts: &Arc<Parts>,
    stopped: &watch::Receiver<bool>,
    tasks: &mut Tasks,
) -> Result<(), SidecarError> {
    let listen = &config.listen;
    let mesh = bind_unix(&listen.ext_authz.path, listen.ext_authz.mode)?;
    info!(socket = %listen.ext_authz.path.display(), "ext_authz and link listen");
    let router = mesh_doors(parts, stopped, tasks);
    tasks.spawn(named("ext_authz", over_unix(router.clone(), mesh, stopped.clone())));
    if let Some(address) = listen.ext_authz_tcp {
        let listener = std_listener(address)?;
        info!(address = %listener.local_addr()?, "ext_authz listens in plaintext on loopback");
        tasks.spawn(named("ext_authz tcp", over_tcp(router, listener, stopped.clone())));
    }
    let control = bind_unix(&listen.control.path, listen.control.mode)?;
    info!(socket = %listen.control.path.display(), "control listens");
    let service = ControlService::new(Arc::clone(&parts.watching.plane), parts.watching.filters.clone())
        .with_overview(Arc::clone(&parts.overview));
    let router = Server::builder().add_service(ControlServer::new(service));
    tasks.spawn(named("control", over_unix(router, control, stopped.clone())));
    spawn_admin(&listen.admin, parts, stopped, tasks)
}

fn mesh_doors(parts: &Arc<Parts>, stopped: &watch::Receiver<bool>, tasks: &mut Tasks) -> Router {
    let (reporter, health_service) = tonic_health::server::health_reporter();
    tasks.spawn(named("health", health::keep(reporter, Arc::clone(parts), stopped.clone())));
    let checks =
        AuthorizationServer::new(ExtAuthz::new(Arc::clone(&parts.desk))).max_decoding_message_size(MAX_MESSAGE);
    let link = LinkService::new(Arc::clone(&parts.desk), Arc::clone(&parts.watching), stopped.clone());
    let link = LinkServer::new(link).max_decoding_message_size(MAX_MESSAGE);
    Server::builder().add_service(checks).add_service(link).add_service(health_service)
}

fn spawn_admin(
    listener: &AdminListener,
    parts: &Arc<Parts>,
    stopped: &watch::Receiver<bool>,
    tasks: &mut Tasks,
) -> Result<(), SidecarError> {
    let door = Admin {
        metrics: Arc::clone(&parts.metrics),
        readiness: parts.readiness.clone(),
        state: Arc::clone(&parts.state),
        checker: Arc::clone(&parts.desk.checker),
    };
    let stop = until(stopped.clone());
    match listener {
        AdminListener::Tcp(address) => {
            let listener = std_listener(*address)?;
            info!(address = %listener.local_addr()?, "admin listens");
            tasks.spawn(named("admin", async move { Ok(admin::serve(listener, door, stop).await?) }));
        }
        AdminListener::Unix(socket) => {
            let listener = bind_unix(&socket.path, socket.mode)?;
            info!(socket = %socket.path.display(), "admin listens");
            tasks.spawn(named("admin", async move { Ok(admin::serve(listener, door, stop).await?) }));
        }
    }
    Ok(())
}

fn std_listener(address: std::net::SocketAddr) -> Result<TcpListener, SidecarError> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener)?)
}

async fn over_unix(
    router: Router,
    listener: tokio::net::UnixListener,
    stopped: watch::Receiver<bool>,
) -> Result<(), SidecarError> {
    let served = router.serve_with_incoming_shutdown(UnixListenerStream::new(listener), until(stopped)).await;
    served.map_err(|cause| SidecarError::Part { part: "a Unix socket", why: cause.to_string() })
}

async fn over_tcp(router: Router, listener: TcpListener, stopped: watch::Receiver<bool>) -> Result<(), SidecarError> {
    let served = router.serve_with_incoming_shutdown(TcpListenerStream::new(listener), until(stopped)).await;
    served.map_err(|cause| SidecarError::Part { part: "a TCP socket", why: cause.to_string() })
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stopped.wait_for(|stop| *stop).await;
}
