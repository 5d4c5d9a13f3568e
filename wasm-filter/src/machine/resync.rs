//! Starting over when what was missed is not at hand: memory goes, open streams stay and are asked about. It cuts none itself.

use authz_core::scope::Scope;
use authz_wire::link;

use super::{Machine, effect::Effect, recent::Recent, update::Reached};

/// Scopes in one report: about 100 bytes each, far below gRPC's limit of 4 MiB.
const MAX_HELD: usize = 2000;

impl Machine {
    pub(super) fn begin_resync(&mut self) {
        // INVARIANT: what was in force here once is not undone by an answer older than it, which may still be on its way.
        let before = self.before_resync.take().unwrap_or_else(|| std::mem::take(&mut self.recent));
        self.forget_all();
        self.recent = Recent::default();
        self.before_resync = Some(before);
        self.reached = Reached::default();
        self.unconfirmed = None;
    }

    /// Everything up to `reached` was delivered. It is in force, unless open streams have to be asked about first.
    pub(super) fn reach(&mut self, reached: Reached, ask_held: bool, effects: &mut Vec<Effect>) {
        // What a resync brought is the state at this position, whatever came before.
        if self.before_resync.take().is_some() {
            self.recent.raise(reached.seq);
            // INVARIANT: what was decided before this position and opened no stream by now will open none.
            self.forget_all();
            if ask_held && self.ask_held(effects) {
                self.unconfirmed = Some(reached);
                return;
            }
        }
        match &mut self.unconfirmed {
            Some(unconfirmed) => *unconfirmed = reached,
            None => self.reached = reached,
        }
    }

    /// What open streams rest on was answered: what was delivered is in force.
    pub(super) fn confirm(&mut self) {
        if let Some(reached) = self.unconfirmed.take() {
            self.reached = reached;
        }
    }

    /// Says what open streams rest on; returns whether there is anything.
    fn ask_held(&self, effects: &mut Vec<Effect>) -> bool {
        let mut scopes: Vec<&Scope> = self.streams.scopes().into_iter().collect();
        scopes.sort_unstable_by_key(|scope| (scope.kind(), scope.value()));
        let parts = scopes.chunks(MAX_HELD).len();
        for (part, scopes) in scopes.chunks(MAX_HELD).enumerate() {
            let scopes = scopes.iter().map(ToString::to_string).collect();
            let held = link::Held { scopes, more: part.saturating_add(1) < parts };
            effects.push(self.send(link::Report { held: Some(held), ..link::Report::default() }));
        }
        parts > 0
    }
}
