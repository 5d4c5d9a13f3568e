//! The protocols as models: the product's own transitions, driven in every order that their surroundings may choose, and searched
//! for a state that must not be. It holds no rule of the product, only what surrounds it and what must hold.

pub mod link;
pub mod replicas;

use std::{
    fmt::Debug,
    hash::Hash,
    io::Write,
    time::{Duration, Instant},
};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// What a search came to.
pub struct Found {
    /// Different states seen.
    pub states: usize,
    /// Steps from the beginning to the farthest of them.
    pub depth: usize,
    /// Whether there was nothing left to look at, but for what lies deeper than was asked for.
    pub is_whole: bool,
    /// How long it took.
    pub took: Duration,
    /// What must not be and is: the property, and the steps that lead there.
    pub broken: Vec<(&'static str, String)>,
    /// What should be possible and was not seen.
    pub unseen: Vec<&'static str>,
}

/// A model that can be told to let nothing more happen.
pub trait Limited: Model {
    /// From this moment on no state leads anywhere.
    fn stop_at(&mut self, end: Instant);
}

/// Searches breadth first, the shortest ways first, to `depth` steps or until `patience` is over; `watch` hears of the progress.
pub fn search<M>(mut model: M, depth: usize, patience: Duration, mut watch: impl FnMut(usize, usize, Duration)) -> Found
where
    M: Limited + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let started = Instant::now();
    model.stop_at(started + patience);
    let mut checker =
        model.checker().target_max_depth(depth).finish_when(HasDiscoveries::AnyFailures).threads(threads()).spawn_bfs();
    let handles = checker.handles();
    while handles.iter().any(|handle| !handle.is_finished()) {
        std::thread::sleep(Duration::from_millis(200));
        watch(checker.unique_state_count(), checker.max_depth(), started.elapsed());
    }
    for handle in handles {
        handle.join().expect("the model itself is at fault");
    }
    let took = started.elapsed();
    let mut found = Found {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        is_whole: took < patience,
        took,
        broken: Vec::new(),
        unseen: Vec::new(),
    };
    for property in checker.model().properties() {
        let path = checker.discovery(property.name);
        match property.expectation {
            Expectation::Sometimes if path.is_none() => found.unseen.push(property.name),
            Expectation::Sometimes => {}
            Expectation::Always | Expectation::Eventually => {
                found.broken.extend(path.map(|path| (property.name, steps(&path.into_actions()))));
            }
        }
    }
    found
}

impl Found {
    /// Writes it down for people.
    pub fn write(&self, name: &str, out: &mut impl Write) -> std::io::Result<()> {
        let Self { states, depth, is_whole, took, broken, unseen } = self;
        let whole = if *is_whole { "all of them" } else { "out of time" };
        writeln!(out, "{name}: {states} states to depth {depth} ({whole}) in {:.1} s", took.as_secs_f64())?;
        broken.iter().try_for_each(|(property, path)| writeln!(out, "BROKEN: {property}\n{path}"))?;
        unseen.iter().try_for_each(|property| writeln!(out, "NEVER SEEN: {property}"))
    }
}

fn steps(actions: &[impl Debug]) -> String {
    let line = |(nth, action): (usize, &dyn Debug)| format!("  {:2}. {action:?}\n", nth + 1);
    actions.iter().enumerate().map(|(nth, action)| line((nth, action))).collect()
}

fn threads() -> usize {
    1
}
