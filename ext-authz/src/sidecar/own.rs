//! Keeps our own SVID in force as its files change, and tells of every change whatever source it has; what an SVID is, identity knows.

use std::{sync::Arc, time::Duration};

use authz_core::time::Timestamp;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::{Parts, SidecarError};
use crate::{
    audit::{Change, Record},
    clock,
    identity::{OwnSvid, SvidFiles, SvidSource, workload_api::SvidChange},
};

/// How long to wait before reading files again that were refused: a change of permissions alone wakes nobody.
const RETRY: Duration = Duration::from_secs(1);

/// Tells of each SVID that any source puts in force, and of its end, until shutdown.
pub(super) async fn keep(parts: Arc<Parts>, mut stopped: watch::Receiver<bool>) -> Result<(), SidecarError> {
    let mut news = parts.own.subscribe();
    if parts.own.current().is_some() {
        news.mark_changed();
    }
    loop {
        let ends = parts.own.current().map(|svid| svid.not_after());
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return Ok(()),
            changed = news.changed() => match changed {
                Ok(()) => tell(&parts, news.borrow_and_update().as_deref()),
                Err(_) => return Ok(()),
            },
            () = expiry(ends) => complain_of_expiry(&parts),
        }
    }
}

/// Reads the SVID from its files, and again whenever they change, until shutdown.
pub(super) async fn keep_files(
    source: Option<SvidSource>,
    parts: Arc<Parts>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), SidecarError> {
    let follow = async {
        match source {
            Some(source) => follow_files(SvidFiles::watch(source)?, &parts).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => Ok(()),
        ended = follow => ended,
    }
}

async fn follow_files(mut files: SvidFiles, parts: &Parts) -> Result<(), SidecarError> {
    let mut last = String::new();
    loop {
        let refused = match files.read().await {
            Ok(svid) => take(parts, svid, clock::now()).err(),
            Err(refused) => Some(refused.to_string()),
        };
        let Some(refused) = refused else {
            last.clear();
            files.changed().await;
            continue;
        };
        if refused != last {
            complain(parts, &refused);
            last = refused;
        }
        tokio::select! {
            () = files.changed() => {}
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

/// An SVID that nobody would accept does not replace one that everybody does.
fn take(parts: &Parts, svid: OwnSvid, now: Timestamp) -> Result<(), String> {
    let current = parts.own.current();
    if current.as_ref().is_some_and(|current| current.certified_key().cert == svid.certified_key().cert) {
        return Ok(());
    }
    if current.is_some_and(|current| current.holds_at(now)) && !svid.holds_at(now) {
        return Err(format!("own SVID {} is not valid now; renew it", svid.id()));
    }
    parts.own.set(Some(Arc::new(svid)));
    Ok(())
}

fn tell(parts: &Parts, svid: Option<&OwnSvid>) {
    parts.metrics.own_svid_expires.set(svid.map_or(0, |svid| seconds(svid.not_after())));
    match svid {
        Some(svid) => note(parts, "accepted", format!("{}, certificate {}", svid.id(), svid.digest())),
        None => note(parts, "withdrawn", "its source gives us none any more".to_owned()),
    }
}

fn complain(parts: &Parts, refused: &str) {
    let effect = match parts.own.current() {
        Some(_) => "the old one stays in force",
        None => "listeners with TLS answer nobody until there is one",
    };
    warn!(error = refused, effect, "own SVID refused");
    note(parts, "refused", refused.to_owned());
}

/// Logs what the Workload API did; that the SVID is another one, whoever keeps it tells.
pub(super) fn log_agent(change: &SvidChange, offered: &str) {
    match change {
        SvidChange::Same => {}
        SvidChange::New { id, not_after } => info!(%id, expires = seconds(*not_after), offered, "own SVID in use"),
        SvidChange::Gone { id, why } => {
            error!(%id, why, "own SVID is no longer used, new connections of ours have none");
        }
    }
}

/// Accounts for an SVID of the Workload API that was not taken.
pub(super) fn refused_of_agent(parts: &Parts, why: String) {
    note(parts, "refused", why);
}

fn complain_of_expiry(parts: &Parts) {
    if let Some(svid) = parts.own.current().filter(|svid| svid.not_after() < clock::now()) {
        error!(
            id = %svid.id(),
            "own SVID has expired, listeners with TLS answer nobody new; renew the files of identity.svid or see the Workload API"
        );
    }
}

/// Ends once, soon after `ends`; never if that has been.
async fn expiry(ends: Option<Timestamp>) {
    let left = ends.map_or(0, |ends| ends.as_millis().saturating_sub(clock::now().as_millis()));
    if left == 0 {
        std::future::pending::<()>().await;
    }
    // One more, so that it is over when we look.
    tokio::time::sleep(Duration::from_millis(left.saturating_add(1)).min(LONGEST)).await;
}

fn note(parts: &Parts, result: &'static str, detail: String) {
    info!(result, detail, "own SVID");
    parts.metrics.svid_reloads.with_label_values(&[result]).inc();
    parts.audit.record(Record::Change(Change { at: clock::now(), what: "svid", result, detail }));
}

fn seconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis() / 1000).unwrap_or(i64::MAX)
}

/// No timer sleeps longer than it can count; looking once a day does no harm.
const LONGEST: Duration = Duration::from_hours(24);
