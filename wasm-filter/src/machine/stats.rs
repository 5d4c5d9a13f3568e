//! Counters and sizes of one VM, and which of them Envoy has not been told; it tells nobody itself.

use authz_wire::link;

/// What appears among Envoy's stats, prefixed with `wasmcustom.`.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Metric {
    /// Decisions kept.
    CachedDecisions,
    /// Requests denied, from memory or not.
    Denied,
    /// Requests answered from memory.
    Hits,
    /// Milliseconds until memory may not be used any more.
    LeaseRemaining,
    /// Workers that do not hear their sidecar.
    LinkLost,
    /// Requests for which the sidecar was asked.
    Misses,
    /// Allowed requests that have not ended.
    OpenStreams,
    /// Streams ended by a revocation.
    Resets,
    /// Requests that memory could not be used for, for lack of a lease or because the decision had become too old.
    Stale,
    /// Requests denied because the sidecar could not be reached.
    Unreachable,
}

impl Metric {
    /// Every metric.
    pub const ALL: &[Self] = &[
        Self::CachedDecisions,
        Self::Denied,
        Self::Hits,
        Self::LeaseRemaining,
        Self::LinkLost,
        Self::Misses,
        Self::OpenStreams,
        Self::Resets,
        Self::Stale,
        Self::Unreachable,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CachedDecisions => "countersign.cached_decisions",
            Self::Denied => "countersign.denied",
            Self::Hits => "countersign.hits",
            Self::LeaseRemaining => "countersign.lease_remaining_ms",
            Self::LinkLost => "countersign.link_lost",
            Self::Misses => "countersign.misses",
            Self::OpenStreams => "countersign.open_streams",
            Self::Resets => "countersign.resets",
            Self::Stale => "countersign.stale",
            Self::Unreachable => "countersign.unreachable",
        }
    }

    /// Whether it can go down.
    pub const fn is_gauge(self) -> bool {
        matches!(self, Self::CachedDecisions | Self::LeaseRemaining | Self::LinkLost | Self::OpenStreams)
    }
}

/// How a metric changed.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// By this much: the workers' shares add up to one number for the whole Envoy.
    By(i64),
    /// To this value, whoever wrote it last: a remaining time can't be added up.
    To(u64),
}

/// The numbers of one VM.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub struct Stats {
    /// See [`Metric::Hits`].
    pub hits: u64,
    /// See [`Metric::Misses`].
    pub misses: u64,
    /// See [`Metric::Denied`].
    pub denied: u64,
    /// See [`Metric::Stale`].
    pub stale: u64,
    /// See [`Metric::Resets`].
    pub resets: u64,
    /// See [`Metric::Unreachable`].
    pub unreachable: u64,
    /// See [`Metric::CachedDecisions`].
    pub cached_decisions: u64,
    /// See [`Metric::OpenStreams`].
    pub open_streams: u64,
    /// See [`Metric::LeaseRemaining`].
    pub lease_remaining_ms: u64,
    /// See [`Metric::LinkLost`].
    pub link_lost: u64,
}

impl Stats {
    /// What changed since Envoy was told `told`.
    pub fn changes_since(&self, told: &Self) -> Vec<(Metric, Change)> {
        let changed = Metric::ALL.iter().filter(|metric| self.value(**metric) != told.value(**metric));
        changed.map(|metric| (*metric, self.change(*metric, told))).collect()
    }

    /// The same numbers for the sidecar.
    pub fn gauges(&self) -> link::Gauges {
        link::Gauges {
            hits: self.hits,
            misses: self.misses,
            denied: self.denied,
            stale: self.stale,
            resets: self.resets,
            cached_decisions: self.cached_decisions,
            open_streams: self.open_streams,
        }
    }

    /// These numbers without the sizes: what remains when the VM goes.
    pub fn without_sizes(&self) -> Self {
        Self { cached_decisions: 0, open_streams: 0, lease_remaining_ms: 0, link_lost: 0, ..*self }
    }

    fn change(&self, metric: Metric, told: &Self) -> Change {
        match metric {
            Metric::LeaseRemaining => Change::To(self.value(metric)),
            _ => Change::By(self.value(metric).wrapping_sub(told.value(metric)).cast_signed()),
        }
    }

    const fn value(&self, metric: Metric) -> u64 {
        match metric {
            Metric::CachedDecisions => self.cached_decisions,
            Metric::Denied => self.denied,
            Metric::Hits => self.hits,
            Metric::LeaseRemaining => self.lease_remaining_ms,
            Metric::LinkLost => self.link_lost,
            Metric::Misses => self.misses,
            Metric::OpenStreams => self.open_streams,
            Metric::Resets => self.resets,
            Metric::Stale => self.stale,
            Metric::Unreachable => self.unreachable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_told_and_sizes_can_shrink() {
        let told = Stats { hits: 5, open_streams: 3, lease_remaining_ms: 90, ..Stats::default() };
        let now = Stats { hits: 7, open_streams: 1, lease_remaining_ms: 40, ..Stats::default() };
        let expected = [
            (Metric::Hits, Change::By(2)),
            (Metric::LeaseRemaining, Change::To(40)),
            (Metric::OpenStreams, Change::By(-2)),
        ];
        assert_eq!(now.changes_since(&told), expected);
        assert!(now.changes_since(&now).is_empty());
        let gone = [(Metric::LeaseRemaining, Change::To(0)), (Metric::OpenStreams, Change::By(-1))];
        assert_eq!(now.without_sizes().changes_since(&now), gone);
    }
}
