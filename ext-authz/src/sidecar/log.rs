//! Keeps the signal log in shape: opened again after a failed write, and free of what matters no more.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tracing::{error, info};

use super::{Parts, SidecarError};
use crate::{
    clock,
    signals::{Compacted, LogError, Upkeep},
};

/// Looks after the log until shutdown.
pub(super) async fn keep(parts: Arc<Parts>, mut stopped: watch::Receiver<bool>) -> Result<(), SidecarError> {
    let told = stopped.clone();
    let care = async {
        let mut upkeep = Upkeep::default();
        loop {
            for _ in 0..LOOKS_PER_UPKEEP {
                tokio::time::sleep(LOOK_EVERY).await;
                parts.watching.plane.recover();
            }
            upkeep = compact(&parts, upkeep, told.clone()).await?;
        }
    };
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => Ok(()),
        failed = care => failed,
    }
}

async fn compact(
    parts: &Arc<Parts>,
    mut upkeep: Upkeep,
    stopped: watch::Receiver<bool>,
) -> Result<Upkeep, SidecarError> {
    let work = {
        let log = Arc::clone(parts.watching.plane.log());
        let Some(view) = parts.state.load().view().cloned() else { return Ok(upkeep) };
        move || {
            let done = upkeep.run(&log, (&view.revocations, &view.standings), clock::now(), || *stopped.borrow());
            (upkeep, done, log.stored())
        }
    };
    let (upkeep, done, stored) = tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| SidecarError::Part { part: "compaction of the signal log", why: cause.to_string() })?;
    if let Ok(stored) = stored {
        parts.metrics.log_entries.set(i64::try_from(stored).unwrap_or(i64::MAX));
    }
    tell(parts, done);
    Ok(upkeep)
}

fn tell(parts: &Parts, done: Result<Option<Compacted>, LogError>) {
    match done {
        Ok(Some(Compacted { removed, kept, forgotten })) => {
            parts.metrics.log_compacted.inc_by(removed);
            info!(removed, kept, ids_forgotten = forgotten, "signal log compacted");
        }
        // The state in memory is what it was; a restart will say the same and not start.
        Err(cause) if !parts.watching.plane.log().has_failed() => error!(%cause, "the signal log can't be compacted"),
        // Of a failed write, whoever writes next says so, and recovery is on its way.
        Ok(None) | Err(_) => {}
    }
}

/// How often a log that can't be written is tried again.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Every thirty seconds.
const LOOKS_PER_UPKEEP: u32 = 15;
