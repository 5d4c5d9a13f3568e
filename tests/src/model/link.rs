//! One sidecar, its log, one Envoy's filter and all that can happen to them and between them, as a stateright model.
//!
//! Real: the filter's machine, the sidecar's session, registry and view, and every message as bytes. Modelled: the transport,
//! the log's file, the clocks, the requests, and policies (whoever is not revoked is allowed).

mod actions;
mod bounds;
mod cast;
mod closing;
mod filter;
mod judge;
mod sidecar;
mod world;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use stateright::{Model, Property};

pub use self::{
    actions::Action,
    bounds::{Bounds, Said, Seed},
    world::World,
};

/// The model within its bounds.
#[derive(Clone, Debug)]
pub struct LinkModel {
    /// What may happen, and how often.
    pub bounds: Bounds,
    /// The mistake that is made on purpose.
    pub seed: Seed,
    /// Of how many states one is tried for whether it would still converge.
    pub sample: u64,
    /// What was seen to be possible, and is not looked for again.
    pub seen: Arc<AtomicBool>,
}

impl Model for LinkModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.seed), closing::warm(World::new(self.seed))]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend(actions::possible(world, &self.bounds));
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.take(&action, &self.bounds);
        next.settle();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no allow from memory after the proof of a revocation", |_, world: &World| {
                judge::memory_keeps_to_the_proof(world)
            }),
            Property::always("no request is open that its filter has acknowledged as revoked", |_, world: &World| {
                judge::open_requests_keep_to_the_acknowledgement(world)
            }),
            Property::always("no request that began after the proof is allowed", |_, world: &World| {
                !world.known.wrong_answer
            }),
            Property::always("what was accepted is in force in every sidecar that runs", |_, world: &World| {
                judge::accepted_is_in_force(world)
            }),
            Property::always("a log that was set back is noticed, and nothing goes on from it", |_, world: &World| {
                !world.known.unnoticed
            }),
            Property::always("once faults end all is enforced and served", |model: &Self, world: &World| {
                !world.is_sampled(model.sample) || closing::converges(world)
            }),
            Property::sometimes("memory gives an allow", |model: &Self, world: &World| {
                !model.seen.load(Relaxed) && world.memory_allows() && !model.seen.swap(true, Relaxed)
            }),
            Property::sometimes("a revocation is proven by acknowledgement", |_, world: &World| {
                judge::is_proven_by_word(world)
            }),
            Property::sometimes("a revocation is proven by the end of a lease", |_, world: &World| {
                judge::is_proven_by_time(world)
            }),
        ]
    }
}

impl LinkModel {
    /// A model that makes no mistake, and tries every `sample`th state for whether it converges.
    pub fn new(bounds: Bounds, sample: u64) -> Self {
        Self { bounds, seed: Seed::None, sample, seen: Arc::default() }
    }

    /// The same with a mistake.
    pub fn with(self, seed: Seed) -> Self {
        Self { seed, ..self }
    }
}

/// What `make test` searches: a few faults at a time.
pub fn brief() -> Vec<(&'static str, LinkModel)> {
    vec![("link: a stream breaks", LinkModel::new(Bounds { seconds: 3, requests: 1, breaks: 1, ..Bounds::QUIET }, 16))]
}

/// What `make model` searches, as far as time allows: every fault, more than once.
pub fn deep() -> Vec<(&'static str, LinkModel)> {
    let quiet = Bounds::QUIET;
    vec![
        ("link: nothing", LinkModel::new(Bounds { seconds: 3, requests: 1, ..quiet.clone() }, 1)),
        ("link: break", LinkModel::new(Bounds { seconds: 3, requests: 1, breaks: 1, ..quiet.clone() }, 1)),
        ("link: crash", LinkModel::new(Bounds { seconds: 4, requests: 1, crashes: 1, ..quiet.clone() }, 1)),
        ("link: gap", LinkModel::new(Bounds { seconds: 2, requests: 1, gaps: 1, ..quiet.clone() }, 1)),
        ("link: drift", LinkModel::new(Bounds { seconds: 4, standstills: 2, ..quiet.clone() }, 1)),
    ]
}
