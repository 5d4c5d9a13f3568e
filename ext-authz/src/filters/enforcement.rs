//! How far one signal is in force in the filters at one moment: a value, computed by the registry.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use authz_core::signal::Seq;

/// Every filter that matters for one signal, in exactly one of the three lists, each ordered by node and instance.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Enforcement {
    /// Has it in force.
    pub enforcing: Vec<FilterState>,
    /// Connected, not acknowledged yet.
    pub pending: Vec<FilterState>,
    /// Gone without acknowledging, and its lease still runs.
    pub unreachable: Vec<FilterState>,
}

/// What is known of one filter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FilterState {
    /// Its Envoy's node.
    pub node: Arc<str>,
    /// Its name; empty for what stands for all filters of an earlier run of the sidecar.
    pub instance: Arc<str>,
    /// Everything up to here is in force in it.
    pub enforced: Seq,
    /// From the signal's coming in to its acknowledgement, if both are known.
    pub took: Option<Duration>,
    /// It may answer alone until then; `None`: it never had a lease.
    pub lease_until: Option<Instant>,
}

impl FilterState {
    /// Whether it may answer from memory at `now` without hearing from the sidecar.
    pub fn holds_lease(&self, now: Instant) -> bool {
        self.lease_until.is_some_and(|until| now < until)
    }
}

impl Enforcement {
    /// Whether the signal is in force in every filter that may answer from memory at `now`.
    pub fn is_complete(&self, now: Instant) -> bool {
        !self.missing().any(|filter| filter.holds_lease(now))
    }

    /// The next moment at which a lease that stands in the way ends.
    pub fn next_lease_end(&self, now: Instant) -> Option<Instant> {
        self.missing().filter_map(|filter| filter.lease_until).filter(|until| now < *until).min()
    }

    fn missing(&self) -> impl Iterator<Item = &FilterState> {
        self.pending.iter().chain(&self.unreachable)
    }
}
