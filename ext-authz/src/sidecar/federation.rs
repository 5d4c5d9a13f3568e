//! Asks the bundle endpoints of other trust domains, each at its own pace, and hands what they give to the trust store; it judges no bundle.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use tokio::{sync::watch, task::JoinSet};
use tracing::{debug, info, warn};

use super::{Parts, SidecarError, trust::note};
use crate::{
    clock,
    identity::{
        FederationSource, Origin,
        federation::{Endpoint, Step},
    },
};

/// Follows every endpoint until shutdown. Nobody waits for one: a trust domain whose bundle has not come is unknown.
pub(super) async fn keep(
    sources: Vec<FederationSource>,
    parts: Arc<Parts>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), SidecarError> {
    let mut endpoints = JoinSet::new();
    for source in sources {
        parts.trust.expect(&source.trust_domain, Origin::Federation);
        endpoints.spawn(follow(Endpoint::new(source), Arc::clone(&parts)));
    }
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => Ok(()),
        Some(ended) = endpoints.join_next() => {
            let why = ended.map_or_else(|error| error.to_string(), |()| "it ended".to_owned());
            Err(SidecarError::Part { part: "a bundle endpoint", why })
        }
    }
}

async fn follow(mut endpoint: Endpoint, parts: Arc<Parts>) {
    loop {
        let answer = endpoint.fetch(&parts.trust.bundles()).await;
        // Seeded anew each time.
        let step = endpoint.take(answer, clock::now(), RandomState::new().hash_one(()));
        act(endpoint.source(), &step, &parts);
        tokio::time::sleep(step.wait).await;
    }
}

fn act(source: &FederationSource, step: &Step, parts: &Parts) {
    let FederationSource { trust_domain, url, .. } = source;
    parts.metrics.bundle_fetched(Origin::Federation, step.result);
    if let Some(doubt) = &step.doubt {
        warn!(%trust_domain, %url, doubt, "bundle endpoint");
    }
    if let Some(held) = &step.held {
        parts.trust.put(trust_domain, Origin::Federation, held.clone());
        if step.is_news {
            info!(%trust_domain, %url, "bundle endpoint answers again");
        }
    }
    let Some(trouble) = &step.trouble else { return };
    parts.trust.note_trouble(trust_domain, Origin::Federation, trouble, Some(step.next));
    if step.is_news {
        warn!(%trust_domain, %url, trouble, "bundle not fetched, the last one stays in force");
        note(parts, "refused", format!("{trust_domain} from {url}: {trouble}"));
    } else {
        debug!(%trust_domain, %url, trouble, "bundle not fetched");
    }
}
