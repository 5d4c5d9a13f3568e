//! What one filter was told on its stream and what it made of it, as a value: input and the time go in, messages come out. It
//! knows no transport, no lock and no clock; the watch moves its bytes and books what it says.

mod message;

use std::{
    hash::{Hash, Hasher},
    time::{Duration, Instant},
};

use authz_core::{
    revocation::{Mark, RevocationSet},
    scope::Scope,
    signal::Seq,
};

use super::Received;
use crate::{
    signals::{Entry, Fingerprint, History},
    wire::link::{Hello, Lease, Plan, Report, Update},
};

pub use message::wire_plan;

/// One stream of one filter, from its hello on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    terms: Terms,
    basis: Option<[u8; 32]>,
    // INVARIANT: the last position stated on this stream; the filter can't have more in force.
    delivered: Seq,
    // From when it was told to start over until it has: what it says of positions is about what it then forgets.
    starting_over: bool,
    enforced: Seq,
    owes_since: Option<Instant>,
}

/// For how long a filter may answer alone.
///
/// The filter counts on its own clock. What that may lose against ours within a lease, by its rate or because it was set back
/// between two looks at it, is taken off beforehand: so the end that is stated here stays a true bound.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Terms {
    /// By our clock, from when the lease was granted.
    pub lease: Duration,
    /// By the filter's, from when it asked.
    pub ttl: Duration,
}

/// How a stream begins.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Start {
    /// With what came after this position, if it is at hand; else anew.
    After(Seq),
    /// With everything that is revoked now: the filter has nothing of this log.
    Anew,
    /// The same, because the filter has seen another past than this log has.
    Contradicted(Contradiction),
}

/// How the past that a filter has seen differs from that of the log: the log was set back, or is another one.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Contradiction {
    /// It has seen positions that the log has not reached.
    Ahead,
    /// It has seen something else at a position that the log has.
    Differs,
}

/// What one report says and gets.
#[derive(Clone, PartialEq, Debug)]
pub struct Heard {
    /// Everything up to here is in force in the filter.
    pub acknowledged: Option<Acknowledged>,
    /// It may answer alone until then. To be booked before the answer is sent: a lease that is under way counts as held.
    pub lease_until: Option<Instant>,
}

/// An acknowledgement that counts.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Acknowledged {
    /// The position.
    pub seq: Seq,
    /// Whether it was put in force on this stream, so that its time says how long that took.
    pub is_news: bool,
}

impl Session {
    /// Leases granted from now on are on these terms.
    pub fn set_terms(&mut self, terms: Terms) {
        self.terms = terms;
    }

    /// A stream whose filter gets leases on these terms.
    pub fn new(terms: Terms) -> Self {
        Self { terms, basis: None, delivered: Seq(0), starting_over: false, enforced: Seq(0), owes_since: None }
    }

    /// The message that tells of the policies and bundles named `basis`, unless the filter knows.
    pub fn plan(&mut self, basis: [u8; 32], plan: impl FnOnce() -> Plan) -> Option<Update> {
        if self.basis.replace(basis) == Some(basis) {
            return None;
        }
        Some(Update { plan: Some(Plan { digest: basis.to_vec(), ..plan() }), ..Update::default() })
    }

    /// Where a filter that says `hello` goes on, by the log's own past.
    ///
    /// A filter that does not say what it saw is believed as far as the log reaches, as before there were fingerprints.
    pub fn start(hello: &Hello, history: &impl History) -> Start {
        let last = Seq(hello.last_seq);
        if last == Seq(0) {
            return Start::Anew;
        }
        if hello.last_fingerprint.is_empty() {
            return if last > history.head() { Start::Anew } else { Start::After(last) };
        }
        if last > history.head() {
            return Start::Contradicted(Contradiction::Ahead);
        }
        match history.fingerprint(last) {
            Some(ours) if *ours.as_bytes() == *hello.last_fingerprint => Start::After(last),
            Some(_) => Start::Contradicted(Contradiction::Differs),
            // What can't be compared proves nothing.
            None => Start::Anew,
        }
    }

    /// Everything the filter has is good up to `seq`: it hears what follows.
    pub fn resume(&mut self, seq: Seq, history: &impl History) -> Update {
        self.state(seq, history.fingerprint(seq))
    }

    /// Makes the filter start over. What follows, in this order: [`Session::revoked`] until all is said, and
    /// [`Session::resynced`].
    pub fn resync(&mut self) -> Update {
        self.starting_over = true;
        Update { resync: true, ..Update::default() }
    }

    /// The next part of what is revoked at `seq`, or nothing if all was said. Takes no more from `marks` than one message has.
    pub fn revoked<'m>(seq: Seq, marks: &mut impl Iterator<Item = (&'m Scope, Mark)>) -> Option<Update> {
        let invalidations: Vec<_> =
            marks.take(MAX_INVALIDATIONS).map(|(scope, mark)| message::revocation(seq, scope, mark)).collect();
        (!invalidations.is_empty()).then(|| Update { invalidations, ..Update::default() })
    }

    /// Everything up to `seq`, and maybe more, was said.
    pub fn resynced(&mut self, seq: Seq, history: &impl History, now: Instant) -> Update {
        self.owes_since.get_or_insert(now);
        self.state(seq, history.fingerprint(seq))
    }

    /// Tells of entries of the log, which follow what was said; at most [`MAX_INVALIDATIONS`] of them. `revocations` are
    /// those of a view that holds the entries.
    pub fn pass_on(
        &mut self,
        entries: &[Entry],
        revocations: &RevocationSet,
        history: &impl History,
        now: Instant,
    ) -> Update {
        let invalidations = entries.iter().flat_map(|entry| message::invalidations(entry, revocations)).collect();
        let last = entries.last().map_or(self.delivered, |entry| entry.seq);
        self.owes_since.get_or_insert(now);
        Update { invalidations, ..self.state(last, history.fingerprint(last)) }
    }

    /// Takes a report; what it says is to be booked before it is answered.
    pub fn hear(&mut self, report: &Report, now: Instant) -> Heard {
        // The filter counts from when it sent the beat, which was before now: it ends no later than this.
        let lease_until = (report.beat != 0).then(|| now + self.terms.lease);
        Heard { acknowledged: self.acknowledge(Seq(report.enforced_seq), now), lease_until }
    }

    /// The answer to a report, if it gets one.
    pub fn answer(&self, report: &Report, received: Received) -> Option<Update> {
        let ttl_ms = u64::try_from(self.terms.ttl.as_millis()).unwrap_or(u64::MAX);
        let lease = (report.beat != 0).then_some(Lease { beat: report.beat, ttl_ms });
        let is_due = lease.is_some() || report.number != 0;
        is_due.then(|| Update { lease, received_report: received.highest, ..Update::default() })
    }

    /// The last position the filter was told.
    pub fn delivered(&self) -> Seq {
        self.delivered
    }

    /// Since when the filter has acknowledged nothing new although it was told of something.
    pub fn owes_since(&self) -> Option<Instant> {
        self.owes_since
    }

    fn state(&mut self, seq: Seq, fingerprint: Option<Fingerprint>) -> Update {
        self.delivered = seq;
        // Position 0 alone would say nothing, and a resync from an empty log must end too.
        let fingerprint = fingerprint.or((seq == Seq(0)).then_some(Fingerprint::EMPTY));
        let fingerprint = fingerprint.map(|it| it.as_bytes().to_vec()).unwrap_or_default();
        Update { seq: seq.0, fingerprint, ..Update::default() }
    }

    /// Positions of another log, or of what the filter is about to forget, are no acknowledgement.
    fn acknowledge(&mut self, seq: Seq, now: Instant) -> Option<Acknowledged> {
        self.starting_over &= seq > Seq(0);
        if self.starting_over || seq > self.delivered {
            return None;
        }
        // Positions from before this stream were enforced long ago: their time says nothing.
        let is_news = seq > self.enforced && self.enforced > Seq(0);
        if seq >= self.delivered {
            self.owes_since = None;
        } else if seq > self.enforced {
            self.owes_since = Some(now);
        }
        self.enforced = self.enforced.max(seq);
        Some(Acknowledged { seq, is_news })
    }
}

/// Since when it owes decides nothing that is said.
impl Hash for Session {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { terms, basis, delivered, starting_over, enforced, owes_since: _ } = self;
        (terms, basis, delivered, starting_over, enforced).hash(state);
    }
}

impl Terms {
    /// Leases of this length, for filters whose clock loses no more than a sixteenth of it meanwhile.
    pub fn of(lease: Duration) -> Self {
        Self { lease, ttl: lease.saturating_sub(lease / 16) }
    }
}

impl Contradiction {
    /// Every kind.
    pub const ALL: &[Self] = &[Self::Ahead, Self::Differs];

    /// The name in metrics and audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Differs => "differs",
        }
    }
}

/// Most revocations in one message: about 200 bytes each, far below gRPC's limit of 4 MiB.
pub const MAX_INVALIDATIONS: usize = 1000;

#[cfg(test)]
mod tests;
