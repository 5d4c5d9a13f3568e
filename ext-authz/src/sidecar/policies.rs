//! Keeps the policy set in force as its files change; what a policy set is, `policy` knows.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use super::{Parts, SidecarError};
use crate::{
    audit::{Change, Record},
    clock,
    policy::{self, CompiledPolicies, PolicyError, PolicyEvent, PolicyFiles},
};

/// Loads the policies, and again whenever a file changes, until shutdown.
pub(super) async fn keep(
    files: PolicyFiles,
    parts: Arc<Parts>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), SidecarError> {
    let (events, mut arrived) = mpsc::channel(1);
    let watching = policy::watch(files, None, events);
    let take = async {
        while let Some(event) = arrived.recv().await {
            match event {
                PolicyEvent::Reloaded(policies) => accept(&parts, policies),
                PolicyEvent::Refused(cause) => refuse(&parts, &cause),
            }
        }
    };
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => Ok(()),
        ended = watching => Ok(ended?),
        () = take => Ok(()),
    }
}

fn accept(parts: &Parts, policies: Arc<CompiledPolicies>) {
    let detail = format!("{} policies, digest {}", policies.len(), policies.digest());
    for warning in policies.warnings() {
        warn!(%warning, "policy");
    }
    info!(policies = policies.len(), digest = %policies.digest(), "policies in force");
    parts.state.set_policy(policies);
    parts.overview.policy.accepted(clock::now());
    note(parts, "accepted", detail);
}

fn refuse(parts: &Parts, cause: &PolicyError) {
    let kept = parts.state.load().policy().is_some();
    let effect = if kept { "the old policies stay in force" } else { "no policies yet, every request is denied" };
    error!(error = %cause, effect, "policies refused");
    parts.overview.policy.refused(clock::now(), cause.to_string());
    note(parts, "refused", cause.to_string());
}

fn note(parts: &Parts, result: &'static str, detail: String) {
    parts.metrics.policy_reloads.with_label_values(&[result]).inc();
    parts.audit.record(Record::Change(Change { at: clock::now(), what: "policy", result, detail }));
}
