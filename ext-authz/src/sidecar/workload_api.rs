//! Follows an agent's streams and accounts for what they bring; what a message means, `identity::workload_api` knows.

use std::{sync::Arc, time::Duration};

use authz_core::time::Timestamp;
use tokio::{sync::watch, task::JoinSet};
use tonic::Streaming;
use tracing::{error, info, warn};

use super::{Parts, SidecarError, named, own, trust};
use crate::{
    audit::{Change, Record},
    clock,
    config::WorkloadApiConfig,
    identity::{
        Origin,
        workload_api::{
            AgentAddress, AgentBundles, AgentSvids, Failure, Feed, InvalidMessage, News, follow, open_bundles,
            open_jwt_bundles, open_svids,
        },
    },
    wire::workload::{JwtBundlesResponse, X509BundlesResponse, X509svidResponse},
};

/// Follows all streams until shutdown, each in a task of its own.
pub(super) fn spawn(
    config: &WorkloadApiConfig,
    parts: &Arc<Parts>,
    stopped: &watch::Receiver<bool>,
    tasks: &mut JoinSet<Result<(), SidecarError>>,
) {
    info!(agent = %config.agent, svid = %config.choice, "following the Workload API");
    let agent = &config.agent;
    let desk = |feed| Desk { feed, agent: agent.clone(), parts: Arc::clone(parts) };
    let svids = AgentSvids::new(config.choice.clone(), parts.own.clone());
    let bundles = AgentBundles::new(parts.trust.clone(), parts.lists.clone());
    tasks.spawn(named("own SVID", until(stopped.clone(), follow_svids(desk(Feed::X509Svids), svids))));
    tasks.spawn(named("agent's bundles", until(stopped.clone(), follow_bundles(desk(Feed::X509Bundles), bundles))));
    tasks.spawn(named("agent's JWT bundles", until(stopped.clone(), follow_jwt_bundles(desk(Feed::JwtBundles)))));
}

async fn until(mut stopped: watch::Receiver<bool>, work: impl Future<Output = ()>) -> Result<(), SidecarError> {
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => {}
        () = work => {}
    }
    Ok(())
}

async fn follow_svids(desk: Desk, svids: AgentSvids) {
    let hear = |news: News<X509svidResponse>| match news {
        News::Message(message) => match svids.take(&message) {
            Ok(taken) => {
                desk.accepted();
                desk.holds("svids", taken.offered);
                own::log_agent(&taken.change, &format!("one of {} that the agent gives", taken.offered));
            }
            Err(why) => {
                desk.refused(&why);
                own::refused_of_agent(&desk.parts, format!("Workload API: {why}"));
            }
        },
        News::Ended { failure, retry_in } => {
            let change = svids.end(&failure);
            if matches!(failure, Failure::Denied { .. }) {
                desk.holds("svids", 0);
            }
            desk.ended(&failure, retry_in, "our SVID stays in use until it expires");
            own::log_agent(&change, "");
        }
    };
    follow::<_, Streaming<_>, _>(|| open_svids(desk.agent.clone()), || fastrand::u8(..), hear).await;
}

async fn follow_bundles(desk: Desk, mut bundles: AgentBundles) {
    let hear = |news: News<X509BundlesResponse>| match news {
        News::Message(message) => match bundles.take(message, clock::now()) {
            Ok(taken) => {
                if taken.refused.is_empty() {
                    desk.accepted();
                } else {
                    let whys: Vec<String> = taken.refused.iter().map(ToString::to_string).collect();
                    desk.refused_in_part(&whys.join("; "));
                }
                desk.holds("x509_bundles", taken.trust_domains);
                desk.holds("crls", taken.lists);
            }
            Err(why) => {
                desk.refused(&why);
                trust::note(&desk.parts, "refused", format!("Workload API: {why}"));
            }
        },
        News::Ended { failure, retry_in } => {
            let dropped = bundles.end(&failure, later(retry_in));
            desk.ended(&failure, retry_in, "its bundles stay in force");
            if matches!(failure, Failure::Denied { .. }) {
                desk.holds("x509_bundles", 0);
                desk.holds("crls", 0);
            }
            if dropped > 0 {
                let detail = format!("{dropped} trust domains of the agent: {failure}");
                error!(dropped, "the agent's bundles are no longer trusted");
                let change = Change { at: clock::now(), what: "bundle", result: "withdrawn", detail };
                desk.parts.audit.record(Record::Change(change));
            }
        }
    };
    follow::<_, Streaming<_>, _>(|| open_bundles(desk.agent.clone()), || fastrand::u8(..), hear).await;
}

async fn follow_jwt_bundles(desk: Desk) {
    let bundles = desk.parts.jwt_bundles.clone();
    let hear = |news: News<JwtBundlesResponse>| {
        match news {
            News::Message(message) => match bundles.take(message) {
                Ok(()) => desk.accepted(),
                Err(why) => desk.refused(&why),
            },
            News::Ended { failure, retry_in } => {
                bundles.end(&failure);
                desk.ended(&failure, retry_in, "its JWT bundles are kept");
            }
        }
        desk.holds("jwt_bundles", bundles.len());
    };
    follow::<_, Streaming<_>, _>(|| open_jwt_bundles(desk.agent.clone()), || fastrand::u8(..), hear).await;
}

fn later(retry_in: Duration) -> Timestamp {
    clock::now().saturating_add_millis(u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX))
}

/// Accounts for one stream.
struct Desk {
    feed: Feed,
    agent: AgentAddress,
    parts: Arc<Parts>,
}

impl Desk {
    fn accepted(&self) {
        self.count("accepted");
        self.is_up(true);
    }

    fn refused(&self, why: &InvalidMessage) {
        self.count("refused");
        // The stream works, whatever it brings.
        self.is_up(true);
        let effect = "discarded, what came before stays";
        error!(stream = self.feed.as_str(), %why, effect, "a message of the Workload API was refused, report it to whoever runs the agent");
    }

    fn refused_in_part(&self, why: &str) {
        self.count("refused");
        self.is_up(true);
        error!(
            stream = self.feed.as_str(),
            why, "a part of a message of the Workload API was refused, the rest is in force"
        );
        trust::note(&self.parts, "refused", format!("Workload API: {why}"));
    }

    fn ended(&self, failure: &Failure, retry_in: Duration, effect: &str) {
        self.count(failure.as_str());
        self.is_up(false);
        let (agent, stream) = (&self.agent, self.feed.as_str());
        let retry_ms = u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX);
        match failure {
            Failure::Lost { .. } => warn!(%agent, stream, %failure, retry_ms, effect, "Workload API lost"),
            Failure::Denied { .. } => error!(%agent, stream, %failure, retry_ms, "Workload API denies"),
            Failure::Rejected { .. } => error!(%agent, stream, %failure, retry_ms, effect, "Workload API rejects"),
        }
    }

    fn holds(&self, kind: &str, count: usize) {
        self.parts.metrics.workload_api_held.with_label_values(&[kind]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn is_up(&self, up: bool) {
        self.parts.metrics.workload_api_up.with_label_values(&[self.feed.as_str()]).set(i64::from(up));
    }

    fn count(&self, result: &str) {
        self.parts.metrics.workload_api_updates.with_label_values(&[self.feed.as_str(), result]).inc();
        if self.feed == Feed::X509Bundles {
            let fetched = if matches!(result, "accepted" | "refused") { result } else { "failed" };
            self.parts.metrics.bundle_fetched(Origin::WorkloadApi, fetched);
        }
    }
}
