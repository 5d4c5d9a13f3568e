//! One endpoint over time: what it served last, how often it failed, when it is asked next. It keeps no time and sleeps nowhere.

use std::{path::Path, sync::Arc, time::Duration};

use authz_core::{
    identity::{SpiffeId, TrustDomain},
    time::Timestamp,
};
use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::{
    FederationSource, Profile,
    answer::{Accepted, judge},
    fetch::{FetchError, fetch},
    schedule::{interval, wait},
    tls,
};
use crate::identity::{Bundle, Bundles, Held, bundle_files};

/// An endpoint and what is known of it.
pub struct Endpoint {
    source: FederationSource,
    last: Option<Arc<Bundle>>,
    /// Kept apart from the last bundle: one without a sequence must not open the way for an old one.
    highest: Option<u64>,
    failures: u32,
    trouble: Option<String>,
}

/// What follows from one answer.
#[derive(Debug)]
pub struct Step {
    /// The bundle to hold, confirmed or new; `None` if the answer was not accepted and the last one stays.
    pub held: Option<Held>,
    /// Why the answer was not accepted.
    pub trouble: Option<String>,
    /// Whether trouble or its end is news since the last step.
    pub is_news: bool,
    /// What the publisher should look into.
    pub doubt: Option<String>,
    /// `accepted`, `failed` (nobody answered) or `refused` (what was answered).
    pub result: &'static str,
    /// How long to wait before the next question.
    pub wait: Duration,
    /// When that is.
    pub next: Timestamp,
}

impl Endpoint {
    /// An endpoint that has not been asked yet.
    pub fn new(source: FederationSource) -> Self {
        Self { source, last: None, highest: None, failures: 0, trouble: None }
    }

    /// Its configuration.
    pub fn source(&self) -> &FederationSource {
        &self.source
    }

    /// Asks it once; `in_force` may hold the bundle by which an `https_spiffe` server of a third trust domain is verified.
    ///
    /// # Errors
    /// That there is nothing to judge.
    pub async fn fetch(&self, in_force: &Bundles) -> Result<Bytes, FetchError> {
        let (profile, known) = (self.source.profile.clone(), self.known_bundle(in_force));
        let tls = spawn_blocking(move || match profile {
            Profile::Web { ca_file } => tls::web(ca_file.as_deref()),
            Profile::Spiffe { endpoint_id, bootstrap } => {
                let bundle = known.map_or_else(|| bootstrap_bundle(&endpoint_id, bootstrap.as_deref()), Ok)?;
                tls::spiffe(&endpoint_id, Bundles::new([(TrustDomain::of(&endpoint_id), bundle)]))
            }
        });
        let tls = tls.await.map_err(|error| FetchError::Trust(error.to_string()))??;
        fetch(&self.source.url, tls).await
    }

    /// SPIFFE Federation §5.2.2.3: an endpoint in the trust domain it serves is verified by what it served last, any
    /// other by the bundle in force of its own trust domain.
    fn known_bundle(&self, in_force: &Bundles) -> Option<Arc<Bundle>> {
        let Profile::Spiffe { endpoint_id, .. } = &self.source.profile else { return None };
        let trust_domain = TrustDomain::of(endpoint_id);
        if trust_domain == self.source.trust_domain { self.last.clone() } else { in_force.get(&trust_domain).cloned() }
    }

    /// Takes what came of a fetch that ended at `now`; `chance` is any number, another one each time.
    pub fn take(&mut self, answer: Result<Bytes, FetchError>, now: Timestamp, chance: u64) -> Step {
        let judged = match answer {
            Ok(body) => {
                judge(self.last.as_deref(), self.highest, &body).map_err(|error| ("refused", error.to_string()))
            }
            Err(error) if error.is_refusal() => Err(("refused", error.to_string())),
            Err(error) => Err(("failed", error.to_string())),
        };
        match judged {
            Ok(accepted) => self.accept(accepted, now, chance),
            // It may quote what was served, which may be long.
            Err((result, trouble)) => self.keep(result, trouble.chars().take(MAX_TROUBLE).collect(), now, chance),
        }
    }

    fn accept(&mut self, Accepted { bundle, doubt }: Accepted, now: Timestamp, chance: u64) -> Step {
        let bundle = Arc::new(bundle);
        self.highest = self.highest.max(bundle.sequence());
        self.last = Some(Arc::clone(&bundle));
        self.failures = 0;
        let is_news = self.trouble.take().is_some();
        let step = self.step("accepted", is_news, now, chance);
        let held = Held { bundle, fetched_at: now, next_refresh: Some(step.next), trouble: None };
        Step { held: Some(held), doubt, ..step }
    }

    fn keep(&mut self, result: &'static str, trouble: String, now: Timestamp, chance: u64) -> Step {
        self.failures = self.failures.saturating_add(1);
        let is_news = self.trouble.as_ref() != Some(&trouble);
        self.trouble = Some(trouble.clone());
        Step { trouble: Some(trouble), ..self.step(result, is_news, now, chance) }
    }

    fn step(&self, result: &'static str, is_news: bool, now: Timestamp, chance: u64) -> Step {
        let hint = self.last.as_ref().and_then(|bundle| bundle.refresh_hint());
        let wait = wait(interval(self.source.refresh, hint), self.failures, chance);
        let next = now.saturating_add_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        Step { held: None, trouble: None, is_news, doubt: None, result, wait, next }
    }
}

fn bootstrap_bundle(endpoint_id: &SpiffeId, bootstrap: Option<&Path>) -> Result<Arc<Bundle>, FetchError> {
    let Some(file) = bootstrap else {
        let trust_domain = endpoint_id.trust_domain();
        return Err(FetchError::Trust(format!(
            "there is no bundle of {trust_domain}, to which it belongs; add one to identity.trust_bundles, or set bootstrap"
        )));
    };
    let read = bundle_files::content(file).and_then(|bytes| Ok(Bundle::parse(&bytes)?));
    read.map(Arc::new).map_err(|error| FetchError::Trust(format!("bootstrap {}: {error}", file.display())))
}

const MAX_TROUBLE: usize = 500;

#[cfg(test)]
mod tests;
