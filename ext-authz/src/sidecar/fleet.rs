//! The log's part in a fleet at the start: what it holds enters the stream, and what the stream holds is in force before anything is decided.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::{info, warn};

use super::{Parts, SidecarError};
use crate::{
    config::Config,
    signals::{FleetState, Log, fleet},
};

/// The log, fit to be the replica of the configured stream, or to be of this sidecar alone.
pub(super) async fn joined(log: Log, config: &Config) -> Result<Log, SidecarError> {
    match &config.signals.nats {
        Some(nats) => fleet::join(&log, nats).await?,
        None if log.stream()?.is_some() => {
            warn!(
                head = log.head().0,
                "signals.log was the replica of a fleet's stream and is now of this sidecar alone: it gets no signals of others"
            );
            log.unbind()?;
        }
        None => {}
    }
    Ok(log)
}

/// Lets decisions begin once all that was revoked elsewhere is in force here, or once it is clear that it can't be had now.
pub(super) async fn catch_up(parts: Arc<Parts>, mut stopped: watch::Receiver<bool>) -> Result<(), SidecarError> {
    let settle = async {
        if let Some(mut fleet) = parts.watching.plane.fleet()
            && let Ok(state) = fleet.wait_for(FleetState::is_settled).await
        {
            let FleetState { caught_up, end, .. } = *state;
            drop(state);
            parts.state.set_replayed();
            if caught_up {
                info!(end = end.0, "caught up with the stream of signals");
            } else {
                warn!("going on with what was known of the stream of signals before the start");
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => {}
        () = settle => {}
    }
    Ok(())
}
