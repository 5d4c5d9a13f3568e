//! When two machines do the same from now on: what a search through their states may take for one. It changes nothing.

use std::hash::{Hash, Hasher};

use prost::Message;

use super::{Machine, request::Pending};

/// Everything that decides an answer, a cut or a message; what was counted decides none of them.
impl Hash for Machine {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { identity, peers, callers, chains, decisions, plan, recent, reached, .. } = self;
        (identity, peers, callers, chains, decisions, plan, recent, reached).hash(state);
        let Self { before_resync, unconfirmed, lease, streams, newcomers, pending, watch, .. } = self;
        (before_resync, unconfirmed, lease, streams, newcomers, watch).hash(state);
        let mut waiting: Vec<(&u32, &Pending)> = pending.iter().collect();
        waiting.sort_by_key(|(stream, _)| **stream);
        waiting.hash(state);
    }
}

impl Hash for Pending {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.asked.encode_to_vec(), &self.peer, self.attempts).hash(state);
    }
}
