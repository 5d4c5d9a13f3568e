//! A question to all connected filters at once, and who answered in time. It changes nothing in any of them.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use authz_core::{scope::Scope, time::Timestamp};
use tokio::{
    sync::{broadcast, mpsc},
    time::timeout,
};

use super::{FilterState, Filters};

/// What would a revocation of some scopes take from a filter?
#[derive(Debug)]
pub struct Probe {
    /// Comes back with the answer.
    pub id: u64,
    /// Of which scopes.
    pub scopes: Vec<Scope>,
    /// Sparing credentials issued from then on.
    pub issued_before: Timestamp,
    answers: mpsc::Sender<Hit>,
}

/// One filter's answer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Hit {
    /// Its Envoy's node.
    pub node: Arc<str>,
    /// Its name.
    pub instance: Arc<str>,
    /// Decisions it would forget.
    pub decisions: u64,
    /// Requests and connections it would end.
    pub streams: u64,
}

/// Everybody's answers, ordered by node and instance.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rehearsal {
    /// Those that answered.
    pub hits: Vec<Hit>,
    /// Those that were connected and did not.
    pub silent: Vec<FilterState>,
}

/// Where questions are put.
#[derive(Debug)]
pub(super) struct Probes {
    next: AtomicU64,
    asked: broadcast::Sender<Arc<Probe>>,
}

impl Default for Probes {
    fn default() -> Self {
        Self { next: AtomicU64::new(1), asked: broadcast::Sender::new(WAITING) }
    }
}

impl Probes {
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Probe>> {
        self.asked.subscribe()
    }

    /// Asks `connected`, and waits for them no longer than `patience`.
    pub async fn ask(
        &self,
        connected: Vec<FilterState>,
        scopes: Vec<Scope>,
        issued_before: Timestamp,
        patience: Duration,
    ) -> Rehearsal {
        let mut silent: HashMap<Arc<str>, FilterState> =
            connected.into_iter().map(|filter| (Arc::clone(&filter.instance), filter)).collect();
        let (answers, mut answered) = mpsc::channel(silent.len().max(1));
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        // Where nobody listens nobody is connected.
        let _ = self.asked.send(Arc::new(Probe { id, scopes, issued_before, answers }));
        let mut hits = Vec::with_capacity(silent.len());
        let gather = async {
            while !silent.is_empty() {
                let Some(hit) = answered.recv().await else { return };
                // One that came after the question was put counts too; one that answers twice does not.
                if silent.remove(&hit.instance).is_some() {
                    hits.push(hit);
                }
            }
        };
        // Those that are left did not answer in time.
        let _ = timeout(patience, gather).await;
        let mut silent: Vec<FilterState> = silent.into_values().collect();
        hits.sort_unstable();
        silent.sort_unstable();
        Rehearsal { hits, silent }
    }
}

impl Probe {
    /// Gives an answer; one that nobody waits for any more is lost.
    pub fn answer(&self, hit: Hit) {
        let _ = self.answers.try_send(hit);
    }

    /// Whether nobody waits for an answer any more.
    pub fn is_over(&self) -> bool {
        self.answers.is_closed()
    }
}

impl Filters {
    /// Questions from now on, to be passed on to one filter.
    pub fn probes(&self) -> broadcast::Receiver<Arc<Probe>> {
        self.0.probes.subscribe()
    }

    /// What revocations of `scopes` would take from the filters that are connected.
    pub async fn rehearse(&self, scopes: Vec<Scope>, issued_before: Timestamp, patience: Duration) -> Rehearsal {
        let connected = self.lock().connected();
        self.0.probes.ask(connected, scopes, issued_before, patience).await
    }
}

/// Questions that wait for a filter that is busy; it misses those beyond, and counts as silent.
const WAITING: usize = 16;
