//! Keeps trust bundles in force as their sources change; what a bundle is, identity knows.

use std::{sync::Arc, time::Duration};

use authz_core::identity::TrustDomain;
use tokio::sync::watch;
use tracing::{error, info};

use super::{Parts, SidecarError};
use crate::{
    audit::{Change, Record},
    clock,
    identity::{Bundle, BundleFiles, BundleSource, Bundles, Held, InvalidBundleFile, InvalidBundleFiles, Origin},
};

/// How long to wait before reading files again that were refused at the start.
const RETRY: Duration = Duration::from_secs(1);

/// Puts in force whatever the trust store holds, at once and after each change, until shutdown.
pub(super) async fn keep(parts: Arc<Parts>, mut stopped: watch::Receiver<bool>) -> Result<(), SidecarError> {
    let mut changes = parts.trust.subscribe();
    // What came before we looked counts; nothing at all is not yet an answer, though a domain without authorities is one.
    if !parts.trust.in_force().is_empty() {
        changes.mark_changed();
    }
    let follow = async {
        while changes.changed().await.is_ok() {
            let bundles = changes.borrow_and_update().clone();
            trust(&parts, &bundles);
            note(&parts, "accepted", format!("{} trust domains", bundles.iter().count()));
        }
    };
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => {}
        () = follow => {}
    }
    Ok(())
}

/// Loads the bundles of files, and again whenever a file changes, until shutdown.
pub(super) async fn keep_files(
    sources: Vec<BundleSource>,
    parts: Arc<Parts>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), SidecarError> {
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => {}
        () = follow_files(sources, &parts) => {}
    }
    Ok(())
}

async fn follow_files(sources: Vec<BundleSource>, parts: &Parts) {
    for source in &sources {
        parts.trust.expect(&source.trust_domain, Origin::File);
    }
    let mut files = first(sources, parts).await;
    hold(parts, files.bundles());
    loop {
        let reload = files.changed().await;
        // Held first, also where nothing is new: what was in trouble and is no longer must not stay so.
        hold(parts, files.bundles());
        refuse(parts, &reload.refused);
    }
}

fn refuse(parts: &Parts, files: &[InvalidBundleFile]) {
    for file in files {
        note(parts, "refused", file.to_string());
        parts.metrics.bundle_fetched(Origin::File, "refused");
        parts.trust.note_trouble(&file.trust_domain, Origin::File, &file.to_string(), None);
    }
}

fn hold(parts: &Parts, bundles: &Bundles) {
    let now = clock::now();
    let held = |(name, bundle): (&TrustDomain, &Bundle)| {
        let bundle = Arc::new(bundle.clone());
        (name.clone(), Held { bundle, fetched_at: now, next_refresh: None, trouble: None })
    };
    parts.metrics.bundle_fetched(Origin::File, "accepted");
    parts.trust.replace(Origin::File, bundles.iter().map(held).collect());
}

/// The verifier first: filters that hear of new bundles must find them in force. Bundles of others alone make nobody ready.
fn trust(parts: &Parts, bundles: &Bundles) {
    parts.verifier.replace(bundles.clone());
    if parts.trust.has_own() || parts.state.load().trust().is_some() {
        parts.state.set_trusted(parts.verifier.digest());
    }
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
        for file in &refused.0 {
            parts.trust.note_trouble(&file.trust_domain, Origin::File, &file.to_string(), None);
        }
        parts.metrics.bundle_fetched(Origin::File, "refused");
        note(parts, "refused", text.clone());
        *last = text;
    }
}

pub(super) fn note(parts: &Parts, result: &'static str, detail: String) {
    info!(result, detail, "trust bundles");
    parts.metrics.bundle_reloads.with_label_values(&[result]).inc();
    parts.audit.record(Record::Change(Change { at: clock::now(), what: "bundle", result, detail }));
}
