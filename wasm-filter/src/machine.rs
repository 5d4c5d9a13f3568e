//! The filter as a machine: input and the time go in, answers and effects come out. It knows no host and no clock.
//!
//! `requests` has what a request meets, `updates` what the sidecar sends and what is due at a tick.

mod answer;
mod bounded;
mod callers;
mod chains;
mod connections;
mod decisions;
mod effect;
mod fingerprint;
mod lease;
mod ledger;
mod newcomers;
mod peers;
mod recent;
mod request;
mod requests;
mod response;
mod resync;
mod scope_index;
mod stats;
mod streams;
mod update;
mod updates;
mod watch;
mod wire;

#[cfg(test)]
mod tests;

use authz_core::{
    decision::{DecisionId, Verdict},
    plan::Plan,
    reason::Reason,
    revocation::RevocationSet,
    time::Timestamp,
};
use hashbrown::HashMap;

pub use self::{
    answer::{Answer, Next, Note, Source},
    connections::Standing,
    effect::{Effect, Level},
    peers::Peer,
    request::{Arrival, Question, Subject, Wanted},
    stats::{Change, Metric, Stats},
};
use self::{
    callers::Callers, chains::Chains, decisions::Decisions, lease::Lease, ledger::Ledger, newcomers::Newcomers,
    peers::Peers, recent::Recent, request::Pending, streams::Streams, update::Reached, watch::Watch,
};
use crate::config::Config;

/// Everything one VM remembers.
#[derive(Clone)]
pub struct Machine {
    identity: Identity,
    peers: Peers,
    callers: Callers,
    chains: Chains,
    decisions: Decisions,
    // What is revoked is not known at all, so the gate asks an empty set.
    none_revoked: RevocationSet,
    plan: Option<Plan>,
    recent: Recent,
    reached: Reached,
    // From a resync's beginning until its end: the invalidations known before it.
    before_resync: Option<Recent>,
    // Delivered after a resync, and in force once it is known what is revoked of what open streams rest on.
    unconfirmed: Option<Reached>,
    lease: Lease,
    streams: Streams,
    newcomers: Newcomers,
    pending: HashMap<u32, Pending>,
    watch: Watch,
    ledger: Ledger,
    stats: Stats,
    told: Stats,
    local_decisions: u64,
    key: Vec<u8>,
}

/// Who this VM is to the sidecar.
#[derive(Clone, Hash, Debug)]
pub struct Identity {
    /// Unlike that of any other VM, now or earlier.
    pub instance: [u8; 16],
    /// Envoy's node id and cluster.
    pub node: String,
}

impl Machine {
    /// A machine that knows nothing yet: it asks the sidecar about each request.
    pub fn new(config: &Config, identity: Identity) -> Self {
        Self {
            peers: Peers::new(config.max_connections),
            callers: Callers::new(config.max_callers),
            chains: Chains::new(),
            decisions: Decisions::new(config.max_decisions, identity.instance),
            identity,
            none_revoked: RevocationSet::default(),
            plan: None,
            recent: Recent::default(),
            reached: Reached::default(),
            before_resync: None,
            unconfirmed: None,
            lease: Lease::default(),
            streams: Streams::default(),
            newcomers: Newcomers::default(),
            pending: HashMap::new(),
            watch: Watch::default(),
            ledger: Ledger::default(),
            stats: Stats::default(),
            told: Stats::default(),
            local_decisions: 0,
            key: Vec::new(),
        }
    }

    /// Denies without memory and without the sidecar, and counts it.
    pub fn refuse(&mut self, reason: Reason) -> Answer {
        self.ledger.add_local(reason);
        self.stats.denied = self.stats.denied.saturating_add(1);
        if reason == Reason::SidecarUnreachable {
            self.stats.unreachable = self.stats.unreachable.saturating_add(1);
        }
        Answer::Deny(self.own_note(reason))
    }

    /// Notes a denial that no evaluation stands behind, under an ID of its own.
    fn own_note(&mut self, reason: Reason) -> Note {
        self.local_decisions = self.local_decisions.wrapping_add(1);
        let id = u128::from_be_bytes(self.identity.instance).wrapping_add(u128::from(self.local_decisions));
        Note { id: DecisionId(id), verdict: Verdict::Deny, reason, source: Source::Filter }
    }

    /// Looks at the clock before it is relied on.
    fn see(&mut self, now: Timestamp) {
        if self.lease.see(now) {
            self.watch.clock_stepped_back(now);
        }
    }
}
