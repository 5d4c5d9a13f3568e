//! The one mutable cell of the sidecar: an immutable snapshot, loaded once per request; it computes nothing.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use authz_core::{
    gate::Gate,
    plan::PolicyDigest,
    revocation::RevocationSet,
    signal::{Action, Seq, settled_before},
    standing::Standings,
    time::Timestamp,
};
use tokio::sync::watch;

use crate::{identity::TrustDigest, policy::CompiledPolicies, signals::Entry};

/// What every request of one moment is decided on.
#[derive(Clone, Default)]
pub struct Snapshot {
    view: View,
    replayed: bool,
    policy: Option<Arc<CompiledPolicies>>,
    trust: Option<TrustDigest>,
}

/// How much is forgotten at once: some milliseconds of work.
const AT_ONCE: usize = 1000;

/// What is known of the log.
#[derive(Clone, Default)]
pub struct View {
    /// The last signal applied.
    pub seq: Seq,
    /// All revocations live after it.
    pub revocations: RevocationSet,
    /// Risk and posture after it.
    pub standings: Standings,
}

/// A snapshot that can decide: log, policies and trust bundles are in.
#[derive(Copy, Clone)]
pub struct Live<'s> {
    view: &'s View,
    policy: &'s CompiledPolicies,
}

/// A part that must be in before anything is decided.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// The log was replayed.
    Log,
    /// The first policy set was accepted.
    Policy,
    /// The first trust bundles were accepted.
    Trust,
}

impl Part {
    /// Every part.
    pub const ALL: &[Self] = &[Self::Log, Self::Policy, Self::Trust];

    /// The name in readiness and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Policy => "policy",
            Self::Trust => "trust",
        }
    }
}

impl View {
    /// Applies the next entries of the log, and notes in each what it changed.
    pub fn apply(&mut self, entries: &mut [Entry]) {
        for Entry { seq, signal, outcome, .. } in entries {
            *outcome = match signal.action {
                Action::Restore | Action::Revoke(_) => self.revocations.apply(*seq, signal),
                Action::Posture(..) | Action::Risk(..) => self.standings.apply(*seq, signal),
            };
            self.seq = *seq;
        }
    }

    fn has_ended(&self, now: Timestamp, settled: Timestamp) -> bool {
        let revoked = self.revocations.next_end();
        let is_over = revoked <= now && revoked != Timestamp::NEVER;
        is_over || self.revocations.oldest_restore() < settled || self.standings.next_end() < settled
    }

    /// One step, so short that nobody minds.
    fn forget(&mut self, now: Timestamp, settled: Timestamp) -> usize {
        self.revocations.forget_some_restores(settled, AT_ONCE);
        self.standings.forget_some_ended(settled, AT_ONCE);
        self.revocations.expire_some(now, AT_ONCE)
    }
}

impl Snapshot {
    /// The snapshot as something that can decide, or nothing while a part is missing.
    pub fn live(&self) -> Option<Live<'_>> {
        let policy = self.policy.as_deref().filter(|_| self.replayed && self.trust.is_some())?;
        Some(Live { view: &self.view, policy })
    }

    /// Whether a part is in.
    pub fn has(&self, part: Part) -> bool {
        match part {
            Part::Log => self.replayed,
            Part::Policy => self.policy.is_some(),
            Part::Trust => self.trust.is_some(),
        }
    }

    /// The view of the log, once it was replayed.
    pub fn view(&self) -> Option<&View> {
        self.replayed.then_some(&self.view)
    }

    /// Which trust bundles are in, once some are. Set after the verifier has them: what it names, or something newer, is
    /// what callers are verified against.
    pub fn trust(&self) -> Option<TrustDigest> {
        self.trust
    }

    /// The policy set, once one was accepted.
    pub fn policy(&self) -> Option<&Arc<CompiledPolicies>> {
        self.policy.as_ref()
    }
}

impl<'s> Live<'s> {
    /// The gate of this moment.
    pub fn gate(&self) -> Gate<'s> {
        Gate::new(&self.view.revocations, self.policy.plan()).with_standings(&self.view.standings)
    }

    /// The revocations of this moment.
    pub fn revocations(&self) -> &'s RevocationSet {
        &self.view.revocations
    }

    /// The policies of this moment.
    pub fn policy(&self) -> &'s CompiledPolicies {
        self.policy
    }

    /// The position in the log.
    pub fn seq(&self) -> Seq {
        self.view.seq
    }

    /// Which policy set it is.
    pub fn digest(&self) -> PolicyDigest {
        self.policy.digest()
    }
}

/// The cell. Readers never wait; writers take turns.
pub struct State {
    current: ArcSwap<Snapshot>,
    writing: Mutex<()>,
    changed: watch::Sender<()>,
    rules_changed: watch::Sender<()>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            current: ArcSwap::from_pointee(Snapshot::default()),
            writing: Mutex::new(()),
            changed: watch::Sender::new(()),
            rules_changed: watch::Sender::new(()),
        }
    }
}

impl State {
    /// The snapshot of now.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// A receiver that wakes on every change.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// A receiver that wakes when policies or trust bundles change, and at no signal: a thousand filters wait for it.
    pub fn subscribe_to_rules(&self) -> watch::Receiver<()> {
        self.rules_changed.subscribe()
    }

    /// Notes that the whole log has been applied; before that nothing is decided.
    pub fn set_replayed(&self) {
        self.update(|snapshot| snapshot.replayed = true);
    }

    /// Notes that there is nothing to apply up to `seq` that has not been applied: what is missing there mattered no more.
    pub fn reach(&self, seq: Seq) {
        self.update(|snapshot| snapshot.view.seq = snapshot.view.seq.max(seq));
    }

    /// Applies the next entries of the log together, and notes in each what it changed; every request that loads
    /// afterwards sees them.
    pub fn apply(&self, entries: &mut [Entry]) {
        self.update(|snapshot| snapshot.view.apply(entries));
    }

    /// Forgets revocations that are over, and what nothing that may still arrive could contradict; returns how many
    /// revoked scopes left. Signals that come meanwhile wait for one step of it, whatever ends at once.
    pub fn expire(&self, now: Timestamp) -> usize {
        let settled = settled_before(now);
        let mut gone = 0;
        while self.load().view.has_ended(now, settled) {
            self.update(|snapshot| gone += snapshot.view.forget(now, settled));
        }
        gone
    }

    /// Puts a policy set in force.
    pub fn set_policy(&self, policy: Arc<CompiledPolicies>) {
        self.update(|snapshot| snapshot.policy = Some(policy));
        self.rules_changed.send_replace(());
    }

    /// Notes which trust bundles the verifier has.
    pub fn set_trusted(&self, trust: TrustDigest) {
        self.update(|snapshot| snapshot.trust = Some(trust));
        self.rules_changed.send_replace(());
    }

    fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = if self.load().replayed { Snapshot::clone(&self.load()) } else { self.take() };
        change(&mut next);
        self.current.store(Arc::new(next));
        self.changed.send_replace(());
    }

    /// The snapshot itself, not a copy: as long as nothing is decided, a long log is replayed in place.
    fn take(&self) -> Snapshot {
        let without_view = Snapshot { view: View::default(), ..Snapshot::clone(&self.load()) };
        Arc::unwrap_or_clone(self.current.swap(Arc::new(without_view)))
    }
}

#[cfg(test)]
mod tests;
