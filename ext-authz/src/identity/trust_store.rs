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
    /// Every origin.
    pub const ALL: &[Self] = &[Self::File, Self::Federation, Self::WorkloadApi];

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

/// A trust domain whose source has not given a bundle yet: its workloads are unknown until it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Whose.
    pub trust_domain: TrustDomain,
    /// Who is asked for it.
    pub origin: Origin,
    /// Why the last attempt failed, if there was one.
    pub trouble: Option<String>,
    /// When the source is asked again, where that is known.
    pub next_refresh: Option<Timestamp>,
}

/// All bundles of all sources; cheap to clone, all clones see the same.
#[derive(Clone)]
pub struct TrustStore {
    sources: Arc<Mutex<Sources>>,
    bundles: Arc<watch::Sender<Bundles>>,
}

type Key = (TrustDomain, Origin);

#[derive(Default)]
struct Sources {
    held: BTreeMap<Key, Held>,
    // INVARIANT: no key of `held` is in here.
    missing: BTreeMap<Key, Missing>,
}

impl Default for TrustStore {
    fn default() -> Self {
        Self { sources: Arc::default(), bundles: Arc::new(watch::Sender::new(Bundles::default())) }
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
        let (mut sources, key) = (self.lock(), (trust_domain.clone(), origin));
        if let Some(held) = sources.held.get_mut(&key) {
            held.trouble = Some(trouble.to_owned());
            held.next_refresh = next.or(held.next_refresh);
        } else if let Some(missing) = sources.missing.get_mut(&key) {
            missing.trouble = Some(trouble.to_owned());
            missing.next_refresh = next.or(missing.next_refresh);
        }
    }

    /// Notes that a source should give a bundle of this trust domain, so that its absence can be told.
    pub fn expect(&self, trust_domain: &TrustDomain, origin: Origin) {
        let (mut sources, key) = (self.lock(), (trust_domain.clone(), origin));
        if !sources.held.contains_key(&key) {
            let trust_domain = trust_domain.clone();
            sources.missing.insert(key, Missing { trust_domain, origin, trouble: None, next_refresh: None });
        }
    }

    /// What was expected and has not come.
    pub fn missing(&self) -> Vec<Missing> {
        self.lock().missing.values().cloned().collect()
    }

    /// Whether this sidecar has what it was set up with: a bundle of a file or of the Workload API. Endpoints of others
    /// don't count; if they did, one that is down could keep us from starting.
    pub fn has_own(&self) -> bool {
        has_own(&self.lock().held)
    }

    /// The bundle in force of each trust domain: one each, never merged, that of the strongest origin.
    pub fn bundles(&self) -> Bundles {
        self.bundles.borrow().clone()
    }

    /// A receiver that wakes when a bundle in force becomes another one, not when it is only confirmed, and when
    /// [`TrustStore::has_own`] changes.
    pub fn subscribe(&self) -> watch::Receiver<Bundles> {
        self.bundles.subscribe()
    }

    /// What is in force, with its origin, for people and metrics.
    pub fn in_force(&self) -> Vec<(TrustDomain, Origin, Held)> {
        in_force(&self.lock().held).map(|((name, origin), held)| (name.clone(), *origin, held.clone())).collect()
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Key, Held>)) {
        let mut sources = self.lock();
        let Sources { held, missing } = &mut *sources;
        let had_own = has_own(held);
        change(held);
        missing.retain(|key, _| !held.contains_key(key));
        let next = Bundles::new(in_force(held).map(|((name, _), held)| (name.clone(), Arc::clone(&held.bundle))));
        let owns_change = had_own != has_own(held);
        // Under the lock, so that two changes can't overtake each other.
        self.bundles.send_if_modified(|current| {
            let is_new = *current != next;
            *current = next;
            is_new || owns_change
        });
    }

    fn lock(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_own(held: &BTreeMap<Key, Held>) -> bool {
    held.keys().any(|(_, origin)| *origin != Origin::Federation)
}

/// Of each trust domain the entry of the strongest origin: keys are in that order.
fn in_force(all: &BTreeMap<Key, Held>) -> impl Iterator<Item = (&Key, &Held)> {
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

    #[test]
    fn what_is_expected_is_missing_until_it_comes_and_says_why() {
        let store = TrustStore::default();
        store.expect(&td("b"), Origin::Federation);
        assert!(store.bundles().get(&td("b")).is_none() && store.in_force().is_empty());
        store.note_trouble(&td("b"), Origin::Federation, "no answer", Some(now()));
        let missing = store.missing();
        assert_eq!((missing.len(), missing[0].trouble.as_deref()), (1, Some("no answer")));
        assert_eq!(missing[0].next_refresh, Some(now()));
        store.put(&td("b"), Origin::Federation, held("b"));
        store.expect(&td("b"), Origin::Federation);
        assert!(store.missing().is_empty());
    }

    #[test]
    fn endpoints_of_others_do_not_stand_in_for_what_is_ours() {
        let store = TrustStore::default();
        let changes = store.subscribe();
        store.put(&td("b"), Origin::Federation, held("b"));
        assert!(!store.has_own() && changes.has_changed().unwrap());
        let mut changes = store.subscribe();
        let same = store.in_force()[0].2.clone();
        store.replace(Origin::WorkloadApi, [(td("b"), same)].into());
        assert!(store.has_own());
        assert!(changes.has_changed().unwrap(), "whoever waits for what is ours is woken, though no bundle is another");
        changes.mark_unchanged();
    }

    #[test]
    fn a_bundle_that_becomes_empty_is_a_change_and_stays_a_bundle() {
        let store = TrustStore::default();
        store.put(&td("a"), Origin::Federation, held("a"));
        let changes = store.subscribe();
        let empty = Arc::new(Bundle::parse(br#"{"keys": []}"#).unwrap());
        store.put(&td("a"), Origin::Federation, Held { bundle: Arc::clone(&empty), ..held("a") });
        assert!(changes.has_changed().unwrap());
        assert_eq!(store.bundles().get(&td("a")), Some(&empty), "empty is not unknown");
    }
}
