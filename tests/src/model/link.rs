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

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

use stateright::{Model, Property};

use super::Limited;

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
    /// From when on nothing happens any more.
    pub end: Option<Instant>,
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

    fn within_boundary(&self, _: &World) -> bool {
        self.end.is_none_or(|end| Instant::now() < end)
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

impl Limited for LinkModel {
    fn stop_at(&mut self, end: Instant) {
        self.end = Some(end);
    }
}

impl LinkModel {
    /// A model that makes no mistake, and tries every `sample`th state for whether it converges.
    pub fn new(bounds: Bounds, sample: u64) -> Self {
        Self { bounds, seed: Seed::None, sample, end: None, seen: Arc::default() }
    }

    /// The same with a mistake.
    pub fn with(self, seed: Seed) -> Self {
        Self { seed, ..self }
    }
}

/// What is searched: a name, the model, and how many steps the tests go; `make model` goes as far as time allows.
pub fn models() -> Vec<(&'static str, LinkModel, usize)> {
    let quiet = || Bounds { requests: 1, ..Bounds::QUIET };
    let model = |bounds| LinkModel::new(bounds, 8);
    let again = &[Said::Revoke, Said::Restore, Said::Revoke];
    vec![
        ("link: nothing fails", model(Bounds { seconds: 4, ..quiet() }), 11),
        ("link: streams break", model(Bounds { seconds: 3, breaks: 2, losses: 1, ..quiet() }), 9),
        ("link: the sidecar crashes", model(Bounds { seconds: 4, crashes: 2, ..quiet() }), 9),
        ("link: the filter crashes", model(Bounds { seconds: 3, filter_crashes: 1, ..quiet() }), 9),
        ("link: entries are not at hand", model(Bounds { seconds: 3, gaps: 2, breaks: 1, ..quiet() }), 9),
        ("link: the filter's clock is slow", model(Bounds { seconds: 5, standstills: 2, ..Bounds::QUIET }), 11),
        ("link: revoked again", model(Bounds { signals: again, seconds: 3, requests: 2, ..Bounds::QUIET }), 9),
        ("link: the log is set back", model(Bounds { signals: again, crashes: 1, rollbacks: 1, ..Bounds::QUIET }), 12),
        (
            "link: everything",
            model(Bounds {
                signals: &[Said::Revoke, Said::RevokeOther],
                seconds: 6,
                standstills: 1,
                requests: 2,
                breaks: 2,
                losses: 1,
                crashes: 1,
                filter_crashes: 1,
                gaps: 1,
                rollbacks: 0,
            }),
            7,
        ),
    ]
}

/// Mistakes made on purpose: a model that has to find each, and in how many steps.
pub fn seeded() -> Vec<(LinkModel, usize)> {
    let model = |bounds, seed| LinkModel::new(bounds, u64::MAX).with(seed);
    vec![
        (model(Bounds::QUIET, Seed::AckBeforeApply), 8),
        (model(Bounds { requests: 1, ..Bounds::QUIET }, Seed::InsertWithoutSeqCheck), 11),
        (model(Bounds { seconds: 4, ..Bounds::QUIET }, Seed::LeaseFromArrival), 13),
    ]
}
