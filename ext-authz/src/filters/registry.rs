//! What is known of each filter, as plain data: no lock, no clock; every method takes the moment it speaks of.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use authz_core::signal::Seq;

use super::{
    Enforcement, FilterState,
    positions::Positions,
    reports::{Received, Reports},
};

/// The filters of one sidecar.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Registry {
    filters: BTreeMap<Arc<str>, Filter>,
    // INVARIANT: of every filter with a connection, and of no other.
    positions: Positions,
    // Outlives the filters above: one that was away for longer than its lease sends again what was not confirmed.
    reports: Reports,
    next_connection: u64,
    unknown_until: Option<Instant>,
}

/// Tells a stream from the one that took its place.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Connection(u64);

/// How many filters there are.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// With an open stream.
    pub connected: usize,
    /// Without one, and with a lease that still runs.
    pub unreachable: usize,
    /// The least that any connected filter has in force.
    pub least_enforced: Option<Seq>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Filter {
    node: Arc<str>,
    connection: Option<Connection>,
    // INVARIANT: positions and times both rise.
    acks: VecDeque<(Seq, Instant)>,
    lease_until: Option<Instant>,
}

impl Registry {
    /// As [`super::Filters::new`].
    pub fn new(unknown_until: Option<Instant>) -> Self {
        let (filters, positions) = (BTreeMap::new(), Positions::default());
        Self { filters, positions, reports: Reports::default(), next_connection: 0, unknown_until }
    }

    /// A filter has opened a stream, which takes the place of its former one.
    pub fn connect(&mut self, instance: &Arc<str>, node: &Arc<str>, now: Instant) -> Connection {
        self.forget_harmless(now);
        let connection = Connection(self.next_connection);
        self.next_connection = self.next_connection.wrapping_add(1);
        let filter = self.filter(instance, node);
        filter.node = Arc::clone(node);
        let is_back = filter.connection.replace(connection).is_none();
        let enforced = filter.enforced();
        if is_back {
            self.positions.enter(enforced);
        }
        connection
    }

    /// A stream has ended; one that was replaced says nothing about the filter.
    pub fn disconnect(&mut self, instance: &Arc<str>, connection: Connection, now: Instant) {
        if let Some(filter) = self.filters.get_mut(instance).filter(|filter| filter.connection == Some(connection)) {
            filter.connection = None;
            self.positions.leave(filter.enforced());
        }
        self.forget_harmless(now);
    }

    /// As [`super::FilterHandle::acked`].
    pub fn acked(&mut self, instance: &Arc<str>, seq: Seq, now: Instant) {
        let Some(filter) = self.filters.get_mut(instance) else { return };
        let before = filter.enforced();
        if seq > before {
            filter.acks.push_back((seq, now));
            let surplus = filter.acks.len().saturating_sub(MAX_ACKS);
            filter.acks.drain(..surplus);
            if filter.connection.is_some() {
                self.positions.leave(before);
                self.positions.enter(seq);
            }
        }
    }

    /// The least that any connected filter has in force.
    pub fn least_enforced(&self) -> Option<Seq> {
        self.positions.least()
    }

    /// As [`super::FilterHandle::received`].
    pub fn received(&mut self, instance: &Arc<str>, number: u64) -> Received {
        self.reports.receive(instance, number)
    }

    /// As [`super::FilterHandle::lease_granted`]. Counts for a replaced stream too: the lease may have reached the filter.
    pub fn lease_granted(&mut self, instance: &Arc<str>, node: &Arc<str>, until: Instant) {
        let filter = self.filter(instance, node);
        filter.lease_until = filter.lease_until.max(Some(until));
    }

    /// As [`super::Filters::enforcement`].
    pub fn enforcement(&self, seq: Seq, received: Option<Instant>, now: Instant) -> Enforcement {
        let mut enforcement = Enforcement::default();
        for (instance, filter) in &self.filters {
            let state = filter.state(instance, seq, received);
            if state.enforced >= seq {
                enforcement.enforcing.push(state);
            } else if filter.connection.is_some() {
                enforcement.pending.push(state);
            } else if state.holds_lease(now) {
                enforcement.unreachable.push(state);
            }
        }
        enforcement.unreachable.extend(self.unknown().filter(|state| state.holds_lease(now)));
        for list in [&mut enforcement.enforcing, &mut enforcement.pending, &mut enforcement.unreachable] {
            list.sort();
        }
        enforcement
    }

    /// Those with an open stream, in no order.
    pub fn connected(&self) -> Vec<FilterState> {
        let connected = self.filters.iter().filter(|(_, filter)| filter.connection.is_some());
        connected.map(|(instance, filter)| filter.state(instance, Seq(0), None)).collect()
    }

    /// As [`super::Filters::is_connected`].
    pub fn is_connected(&self, instance: &str) -> bool {
        self.filters.get(instance).is_some_and(|filter| filter.connection.is_some())
    }

    /// As [`super::Filters::counts`].
    pub fn counts(&self, now: Instant) -> Counts {
        let connected = self.filters.values().filter(|filter| filter.connection.is_some());
        let gone = self.filters.values().filter(|filter| filter.connection.is_none());
        Counts {
            connected: connected.count(),
            unreachable: gone.filter(|filter| filter.lease_until.is_some_and(|until| now < until)).count(),
            least_enforced: self.least_enforced(),
        }
    }

    fn filter(&mut self, instance: &Arc<str>, node: &Arc<str>) -> &mut Filter {
        self.filters.entry(Arc::clone(instance)).or_insert_with(|| Filter {
            node: Arc::clone(node),
            connection: None,
            acks: VecDeque::new(),
            lease_until: None,
        })
    }

    /// Stands for filters of an earlier run that may still hold a lease of it.
    fn unknown(&self) -> Option<FilterState> {
        self.unknown_until.map(|until| FilterState {
            node: UNKNOWN.into(),
            instance: Arc::default(),
            enforced: Seq(0),
            took: None,
            lease_until: Some(until),
        })
    }

    /// Drops those that are gone and can't answer alone.
    fn forget_harmless(&mut self, now: Instant) {
        self.filters.retain(|_, it| it.connection.is_some() || it.lease_until.is_some_and(|until| now < until));
    }
}

impl Filter {
    fn enforced(&self) -> Seq {
        self.acks.back().map_or(Seq(0), |(seq, _)| *seq)
    }

    fn state(&self, instance: &Arc<str>, seq: Seq, received: Option<Instant>) -> FilterState {
        // The first one that covers it; one that has left the list is no answer.
        let first = self.acks.partition_point(|(acked, _)| *acked < seq);
        let exact = first > 0 || self.acks.len() < MAX_ACKS;
        let acked = self.acks.get(first).filter(|_| exact).map(|(_, at)| *at);
        FilterState {
            node: Arc::clone(&self.node),
            instance: Arc::clone(instance),
            enforced: self.enforced(),
            took: acked.zip(received).map(|(acked, received)| acked.saturating_duration_since(received)),
            lease_until: self.lease_until,
        }
    }
}

/// How many acknowledgements are kept for each filter, to say how long each took.
const MAX_ACKS: usize = 256;

const UNKNOWN: &str = "filters not heard of since the sidecar started";
