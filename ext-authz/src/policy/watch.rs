//! Policy sets as their files change; a bad set is reported and changes nothing.

use std::{io, sync::Arc};

use authz_core::plan::PolicyDigest;
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    compiled::CompiledPolicies,
    files::{PolicyError, PolicyFiles, load},
};
use crate::files;

/// What became of a change.
pub enum PolicyEvent {
    /// This set is to be put in force.
    Reloaded(Arc<CompiledPolicies>),
    /// The set is refused; the one in force stays.
    Refused(PolicyError),
}

/// Sends an event whenever the files say something new, until the receiver is dropped.
///
/// `current` is the set in force; without one the first event comes at once. After a refusal the next good set is sent
/// even if it is the one in force, so that the receiver knows that all is well again.
///
/// # Errors
/// A path can't be watched by name, see [`files::watch`].
pub async fn watch(
    files: PolicyFiles,
    current: Option<PolicyDigest>,
    events: mpsc::Sender<PolicyEvent>,
) -> io::Result<()> {
    let mut changes = files::watch(files.watched())?;
    let mut sent = current;
    loop {
        if let Some((event, digest)) = next(files.clone(), sent).await {
            sent = digest;
            if events.send(event).await.is_err() {
                return Ok(());
            }
        }
        tokio::select! {
            () = changes.changed() => {}
            () = events.closed() => return Ok(()),
        }
    }
}

/// The event for what the files say now, if it is news, and what has then been told.
async fn next(files: PolicyFiles, told: Option<PolicyDigest>) -> Option<(PolicyEvent, Option<PolicyDigest>)> {
    match spawn_blocking(move || load(&files)).await.ok()? {
        Ok(compiled) => {
            let digest = Some(compiled.digest());
            (told != digest).then(|| (PolicyEvent::Reloaded(Arc::new(compiled)), digest))
        }
        Err(error) => Some((PolicyEvent::Refused(error), None)),
    }
}
