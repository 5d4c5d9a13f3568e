//! The state of everything at one moment, and when two of them are the same.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use countersign::{
    filters::{Connection, Registry, session::Session},
    state::View,
};
use wasm_filter::{Answer, Arrival, Config, Identity, Machine, Peer, Wanted};

use super::{
    bounds::{Said, Seed},
    cast::{self, CONNECTION},
};

/// Everything.
#[derive(Clone)]
pub struct World {
    pub(super) seed: Seed,
    /// True time, in milliseconds; the sidecar's clock.
    pub(super) now: u64,
    /// How far the filter's clock is behind it.
    pub(super) lag: u64,
    /// Before this moment it does not stand still again.
    pub(super) steady_until: u64,
    /// What is durable.
    pub(super) log: Vec<Said>,
    /// Signals sent so far.
    pub(super) sent: usize,
    pub(super) sidecar: Option<Arc<Sidecar>>,
    pub(super) filter: Arc<Filter>,
    /// Questions and answers about requests, in no order.
    pub(super) calls: Vec<Call>,
    pub(super) used: Used,
    pub(super) known: Known,
}

/// A sidecar that runs.
#[derive(Clone)]
pub(super) struct Sidecar {
    pub(super) view: View,
    pub(super) published: u64,
    pub(super) registry: Registry,
    pub(super) links: Vec<Link>,
}

/// The sidecar's end of a stream.
#[derive(Clone, Hash)]
pub(super) struct Link {
    pub(super) id: u8,
    pub(super) session: Session,
    /// From its hello on.
    pub(super) connection: Option<(Connection, Arc<str>)>,
    /// Up to where entries were passed on.
    pub(super) cursor: u64,
    /// Reports on their way; a stream keeps their order.
    pub(super) up: VecDeque<Vec<u8>>,
    /// Whether the filter's end is still there.
    pub(super) is_open: bool,
}

/// A filter that runs.
#[derive(Clone, Hash)]
pub(super) struct Filter {
    pub(super) machine: Machine,
    pub(super) instance: u8,
    pub(super) stream: Option<Stream>,
    /// Requests that were allowed and have not ended.
    pub(super) open: BTreeSet<u32>,
    /// Requests that wait for an answer, each with what was proven when it began.
    pub(super) waiting: BTreeMap<u32, u64>,
    /// For the seeded mistake only: when each question for a lease was sent.
    pub(super) asked: BTreeMap<u64, u64>,
}

/// The filter's end of a stream.
#[derive(Clone, Hash)]
pub(super) struct Stream {
    pub(super) id: u8,
    /// Updates on their way; a stream keeps their order.
    pub(super) down: VecDeque<Vec<u8>>,
    /// Whether the sidecar's end is still there.
    pub(super) is_open: bool,
}

/// A question about a request on its way, or the answer.
#[derive(Clone, Hash)]
pub(super) struct Call {
    pub(super) instance: u8,
    pub(super) request: u32,
    pub(super) answer: Option<Vec<u8>>,
}

/// How much of the bounds is used.
#[derive(Clone, Hash, Default, Debug)]
pub(super) struct Used {
    pub(super) standstills: u8,
    pub(super) requests: u8,
    pub(super) streams: u8,
    pub(super) breaks: u8,
    pub(super) losses: u8,
    pub(super) crashes: u8,
    pub(super) filter_crashes: u8,
    pub(super) gaps: u8,
    pub(super) rollbacks: u8,
}

/// What an outsider knows who sees everything: it decides nothing.
#[derive(Clone, Hash, Default, Debug)]
pub(super) struct Known {
    /// Up to here signals were acknowledged to their senders.
    pub(super) accepted: u64,
    /// Up to here the sidecar has said that they are in force everywhere.
    pub(super) proven: u64,
    /// Up to here the present filter has acknowledged them, as the sidecar booked it.
    pub(super) acknowledged: u64,
    /// A request that began after the proof of its caller's revocation was allowed.
    pub(super) wrong_answer: bool,
    /// A filter went on in a log that is not the one it has seen.
    pub(super) unnoticed: bool,
}

impl World {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            seed,
            now: 0,
            lag: 0,
            steady_until: 0,
            log: Vec::new(),
            sent: 0,
            sidecar: Some(Arc::new(Sidecar {
                view: View::default(),
                published: 0,
                registry: Registry::new(None),
                links: Vec::new(),
            })),
            filter: Arc::new(Filter::new(0)),
            calls: Vec::new(),
            used: Used::default(),
            known: Known::default(),
        }
    }

    /// The filter's clock.
    pub(super) fn filter_now(&self) -> u64 {
        self.now - self.lag
    }

    /// Whether the filter would let the caller pass by itself now.
    pub(super) fn memory_allows(&self) -> bool {
        // A copy is asked: looking changes nothing.
        let mut machine = self.filter.machine.clone();
        let headers = cast::headers();
        let arrival = Arrival {
            stream: u32::MAX,
            connection: CONNECTION,
            asked: Wanted::Request { headers: &headers, protocol: "" },
        };
        matches!(machine.recall(&arrival, cast::timestamp(self.filter_now())), Some(Answer::Allow(..)))
    }

    /// Whether an allow may be the present state of the log, or one after `position`.
    pub(super) fn may_allow_after(&self, position: u64) -> bool {
        (usize::try_from(position).unwrap()..=self.log.len()).any(|end| !cast::revoked(&self.log[..end]))
    }

    pub(super) fn is_sampled(&self, one_of: u64) -> bool {
        self.fingerprint().is_multiple_of(one_of)
    }

    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

impl Filter {
    /// A filter that has just started; `instance` was never there before.
    pub(super) fn new(instance: u8) -> Self {
        let identity = Identity { instance: [instance + 1; 16], node: "envoy".to_owned() };
        let mut machine = Machine::new(&Config::default(), identity);
        machine.meet(CONNECTION, Peer { digest: Some(cast::digest()), ..Peer::default() });
        Self {
            machine,
            instance,
            stream: None,
            open: BTreeSet::new(),
            waiting: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { seed: _, now, lag, steady_until, log, sent, sidecar, filter, calls, used, known } = self;
        (now, lag, steady_until, log, sent, filter, used, known).hash(state);
        // Calls are in no order.
        let mut calls: Vec<u64> = calls.iter().map(hash_of).collect();
        calls.sort_unstable();
        calls.hash(state);
        if let Some(sidecar) = sidecar {
            let Sidecar { view, published, registry, links } = &**sidecar;
            // What a view holds follows from the log up to its position.
            (view.seq, published, registry, links).hash(state);
        }
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint()
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s, log {:?}, {:?}", self.now / cast::SECOND, self.log, self.known)
    }
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
