//! Says when the sidecar enters and leaves a degraded state, to the log, to audit and to whoever subscribed; it decides nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tracing::{info, warn};

use super::{Parts, SidecarError};
use crate::{
    audit::{Change, Record},
    clock,
    degraded::{Condition, Trouble},
};

/// Time alone makes a view too old, so somebody has to look; requests look for themselves.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks until shutdown.
pub(super) async fn keep(parts: Arc<Parts>, mut stopped: watch::Receiver<bool>) -> Result<(), SidecarError> {
    loop {
        if let Some((before, now)) = parts.degraded.notice(Instant::now()) {
            tell(&parts, before, now);
        }
        let trouble = parts.watching.plane.trouble();
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = trouble => {}
        }
    }
}

fn tell(parts: &Parts, before: Trouble, now: Trouble) {
    let name = |trouble: Trouble| trouble.map_or("none", |(condition, _)| condition.as_str());
    let detail = if let Some((condition, conduct)) = now {
        warn!(condition = condition.as_str(), conduct = conduct.as_str(), "degraded: {}", meaning(condition));
        format!("{}; requests: {}", condition.as_str(), conduct.as_str())
    } else {
        info!(condition = name(before), "no longer degraded");
        format!("{} is over", name(before))
    };
    let result = if now.is_some() { "entered" } else { "left" };
    parts.audit.record(Record::Change(Change { at: clock::now(), what: "degraded", result, detail }));
}

fn meaning(condition: Condition) -> &'static str {
    match condition {
        Condition::LogLost => {
            "the log was not heard of for longer than degraded.max_view_age, what others revoked may not be known here"
        }
        Condition::StoreUnwritable => {
            "the file of the log takes no signals, nobody can be revoked here; free its disk or mend its permissions"
        }
    }
}
