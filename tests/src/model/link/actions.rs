//! What can happen next, and what it does; the two sides do their parts elsewhere.

use std::sync::Arc;

use super::{
    bounds::Bounds,
    cast::{self, SECOND, TERMS},
    world::{Filter, World},
};

/// One thing that happens.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// The answer about the nth call comes to the filter.
    Answer(usize),
    /// A request comes to the filter, which asks about it.
    Ask,
    /// The sidecar's process ends.
    Crash,
    /// The filter's process ends, and another one starts.
    CrashFilter,
    /// The sidecar decides the nth call.
    Decide(usize),
    /// The next update comes to the filter.
    Down,
    /// The filter sees that its stream is gone.
    FilterLosesStream,
    /// The nth call, or its answer, is lost.
    Lose(usize),
    /// The sidecar passes on what is new to the nth stream, or starts it over as it is not at hand.
    PassOn(usize, Gap),
    /// A second passes; the filter's clock stands still meanwhile, or not.
    Pass {
        /// Whether it stands still.
        standstill: bool,
    },
    /// What took effect is told, and acknowledged to its sender.
    Publish,
    /// The last entry of the log is gone.
    RollBack,
    /// The sidecar sees that the nth stream is gone.
    SidecarLosesStream(usize),
    /// A signal becomes durable and takes effect in the sidecar; between the two there is nothing to be seen.
    Signal,
    /// The sidecar starts, on the log as it is.
    Start,
    /// The filter does what is due.
    Tick,
    /// The next report of the nth stream comes to the sidecar; what the filter has not got is at hand, or not.
    Up(usize, Gap),
}

/// Whether the entries a filter needs have left the sidecar's memory.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Gap {
    /// They are there.
    No,
    /// They are not.
    Yes,
}

/// Everything that can happen in `world`, within `bounds`.
pub(super) fn possible(world: &World, bounds: &Bounds) -> Vec<Action> {
    let mut actions = Vec::new();
    of_the_sidecar(world, bounds, &mut actions);
    of_the_filter(world, bounds, &mut actions);
    of_the_calls(world, bounds, &mut actions);
    if world.now < u64::from(bounds.seconds) * SECOND {
        actions.push(Action::Pass { standstill: false });
        if world.used.standstills < bounds.standstills && world.steady_until <= world.now {
            actions.push(Action::Pass { standstill: true });
        }
    }
    actions
}

fn of_the_sidecar(world: &World, bounds: &Bounds, actions: &mut Vec<Action>) {
    let Some(sidecar) = &world.sidecar else {
        actions.push(Action::Start);
        if world.used.rollbacks < bounds.rollbacks && !world.log.is_empty() {
            actions.push(Action::RollBack);
        }
        return;
    };
    if world.sent < bounds.signals.len() {
        actions.push(Action::Signal);
    }
    if sidecar.published < sidecar.view.seq.0 {
        actions.push(Action::Publish);
    }
    if world.used.crashes < bounds.crashes {
        actions.push(Action::Crash);
    }
    let gaps = if world.used.gaps < bounds.gaps { &[Gap::No, Gap::Yes][..] } else { &[Gap::No] };
    for (at, link) in sidecar.links.iter().enumerate() {
        if link.connection.is_some() && link.cursor < sidecar.published {
            actions.extend(gaps.iter().map(|gap| Action::PassOn(at, *gap)));
        }
        if !link.up.is_empty() {
            let gaps = if link.connection.is_some() { &[Gap::No][..] } else { gaps };
            actions.extend(gaps.iter().map(|gap| Action::Up(at, *gap)));
        }
        if !link.is_open || world.used.breaks < bounds.breaks {
            actions.push(Action::SidecarLosesStream(at));
        }
    }
}

fn of_the_filter(world: &World, bounds: &Bounds, actions: &mut Vec<Action>) {
    actions.push(Action::Tick);
    if world.used.requests < bounds.requests {
        actions.push(Action::Ask);
    }
    if world.used.filter_crashes < bounds.filter_crashes {
        actions.push(Action::CrashFilter);
    }
    if let Some(stream) = &world.filter.stream {
        if !stream.down.is_empty() {
            actions.push(Action::Down);
        }
        if !stream.is_open || world.used.breaks < bounds.breaks {
            actions.push(Action::FilterLosesStream);
        }
    }
}

fn of_the_calls(world: &World, bounds: &Bounds, actions: &mut Vec<Action>) {
    for (at, call) in world.calls.iter().enumerate() {
        match &call.answer {
            Some(_) => actions.push(Action::Answer(at)),
            None if world.sidecar.is_some() => actions.push(Action::Decide(at)),
            None => {}
        }
        if world.used.losses < bounds.losses {
            actions.push(Action::Lose(at));
        }
    }
}

impl World {
    pub(super) fn take(&mut self, action: &Action, bounds: &Bounds) {
        match *action {
            Action::Answer(at) => self.answer(at),
            Action::Ask => self.ask(),
            Action::Crash => self.crash(),
            Action::CrashFilter => self.crash_filter(),
            Action::Decide(at) => self.decide(at),
            Action::Down => self.down(),
            Action::FilterLosesStream => self.filter_loses_stream(),
            Action::Lose(at) => self.lose(at),
            Action::PassOn(at, gap) => self.pass_on(at, gap),
            Action::Pass { standstill } => self.pass(standstill),
            Action::Publish => self.publish(),
            Action::RollBack => self.roll_back(),
            Action::SidecarLosesStream(at) => self.sidecar_loses_stream(at),
            Action::Signal => self.signal(bounds),
            Action::Start => self.start(),
            Action::Tick => self.tick(),
            Action::Up(at, gap) => self.up(at, gap),
        }
    }

    fn pass(&mut self, standstill: bool) {
        self.now += SECOND;
        if standstill {
            self.used.standstills += 1;
            self.lag += SECOND;
            self.steady_until = self.now + u64::try_from(TERMS.ttl.as_millis()).unwrap();
        }
    }

    fn signal(&mut self, bounds: &Bounds) {
        self.log.push(bounds.signals[self.sent]);
        self.sent += 1;
        self.apply();
    }

    fn roll_back(&mut self) {
        self.used.rollbacks += 1;
        self.log.pop();
        // What is gone can't be kept: from here on it only matters that somebody notices.
        let left = self.log.len() as u64;
        self.known.accepted = self.known.accepted.min(left);
        self.known.proven = self.known.proven.min(left);
        self.known.acknowledged = self.known.acknowledged.min(left);
    }

    fn crash_filter(&mut self) {
        self.used.filter_crashes += 1;
        self.filter_end_is_gone();
        let next = self.filter.instance + 1;
        self.filter = Arc::new(Filter::new(next));
        self.calls.retain(|call| call.instance == next);
        self.known.acknowledged = 0;
    }

    /// What an outsider concludes from what has just happened.
    pub(super) fn settle(&mut self) {
        let Some(sidecar) = &self.sidecar else { return };
        let now = cast::instant(self.now);
        for seq in 1..=sidecar.published {
            let state = sidecar.registry.enforcement(authz_core::signal::Seq(seq), None, now);
            if state.enforcing.iter().any(|filter| *filter.instance == *self.filter.name()) {
                self.known.acknowledged = self.known.acknowledged.max(seq);
            }
            if state.is_complete(now) {
                self.known.proven = self.known.proven.max(seq);
            }
        }
    }
}
