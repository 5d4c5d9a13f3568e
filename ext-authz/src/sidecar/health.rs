//! Keeps `grpc.health.v1` in step with readiness, for checks and for watches; it judges nothing.

use std::sync::Arc;

use tokio::sync::watch;
use tonic::server::NamedService;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{Parts, SidecarError};
use crate::{
    grpc::{AuthorizationServer, ext_authz::ExtAuthz, link::LinkService},
    wire::link::link_server::LinkServer,
};

/// Reports readiness for the whole server (`""`), `ext_authz` and link, until shutdown.
pub(super) async fn keep(
    reporter: HealthReporter,
    parts: Arc<Parts>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), SidecarError> {
    let mut told = None;
    loop {
        // Subscribed before the question is asked, so that no change falls between.
        let changed = parts.readiness.changed();
        let ready = parts.readiness.is_ready();
        if told.replace(ready) != Some(ready) {
            let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
            reporter.set_service_status("", status).await;
            reporter.set_service_status(AuthorizationServer::<ExtAuthz>::NAME, status).await;
            reporter.set_service_status(LinkServer::<LinkService>::NAME, status).await;
        }
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return Ok(()),
            () = changed => {}
        }
    }
}
