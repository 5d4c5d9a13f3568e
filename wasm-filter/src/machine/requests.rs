//! What a request or connection meets: lease, gate, memory, and the question to the sidecar. It applies nothing the sidecar pushes.

use std::sync::Arc;

use authz_core::{
    decision::Verdict,
    facts::{self, Caller, Facts, Presented},
    gate::Gate,
    hops::Chain,
    identity::Digest,
    plan::{Plan, Read},
    reading::Reading,
    reason::Reason,
    revocation::RevocationSet,
    time::Timestamp,
};
use authz_wire::link;
use prost::Message;

use super::{
    Machine,
    answer::{Answer, Next, Note, Source},
    callers::Refusal,
    chains::Behind,
    decisions::{Kept, Miss, Tally},
    peers::Peer,
    request::{self, Arrival, Asked, Pending, Question, Wanted},
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
        if let Some(refusal) = known.refusal {
            let digest = *digest;
            return if now < refusal.until { self.refuse_again(digest, refusal, now) } else { None };
        }
        let behind = match arrival.asked {
            Wanted::Connection => Behind::Nobody,
            Wanted::Request { headers, .. } => self.chains.behind(digest, headers, now),
        };
        let chain = behind.chain()?;
        let asked = arrival.asked.as_facts();
        let reading = known.readings.get(plan.operation(&asked)?)?;
        let request = Keyed { asked, peer, caller: &known.caller, chain, reading };
        // What does not pass the gate is judged by the sidecar, so that audit has all of it.
        request.write_key(&self.none_revoked, plan, now, &mut self.key).ok()?;
        match self.decisions.answer(&self.key, known.generation, now) {
            Ok(kept) => {
                let note = Note { id: kept.id, verdict: kept.verdict, reason: kept.reason, source: Source::Filter };
                let caller = Arc::clone(&known.caller);
                self.stats.hits = self.stats.hits.saturating_add(1);
                Some(self.give(arrival.stream, Some(caller), behind.somebody().as_ref(), note))
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
        let mut asked = question.into_message(&peer, &self.identity.instance);
        if self.knows_reading(&asked, &peer) {
            asked.reading_under = self.plan.as_ref().map_or_else(Vec::new, |plan| plan.digest().0.to_vec());
        }
        let bytes = asked.encode_to_vec();
        self.pending.insert(stream, Pending { asked, peer, attempts: 1 });
        bytes
    }

    /// Whether the sidecar has told how such requests become a key.
    fn knows_reading(&self, asked: &link::DecideRequest, peer: &Peer) -> bool {
        let known = peer.digest.as_ref().and_then(|digest| self.callers.get(digest));
        let lines = Asked(&asked.headers);
        let asked = request::as_facts(asked, &lines);
        let operation = self.plan.as_ref().and_then(|plan| plan.operation(&asked));
        known.zip(operation).is_some_and(|(known, operation)| known.readings.contains_key(operation))
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
        let behind = (!chain.hops().is_empty()).then_some(&chain);
        Next::Answer(self.give(stream, caller, behind, Note { id, verdict, reason, source: Source::Sidecar }))
    }

    /// Forgets a request or connection that has ended, however it did.
    pub fn closed(&mut self, stream: u32) {
        self.newcomers.take(stream);
        self.pending.remove(&stream);
        self.streams.close(stream);
    }

    /// Repeats the sidecar's refusal of a revoked caller, so that it counts as a repetition.
    fn refuse_again(&mut self, digest: Digest, Refusal { id, until }: Refusal, now: Timestamp) -> Option<Answer> {
        let known = self.callers.get(&digest)?;
        let (verdict, reason, generation) = (Verdict::Deny, Reason::Revoked, known.generation);
        let caller = Arc::clone(&known.caller);
        let kept = Kept { id, verdict, reason, holds_until: until, generation, caller, behind: None };
        self.ledger.add([Tally { kept, count: 1, last: now }]);
        self.stats.hits = self.stats.hits.saturating_add(1);
        self.stats.denied = self.stats.denied.saturating_add(1);
        Some(Answer::Deny(Note { id, verdict, reason, source: Source::Filter }))
    }

    fn ask_again(&mut self, stream: u32, mut pending: Pending) -> Next {
        if pending.attempts >= MAX_ATTEMPTS {
            return Next::Answer(self.refuse(Reason::Contended));
        }
        pending.attempts = pending.attempts.saturating_add(1);
        // What was known then may be forgotten.
        pending.asked.reading_under.clear();
        let bytes = pending.asked.encode_to_vec();
        self.pending.insert(stream, pending);
        Next::Ask(bytes)
    }

    /// Remembers the caller, and the decision if it may be given again.
    fn keep(&mut self, pending: &Pending, response: &Response, now: Timestamp) {
        let Some((caller, digest)) = response.caller.as_ref().zip(pending.peer.digest) else { return };
        // INVARIANT: every caller known was verified under the trust bundles that the plan in force names.
        let Some(plan) = self.plan.as_ref().filter(|plan| response.plan == Some(plan.digest())) else { return };
        let refusal = Refusal { id: response.id, until: response.holds_until };
        let refusal = (response.reason == Reason::Revoked).then_some(refusal);
        let generation = self.callers.learn(Arc::clone(caller), refusal);
        // INVARIANT: who was refused at the gate is in no chain known, so that the sidecar is asked again.
        if response.cacheable {
            let lines = pending.asked.headers.iter().map(|line| (line.name.as_str(), line.value.as_slice()));
            self.chains.learn(&digest, lines, &response.chain);
        }
        if !response.cacheable || response.holds_until <= now {
            return;
        }
        let lines = Asked(&pending.asked.headers);
        let (asked, peer, chain) = (pending.as_facts(&lines), &pending.peer, &response.chain);
        let Some(operation) = plan.operation(&asked) else { return };
        let Some(reading) = self.callers.reading(&digest, operation, response.reading.as_ref()) else { return };
        let request = Keyed { asked, peer, caller, chain, reading: &reading };
        if request.write_key(&self.none_revoked, plan, now, &mut self.key).is_err() {
            return;
        }
        let Response { id, verdict, reason, holds_until, .. } = *response;
        let behind = (!chain.hops().is_empty()).then(|| Arc::clone(chain));
        let kept = Kept { id, verdict, reason, holds_until, generation, caller: Arc::clone(caller), behind };
        let gone = self.decisions.insert(&self.key, kept);
        self.ledger.add(gone);
    }

    fn give(&mut self, stream: u32, caller: Option<Arc<Caller>>, behind: Option<&Arc<Chain>>, note: Note) -> Answer {
        if note.verdict == Verdict::Allow {
            self.streams.open(stream, caller.as_ref(), behind);
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
    asked: facts::Asked<'a>,
    peer: &'a Peer,
    caller: &'a Caller,
    chain: &'a Chain,
    reading: &'a Reading,
}

impl Keyed<'_> {
    /// Asks the gate and, if it admits, writes the key.
    ///
    /// INVARIANT: what a revocation touches is not known here ([`Machine::forget`]), so there is none that the gate could find.
    fn write_key(
        &self,
        none_revoked: &RevocationSet,
        plan: &Plan,
        now: Timestamp,
        key: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        let Self { asked, peer, caller, chain, reading } = *self;
        let (source_ip, destination, sni) = (peer.ip, peer.destination, peer.sni.as_deref());
        let facts = Facts { caller: Presented::Verified(caller), chain, asked, source_ip, destination, sni };
        let admitted = Gate::new(none_revoked, plan).admit(&facts, now).map_err(|denial| denial.reason)?;
        admitted.write_key(reading, key);
        Ok(())
    }
}
