//! Keeps trust bundles in force as their files change; what a bundle is, identity knows.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tracing::{error, info};

use super::{Parts, SidecarError};
use crate::{
    audit::{Change, Record},
    clock,
    identity::{BundleFiles, BundleSource, Bundles, InvalidBundleFiles},
};

/// How long to wait before reading files again that were refused at the start.
const RETRY: Duration = Duration::from_secs(1);

/// Loads the bundles, and again whenever a file changes, until shutdown.
pub(super) async fn keep(
    sources: Vec<BundleSource>,
    parts: Arc<Parts>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), SidecarError> {
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => {}
        () = follow(sources, &parts) => {}
    }
    Ok(())
}

async fn follow(sources: Vec<BundleSource>, parts: &Parts) {
    let mut files = first(sources, parts).await;
    trust(parts, files.bundles());
    note(parts, "accepted", format!("{} trust domains", files.bundles().iter().count()));
    loop {
        let reload = files.changed().await;
        for refused in &reload.refused {
            note(parts, "refused", refused.to_string());
        }
        if let Some(bundles) = reload.bundles {
            trust(parts, &bundles);
            note(parts, "accepted", format!("{} trust domains", bundles.iter().count()));
        }
    }
}

/// The verifier first: filters that hear of new bundles must find them in force.
fn trust(parts: &Parts, bundles: &Bundles) {
    parts.verifier.replace(bundles.clone());
    parts.state.set_trusted(bundles.digest());
}

/// Until the first set is good there is nothing to trust: not ready, and tried again.
async fn first(sources: Vec<BundleSource>, parts: &Parts) -> BundleFiles {
    let mut last = String::new();
    loop {
        match BundleFiles::load(sources.clone()) {
            Ok(files) => return files,
            Err(refused) => complain(parts, &refused, &mut last),
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn complain(parts: &Parts, refused: &InvalidBundleFiles, last: &mut String) {
    let text = refused.to_string();
    if text != *last {
        error!(error = text, "no trust bundles yet, every request is denied");
        note(parts, "refused", text.clone());
        *last = text;
    }
}

fn note(parts: &Parts, result: &'static str, detail: String) {
    info!(result, detail, "trust bundles");
    parts.metrics.bundle_reloads.with_label_values(&[result]).inc();
    parts.audit.record(Record::Change(Change { at: clock::now(), what: "bundle", result, detail }));
}
