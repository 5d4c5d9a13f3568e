//! What a request meets: lease, gate, memory, and the question to the sidecar. It applies nothing the sidecar pushes.

use std::sync::Arc;

use authz_core::{
    decision::Verdict,
    facts::{Caller, Headers},
    gate::Gate,
    hops::Chain,
    plan::{Plan, Read},
    reason::Reason,
    revocation::RevocationSet,
    time::Timestamp,
};
use prost::Message;

use super::{
    Machine,
    answer::{Answer, Next, Note, Source},
    decisions::{Kept, Miss, Tally},
    peers::Peer,
    request::{Arrival, Asked, Pending, Question, with_facts},
    response::{self, Response},
};

/// Questions about one request, if answer after answer is overtaken.
const MAX_ATTEMPTS: u8 = 3;

impl Machine {
    /// Whether keys need the protocol of the request.
    pub fn reads_protocol(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.reads().contains(&Read::Protocol))
    }

    /// Whether this connection has been met.
    pub fn knows(&self, connection: u64) -> bool {
        self.peers.get(&connection).is_some()
    }

    /// Remembers the other end of a connection.
    pub fn meet(&mut self, connection: u64, peer: Peer) {
        self.peers.insert(connection, peer);
    }

    /// Answers from memory, if memory may be used and has an answer. Allocates nothing for a hit.
    ///
    /// INVARIANT: nothing comes from here without a lease, and nothing before the gate was asked.
    pub fn recall(&mut self, arrival: &Arrival<'_>, now: Timestamp) -> Option<Answer> {
        self.see(now);
        if !self.lease.holds_at(now) {
            self.stats.stale = self.stats.stale.saturating_add(1);
            return None;
        }
        let plan = self.plan.as_ref()?;
        let peer = self.peers.get(&arrival.connection)?;
        let digest = peer.digest.as_ref()?;
        let known = self.callers.get(digest)?;
        let behind = self.chains.behind(digest, arrival.headers, now);
        let chain = behind.chain()?;
        let Arrival { headers, protocol, .. } = arrival;
        let request = Keyed { headers: *headers, protocol, peer, caller: &known.caller, chain };
        match request.write_key(&self.revocations, plan, now, &mut self.key) {
            Ok(()) => {}
            Err(Reason::Revoked) => return self.refuse_again(arrival, now),
            // The sidecar judges it, so that audit has all of it.
            Err(_) => return None,
        }
        match self.decisions.answer(&self.key, known.generation, now) {
            Ok(kept) => {
                let note = Note { id: kept.id, verdict: kept.verdict, reason: kept.reason, source: Source::Filter };
                let caller = Arc::clone(&known.caller);
                self.stats.hits = self.stats.hits.saturating_add(1);
                Some(self.give(arrival.stream, Some(caller), behind.somebody(), note))
            }
            Err(Miss::Absent) => None,
            Err(Miss::TooOld) => {
                self.stats.stale = self.stats.stale.saturating_add(1);
                None
            }
        }
    }

    /// Takes a request that memory has no answer to; returns the question for the sidecar.
    pub fn ask(&mut self, question: Question) -> Vec<u8> {
        self.stats.misses = self.stats.misses.saturating_add(1);
        let stream = question.stream;
        let peer = self.peers.get(&question.connection).cloned().unwrap_or_default();
        let asked = question.into_message(&peer, &self.identity.instance);
        let bytes = asked.encode_to_vec();
        self.pending.insert(stream, Pending { asked, peer, attempts: 1 });
        bytes
    }

    /// Takes the sidecar's answer to the last question about `stream`; `None` if there was none in time.
    pub fn answered(&mut self, stream: u32, answer: Option<&[u8]>, now: Timestamp) -> Next {
        self.see(now);
        let Some(pending) = self.pending.remove(&stream) else { return Next::Nothing };
        let Some(bytes) = answer else { return Next::Answer(self.refuse(Reason::SidecarUnreachable)) };
        let Some(response) = response::parse(bytes).filter(|response| pending.fits(response)) else {
            return Next::Answer(self.refuse(Reason::LinkInvalid));
        };
        let known = || self.before_resync.iter().chain([&self.recent]);
        let overtook = |caller: &Arc<Caller>| known().any(|it| it.overtook(response.seq, caller.scopes()));
        if response.caller.iter().chain(response.chain.hops()).any(overtook) {
            return self.ask_again(stream, pending);
        }
        self.keep(&pending, &response, now);
        let Response { id, verdict, reason, caller, chain, .. } = response;
        let behind = (!chain.hops().is_empty()).then_some(chain);
        Next::Answer(self.give(stream, caller, behind, Note { id, verdict, reason, source: Source::Sidecar }))
    }

    /// Forgets a request that has ended, however it did.
    pub fn closed(&mut self, stream: u32) {
        self.pending.remove(&stream);
        self.streams.close(stream);
    }

    /// Repeats the sidecar's refusal of a revoked caller, so that it counts as a repetition; without one the sidecar
    /// is asked, so that audit has all of the first.
    fn refuse_again(&mut self, arrival: &Arrival<'_>, now: Timestamp) -> Option<Answer> {
        let known = self.callers.get(self.peers.get(&arrival.connection)?.digest.as_ref()?)?;
        let (id, verdict, reason) = (known.refusal?, Verdict::Deny, Reason::Revoked);
        let caller = Arc::clone(&known.caller);
        let kept = Kept { id, verdict, reason, holds_until: now, generation: known.generation, caller };
        self.ledger.add([Tally { kept, count: 1, last: now }]);
        self.stats.hits = self.stats.hits.saturating_add(1);
        Some(self.give(arrival.stream, None, None, Note { id, verdict, reason, source: Source::Filter }))
    }

    fn ask_again(&mut self, stream: u32, mut pending: Pending) -> Next {
        if pending.attempts >= MAX_ATTEMPTS {
            return Next::Answer(self.refuse(Reason::Contended));
        }
        pending.attempts = pending.attempts.saturating_add(1);
        let bytes = pending.asked.encode_to_vec();
        self.pending.insert(stream, pending);
        Next::Ask(bytes)
    }

    /// Remembers the caller, and the decision if it may be given again.
    fn keep(&mut self, pending: &Pending, response: &Response, now: Timestamp) {
        let Some((caller, digest)) = response.caller.as_ref().zip(pending.peer.digest) else { return };
        // INVARIANT: every caller known was verified under the trust bundles that the plan in force names.
        let Some(plan) = self.plan.as_ref().filter(|plan| response.plan == Some(plan.digest())) else { return };
        let refusal = (response.reason == Reason::Revoked).then_some(response.id);
        let generation = self.callers.learn(Arc::clone(caller), refusal);
        // INVARIANT: who was refused at the gate is in no chain known, so that a revocation which is no longer kept here can
        // not be forgotten: the sidecar is asked again.
        if response.cacheable {
            let lines = pending.asked.headers.iter().map(|line| (line.name.as_str(), line.value.as_slice()));
            self.chains.learn(&digest, lines, &response.chain);
        }
        if !response.cacheable || response.holds_until <= now {
            return;
        }
        let headers = Asked(&pending.asked.headers);
        let (protocol, peer, chain) = (&pending.asked.protocol, &pending.peer, &response.chain);
        let request = Keyed { headers: &headers, protocol, peer, caller, chain };
        if request.write_key(&self.revocations, plan, now, &mut self.key).is_err() {
            return;
        }
        let Response { id, verdict, reason, holds_until, .. } = *response;
        let kept = Kept { id, verdict, reason, holds_until, generation, caller: Arc::clone(caller) };
        let gone = self.decisions.insert(&self.key, kept);
        self.ledger.add(gone);
    }

    fn give(&mut self, stream: u32, caller: Option<Arc<Caller>>, behind: Option<Arc<Chain>>, note: Note) -> Answer {
        if note.verdict == Verdict::Allow {
            if let Some(caller) = &caller {
                self.streams.open(stream, Arc::clone(caller), behind);
            }
            return Answer::Allow(caller, note);
        }
        self.stats.denied = self.stats.denied.saturating_add(1);
        Answer::Deny(note)
    }
}

impl Pending {
    /// Whether the answer speaks of the certificate that is on this connection.
    fn fits(&self, response: &Response) -> bool {
        let digest = response.caller.as_ref().map(|caller| *caller.credential().digest());
        digest.is_none_or(|digest| self.peer.digest.is_none_or(|presented| presented == digest))
    }
}

/// What a key is made from.
struct Keyed<'a> {
    headers: &'a dyn Headers,
    protocol: &'a str,
    peer: &'a Peer,
    caller: &'a Caller,
    chain: &'a Chain,
}

impl Keyed<'_> {
    /// Asks the gate and, if it admits, writes the key.
    fn write_key(
        &self,
        revocations: &RevocationSet,
        plan: &Plan,
        now: Timestamp,
        key: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        with_facts(self.headers, self.protocol, self.peer, (self.caller, self.chain), |facts| {
            let admitted = Gate::new(revocations, plan).admit(facts, now).map_err(|denial| denial.reason)?;
            admitted.write_key(key);
            Ok(())
        })
    }
}
