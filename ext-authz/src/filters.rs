//! The filters of this sidecar's Envoy: who is connected, what each has in force, until when each may answer alone. It sends nothing.

mod enforcement;
mod positions;
mod probes;
mod registry;
mod reports;
pub mod session;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use authz_core::signal::Seq;
use tokio::sync::watch;

use probes::Probes;

pub use enforcement::{Enforcement, FilterState};
pub use probes::{Hit, Probe, Rehearsal};
pub use registry::{Connection, Counts, Registry};
pub use reports::Received;

/// The filters, shared by every stream: clones are the same set.
///
/// All times are of the monotonic clock: a step of the wall clock must not shorten anybody's lease.
#[derive(Clone, Debug)]
pub struct Filters(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    registry: Mutex<Registry>,
    changes: AtomicU64,
    settled: watch::Sender<()>,
    probes: Probes,
}

/// One `Watch` stream of one filter; its drop says that the filter is gone.
#[derive(Debug)]
pub struct FilterHandle {
    filters: Filters,
    instance: Arc<str>,
    node: Arc<str>,
    connection: Connection,
}

impl Filters {
    /// No filter yet. Filters of an earlier run, of which nothing is known, may answer alone until `unknown_until`:
    /// the start plus the longest lease, or `None` if there was no earlier run ([`crate::signals::Log::is_fresh`]).
    pub fn new(unknown_until: Option<Instant>) -> Self {
        let registry = Mutex::new(Registry::new(unknown_until));
        let (changes, settled) = (AtomicU64::new(0), watch::Sender::new(()));
        Self(Arc::new(Shared { registry, changes, settled, probes: Probes::default() }))
    }

    /// Notes that the filter `instance` of Envoy `node` has opened its stream; both are short and printable.
    ///
    /// The same instance again takes the place of its old stream, and keeps its lease and what it had in force.
    pub fn connect(&self, instance: &str, node: &str, now: Instant) -> FilterHandle {
        let (instance, node) = (Arc::from(instance), Arc::from(node));
        let connection = self.update(|registry| registry.connect(&instance, &node, now));
        FilterHandle { filters: self.clone(), instance, node, connection }
    }

    /// How far the signal at `seq`, which came in at `received`, is in force at `now`.
    pub fn enforcement(&self, seq: Seq, received: Option<Instant>, now: Instant) -> Enforcement {
        self.lock().enforcement(seq, received, now)
    }

    /// How many filters there are, by what is known of them.
    pub fn counts(&self, now: Instant) -> Counts {
        self.lock().counts(now)
    }

    /// Whether the filter `instance` has its stream open.
    pub fn is_connected(&self, instance: &str) -> bool {
        self.lock().is_connected(instance)
    }

    /// A receiver that wakes when a filter comes or goes, or when the last of them has acknowledged what all others have:
    /// whatever was not in force everywhere can be only then. The end of a lease wakes nobody: see
    /// [`Enforcement::next_lease_end`].
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.0.settled.subscribe()
    }

    /// How often a filter has come, gone or acknowledged something: while it is the same, so is every [`Enforcement`].
    pub fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    fn update<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        let value = change(&mut self.lock());
        self.0.changes.fetch_add(1, Ordering::Release);
        self.0.settled.send_replace(());
        value
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        // Every change is complete before anything that could panic.
        self.0.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Filters {
    /// As for a sidecar that runs for the first time.
    fn default() -> Self {
        Self::new(None)
    }
}

impl FilterHandle {
    /// Notes that the filter has everything up to `seq` in force.
    pub fn acked(&self, seq: Seq, now: Instant) {
        let mut registry = self.filters.lock();
        let before = registry.least_enforced();
        registry.acked(&self.instance, seq, now);
        let has_settled = registry.least_enforced() != before;
        drop(registry);
        self.filters.0.changes.fetch_add(1, Ordering::Release);
        // A thousand filters acknowledge one signal: those who wait for it need not look a thousand times.
        if has_settled {
            self.filters.0.settled.send_replace(());
        }
    }

    /// Its answer to a probe.
    pub fn hit(&self, decisions: u64, streams: u64) -> Hit {
        Hit { node: Arc::clone(&self.node), instance: Arc::clone(&self.instance), decisions, streams }
    }

    /// Takes the number of a report; the same number again, on this stream or another one, is not new.
    pub fn received(&self, number: u64) -> Received {
        self.filters.lock().received(&self.instance, number)
    }

    /// Notes that the filter may answer alone until `until`. Call it before the lease is sent: a lease that is under way
    /// counts as held.
    pub fn lease_granted(&self, until: Instant) {
        self.filters.lock().lease_granted(&self.instance, &self.node, until);
    }
}

impl Drop for FilterHandle {
    fn drop(&mut self) {
        self.filters.update(|registry| registry.disconnect(&self.instance, self.connection, Instant::now()));
    }
}

#[cfg(test)]
mod tests;
