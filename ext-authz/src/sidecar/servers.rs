//! Binds the doors and serves them until shutdown; each gets only the parts it needs.

use std::{net::SocketAddr, sync::Arc};

use authz_core::identity::IdPattern;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::{service::Routes, transport::Server};
use tracing::info;

use super::{Admin, Parts, SidecarError, admin, health, named};
use crate::{
    config::{self, AdminListener, Config, ListenConfig, MtlsListener},
    grpc::{AuthorizationServer, control::ControlService, ext_authz::ExtAuthz, link::LinkService},
    socket::bind_unix,
    tls::{Door, Gatekeeper, Listener, Speaks},
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
    let mut doors = Doors { listen: &config.listen, parts, stopped, tasks };
    doors.mesh()?;
    doors.control()?;
    doors.admin()
}

/// What every door needs to be opened.
struct Doors<'a> {
    listen: &'a ListenConfig,
    parts: &'a Arc<Parts>,
    stopped: &'a watch::Receiver<bool>,
    tasks: &'a mut Tasks,
}

impl Doors<'_> {
    /// `ext_authz` and link.
    fn mesh(&mut self) -> Result<(), SidecarError> {
        let socket = &self.listen.ext_authz;
        let unix = bind_unix(&socket.path, socket.mode)?;
        info!(socket = %socket.path.display(), "ext_authz and link listen");
        let routes = self.mesh_routes();
        self.tasks.spawn(named("ext_authz", over_unix(routes.clone(), unix, self.stopped.clone())));
        match &self.listen.ext_authz_tcp {
            None => {}
            Some(config::TcpListener::Plaintext(address)) => {
                let listener = bind(*address)?;
                info!(address = %listener.local_addr()?, "ext_authz listens in plaintext on loopback");
                self.tasks.spawn(named("ext_authz tcp", over_tcp(routes, listener, self.stopped.clone())));
            }
            Some(config::TcpListener::Mtls(listener)) => {
                self.mtls(Listener::ExtAuthz, Speaks::Grpc, listener, routes.into_axum_router())?;
            }
        }
        Ok(())
    }

    fn mesh_routes(&mut self) -> Routes {
        let (reporter, health_service) = tonic_health::server::health_reporter();
        self.tasks.spawn(named("health", health::keep(reporter, Arc::clone(self.parts), self.stopped.clone())));
        let desk = Arc::clone(&self.parts.desk);
        let checks = AuthorizationServer::new(ExtAuthz::new(Arc::clone(&desk))).max_decoding_message_size(MAX_MESSAGE);
        let link = LinkService::new(desk, Arc::clone(&self.parts.watching), self.stopped.clone());
        let link = LinkServer::new(link).max_decoding_message_size(MAX_MESSAGE);
        Routes::new(checks).add_service(link).add_service(health_service).prepare()
    }

    fn control(&mut self) -> Result<(), SidecarError> {
        let socket = &self.listen.control;
        let unix = bind_unix(&socket.path, socket.mode)?;
        info!(socket = %socket.path.display(), "control listens");
        let watching = &self.parts.watching;
        let guard = Arc::clone(&self.parts.guard);
        let siblings = self.parts.members.clone();
        let service = ControlService::new(Arc::clone(&watching.plane), watching.filters.clone(), guard)
            .with_overview(Arc::clone(&self.parts.overview))
            .with_cache(self.parts.desk.checker.cache().clone());
        let service = match siblings {
            Some(members) => service.with_siblings(members),
            None => service,
        };
        let routes = Routes::new(ControlServer::new(service)).prepare();
        self.tasks.spawn(named("control", over_unix(routes.clone(), unix, self.stopped.clone())));
        match &self.listen.control_tcp {
            Some(listener) => self.mtls(Listener::Control, Speaks::Grpc, listener, routes.into_axum_router()),
            None => Ok(()),
        }
    }

    fn admin(&mut self) -> Result<(), SidecarError> {
        let door = Admin {
            metrics: Arc::clone(&self.parts.metrics),
            readiness: self.parts.readiness.clone(),
            state: Arc::clone(&self.parts.state),
            checker: Arc::clone(&self.parts.desk.checker),
        };
        let stop = until(self.stopped.clone());
        match &self.listen.admin {
            AdminListener::Tcp(config::TcpListener::Mtls(listener)) => {
                return self.mtls(Listener::Admin, Speaks::Http, listener, admin::router(door));
            }
            AdminListener::Tcp(config::TcpListener::Plaintext(address)) => {
                let listener = bind(*address)?;
                info!(address = %listener.local_addr()?, "admin listens");
                self.tasks.spawn(named("admin", async move { Ok(admin::serve(listener, door, stop).await?) }));
            }
            AdminListener::Unix(socket) => {
                let listener = bind_unix(&socket.path, socket.mode)?;
                info!(socket = %socket.path.display(), "admin listens");
                self.tasks.spawn(named("admin", async move { Ok(admin::serve(listener, door, stop).await?) }));
            }
        }
        Ok(())
    }

    fn mtls(
        &mut self,
        name: Listener,
        speaks: Speaks,
        MtlsListener { address, allow }: &MtlsListener,
        router: axum::Router,
    ) -> Result<(), SidecarError> {
        let Parts { verifier, state, own, metrics, .. } = &**self.parts;
        let listener = bind(*address)?;
        let allowed: Vec<String> = allow.iter().map(IdPattern::to_string).collect();
        info!(listener = name.as_str(), address = %listener.local_addr()?, allow = allowed.join(" "), "listens with mTLS");
        let gatekeeper = Gatekeeper::new(Arc::clone(verifier), Arc::clone(state), allow.clone());
        let least = self.listen.tls_min_version;
        let door = Door::new((name, speaks), least, gatekeeper, own.clone(), Arc::clone(metrics));
        let serving = door.serve(listener, router, self.stopped.clone());
        self.tasks.spawn(named(name.as_str(), async move {
            serving.await;
            Ok(())
        }));
        Ok(())
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, SidecarError> {
    let unbound = |cause: std::io::Error| std::io::Error::new(cause.kind(), format!("{address}: {cause}"));
    let listener = std::net::TcpListener::bind(address).map_err(unbound)?;
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener)?)
}

async fn over_unix(
    routes: Routes,
    listener: tokio::net::UnixListener,
    stopped: watch::Receiver<bool>,
) -> Result<(), SidecarError> {
    let door = Server::builder().add_routes(routes);
    let served = door.serve_with_incoming_shutdown(UnixListenerStream::new(listener), until(stopped)).await;
    served.map_err(|cause| SidecarError::Part { part: "a Unix socket", why: cause.to_string() })
}

async fn over_tcp(routes: Routes, listener: TcpListener, stopped: watch::Receiver<bool>) -> Result<(), SidecarError> {
    let door = Server::builder().add_routes(routes);
    let served = door.serve_with_incoming_shutdown(TcpListenerStream::new(listener), until(stopped)).await;
    served.map_err(|cause| SidecarError::Part { part: "a TCP socket", why: cause.to_string() })
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stopped.wait_for(|stop| *stop).await;
}
