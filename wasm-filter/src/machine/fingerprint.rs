//! When two machines do the same from now on: what a search through their states may take for one. It changes nothing.

use std::hash::{Hash, Hasher};

use authz_core::{revocation::Mark, scope::Scope};
use prost::Message;

use super::{Machine, request::Pending};

/// Everything that decides an answer, a cut or a message; what was counted decides none of them.
impl Hash for Machine {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { identity, peers, callers, chains, decisions, revocations, plan, recent, reached, .. } = self;
        (identity, peers, callers, chains, decisions, plan, recent, reached).hash(state);
        let Self { before_resync, lease, streams, pending, watch, next_expiry, .. } = self;
        (before_resync, lease, streams, watch, next_expiry).hash(state);
        let mut waiting: Vec<(&u32, &Pending)> = pending.iter().collect();
        waiting.sort_by_key(|(stream, _)| **stream);
        waiting.hash(state);
        let mut revoked: Vec<(&Scope, Mark)> = revocations.iter().collect();
        revoked
            .sort_by_key(|(scope, mark)| (scope.kind(), scope.value().to_owned(), mark.issued_before, mark.expires_at));
        revoked.hash(state);
    }
}

impl Hash for Pending {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.asked.encode_to_vec(), &self.peer, self.attempts).hash(state);
    }
}
