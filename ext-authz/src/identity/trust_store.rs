//! The trust bundle of each trust domain with where it came from and how fresh it is; sources write, verification reads the sum. It fetches nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use authz_core::{identity::TrustDomain, time::Timestamp};
use tokio::sync::watch;

use super::bundle::{Bundle, Bundles};

/// Where a bundle comes from, the stronger first: what an operator configured by hand is not replaced by what an agent says.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A file of the configuration.
    File,
    /// A bundle endpoint (SPIFFE Federation), `https_web` or `https_spiffe`.
    Federation,
    /// The Workload API.
    WorkloadApi,
}

impl Origin {
    /// The name in metrics and in `countersign status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Federation => "federation",
            Self::WorkloadApi => "workload_api",
        }
    }
}

/// What one source last said about one trust domain.
#[derive(Clone, Debug)]
pub struct Held {
    /// The bundle last accepted; kept through failed fetches.
    pub bundle: Arc<Bundle>,
    /// When it was last confirmed by its source.
    pub fetched_at: Timestamp,
    /// When its source will be asked again, where that is known beforehand.
    pub next_refresh: Option<Timestamp>,
    /// Why the last attempt failed, if it did.
    pub trouble: Option<String>,
}

/// All bundles of all sources; cheap to clone, all clones see the same.
#[derive(Clone)]
pub struct TrustStore {
    held: Arc<Mutex<BTreeMap<(TrustDomain, Origin), Held>>>,
    bundles: Arc<watch::Sender<Bundles>>,
}

impl Default for TrustStore {
    fn default() -> Self {
        Self { held: Arc::default(), bundles: Arc::new(watch::Sender::new(Bundles::default())) }
    }
}

impl TrustStore {
    /// Takes what a source says about one trust domain.
    pub fn put(&self, trust_domain: &TrustDomain, origin: Origin, held: Held) {
        self.change(|all| drop(all.insert((trust_domain.clone(), origin), held)));
    }

    /// Takes all that a source has: what it no longer names is dropped.
    pub fn replace(&self, origin: Origin, now_held: BTreeMap<TrustDomain, Held>) {
        self.change(|all| {
            all.retain(|(_, other), _| *other != origin);
            all.extend(now_held.into_iter().map(|(trust_domain, held)| ((trust_domain, origin), held)));
        });
    }

    /// Notes that a source could not be read; what it said before stays.
    pub fn note_trouble(&self, trust_domain: &TrustDomain, origin: Origin, trouble: &str, next: Option<Timestamp>) {
        if let Some(held) = self.lock().get_mut(&(trust_domain.clone(), origin)) {
            held.trouble = Some(trouble.to_owned());
            held.next_refresh = next.or(held.next_refresh);
        }
    }

    /// The bundle in force of each trust domain: one each, never merged, that of the strongest origin.
    pub fn bundles(&self) -> Bundles {
        self.bundles.borrow().clone()
    }

    /// A receiver that wakes when a bundle in force becomes another one, not when it is only confirmed.
    pub fn subscribe(&self) -> watch::Receiver<Bundles> {
        self.bundles.subscribe()
    }

    /// What is in force, with its origin, for people and metrics.
    pub fn in_force(&self) -> Vec<(TrustDomain, Origin, Held)> {
        in_force(&self.lock()).map(|((name, origin), held)| (name.clone(), *origin, held.clone())).collect()
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<(TrustDomain, Origin), Held>)) {
        let mut all = self.lock();
        change(&mut all);
        let next = Bundles::new(in_force(&all).map(|((name, _), held)| (name.clone(), Arc::clone(&held.bundle))));
        // Under the lock, so that two changes can't overtake each other.
        self.bundles.send_if_modified(|current| {
            let is_new = *current != next;
            *current = next;
            is_new
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(TrustDomain, Origin), Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of each trust domain the entry of the strongest origin: keys are in that order.
fn in_force(all: &BTreeMap<(TrustDomain, Origin), Held>) -> impl Iterator<Item = (&(TrustDomain, Origin), &Held)> {
    let mut last: Option<&TrustDomain> = None;
    all.iter().filter(move |((name, _), _)| last.replace(name) != Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::test_pki::{Ca, now};

    fn held(name: &str) -> Held {
        let bundle = Arc::new(Ca::root(name).bundle());
        Held { bundle, fetched_at: now(), next_refresh: None, trouble: None }
    }

    fn td(name: &str) -> TrustDomain {
        TrustDomain::parse(name).unwrap()
    }

    #[test]
    fn a_trust_domain_has_one_bundle_that_of_the_strongest_origin() {
        let store = TrustStore::default();
        let (file, agent) = (held("file"), held("agent"));
        store.put(&td("a"), Origin::WorkloadApi, agent.clone());
        assert_eq!(store.bundles().get(&td("a")), Some(&agent.bundle));
        store.put(&td("a"), Origin::File, file.clone());
        assert_eq!(store.bundles().get(&td("a")), Some(&file.bundle));
        assert_eq!(store.in_force().len(), 1);
        assert_eq!(store.in_force()[0].1, Origin::File);
    }

    #[test]
    fn what_a_source_no_longer_names_is_dropped_and_others_stay() {
        let store = TrustStore::default();
        store.put(&td("own"), Origin::File, held("file"));
        store.replace(Origin::WorkloadApi, [(td("a"), held("a")), (td("b"), held("b"))].into());
        store.replace(Origin::WorkloadApi, [(td("b"), held("b2"))].into());
        let names: Vec<String> = store.in_force().iter().map(|(name, ..)| name.to_string()).collect();
        assert_eq!(names, ["b", "own"]);
    }

    #[test]
    fn trouble_is_noted_and_changes_no_bundle() {
        let store = TrustStore::default();
        store.put(&td("a"), Origin::Federation, held("a"));
        let changes = store.subscribe();
        store.note_trouble(&td("a"), Origin::Federation, "connection refused", None);
        assert!(!changes.has_changed().unwrap());
        assert_eq!(store.in_force()[0].2.trouble.as_deref(), Some("connection refused"));
        let again = store.in_force()[0].2.clone();
        store.put(&td("a"), Origin::Federation, Held { trouble: None, ..again });
        assert!(!changes.has_changed().unwrap(), "confirmed is not changed");
        store.put(&td("a"), Origin::Federation, held("other"));
        assert!(changes.has_changed().unwrap());
    }
}
