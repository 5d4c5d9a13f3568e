//! What this sidecar tells the others of its fleet about itself: who it is, and how far a position is in force here.

use std::{sync::Arc, time::Instant};

use authz_core::signal::Seq;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::{Parts, SidecarError};
use crate::{
    config::Config,
    degraded::Conduct,
    grpc::{control::own_enforcement, watch::Watching},
    signals::fleet::{Members, Presence},
};

/// The fleet, if this sidecar is in one.
pub(super) fn members(config: &Config, watching: &Arc<Watching>) -> Option<Arc<Members>> {
    let shared = Arc::clone(watching);
    let own = move |seq: Seq| own_enforcement(&shared.plane, &shared.filters, seq, Instant::now());
    watching.plane.members(presence(config), Arc::new(own)).map(Arc::new)
}

/// Speaks to them until shutdown.
pub(super) async fn keep(parts: Arc<Parts>, mut stopped: watch::Receiver<bool>) -> Result<(), SidecarError> {
    let run = async {
        if let Some(members) = &parts.members {
            members.run().await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => {}
        () = run => {}
    }
    Ok(())
}

/// With a lost log a sidecar denies once its bound is over, if it is to: then its filters' leases are over too.
fn presence(config: &Config) -> Presence {
    let bound = config.degraded.max_view_age;
    let bounded = config.degraded.log_lost == Conduct::Deny;
    Presence {
        instance: instance(config),
        run: uuid::Uuid::now_v7().to_string(),
        service: config.service.name.clone(),
        bound_ms: bounded.then(|| u64::try_from(bound.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// The log is held by one process at a time: this host and its path name a sidecar over its restarts.
fn instance(config: &Config) -> String {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    let path = std::path::absolute(&config.signals.log).unwrap_or_else(|_| config.signals.log.clone());
    let mut hash = Sha256::new();
    for part in [&read("/etc/machine-id"), &read("/proc/sys/kernel/hostname"), &*path.to_string_lossy()] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
