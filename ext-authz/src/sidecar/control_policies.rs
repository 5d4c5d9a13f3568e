//! Keeps the control policies in force as their files change; what they say, `policy` knows.

use std::sync::Arc;

use tokio::{sync::watch, task::spawn_blocking};
use tracing::{error, info, warn};

use super::{Parts, SidecarError};
use crate::{
    audit::{Change, Record},
    clock, files,
    policy::{
        PolicyError,
        control::{ControlFiles, ControlPolicies},
    },
};

/// Loads them whenever a file changes, until shutdown. They were loaded once when the sidecar began.
pub(super) async fn keep(
    control: ControlFiles,
    parts: Arc<Parts>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), SidecarError> {
    let mut changes = files::watch(control.watched())?;
    loop {
        // Loaded after the watch stands, so that no change since the beginning is missed.
        let files = control.clone();
        match spawn_blocking(move || files.load()).await {
            Ok(Ok(policies)) => accept(&parts, policies),
            Ok(Err(cause)) => refuse(&parts, &cause),
            Err(cause) => return Err(SidecarError::Part { part: "control policy", why: cause.to_string() }),
        }
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return Ok(()),
            () = changes.changed() => {}
        }
    }
}

fn accept(parts: &Parts, policies: ControlPolicies) {
    for warning in policies.warnings() {
        warn!(%warning, "control policy");
    }
    info!(policies = policies.len(), "control policies in force");
    let detail = format!("{} policies", policies.len());
    parts.guard.replace(policies);
    parts.overview.control_policy.accepted(clock::now());
    note(parts, "accepted", detail);
}

fn refuse(parts: &Parts, cause: &PolicyError) {
    error!(error = %cause, "control policies refused, the old ones stay in force");
    parts.overview.control_policy.refused(clock::now(), cause.to_string());
    note(parts, "refused", cause.to_string());
}

fn note(parts: &Parts, result: &'static str, detail: String) {
    parts.metrics.control_policy_reloads.with_label_values(&[result]).inc();
    parts.audit.record(Record::Change(Change { at: clock::now(), what: "control_policy", result, detail }));
}
