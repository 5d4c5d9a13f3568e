//! The end of all faults: everything that is on its way arrives, time passes, and then all must be well. It breaks nothing.

use authz_core::signal::Seq;

use super::{
    actions::{Action, Gap},
    bounds::Bounds,
    cast::{self, SECOND},
    world::World,
};

/// Enough for two leases and the longest pause between two attempts.
const SECONDS: u64 = 12;

/// A world in which the filter has just connected and has a lease; then its memory allows the caller.
pub(super) fn warm(mut world: World) -> World {
    world.happen(Action::Tick);
    world.deliver();
    world.ask();
    world.deliver();
    world.filter_request_ends();
    world
}

/// (c) Whether a world that is left alone comes to enforce all that was accepted, and to serve from memory what it may.
pub(super) fn converges(world: &World) -> bool {
    let mut world = world.clone();
    let end = world.now + SECONDS * SECOND;
    if world.sidecar.is_none() {
        world.happen(Action::Start);
    }
    loop {
        world.deliver();
        if world.is_well() {
            return true;
        }
        if world.now >= end {
            return false;
        }
        world.happen(Action::Pass { standstill: false });
        world.happen(Action::Tick);
    }
}

impl World {
    fn happen(&mut self, action: Action) {
        self.take(&action, &Bounds::QUIET);
        self.settle();
    }

    /// Lets happen what needs neither time nor a fault, until nothing is left.
    fn deliver(&mut self) {
        while let Some(action) = self.next_delivery() {
            self.happen(action);
        }
    }

    fn next_delivery(&self) -> Option<Action> {
        let sidecar = self.sidecar.as_ref()?;
        if sidecar.published < sidecar.view.seq.0 {
            return Some(Action::Publish);
        }
        for (at, link) in sidecar.links.iter().enumerate() {
            if !link.up.is_empty() {
                return Some(Action::Up(at, Gap::No));
            }
            if !link.is_open {
                return Some(Action::SidecarLosesStream(at));
            }
            if link.connection.is_some() && link.cursor < sidecar.published {
                return Some(Action::PassOn(at, Gap::No));
            }
        }
        let stream = self.filter.stream.as_ref();
        if stream.is_some_and(|stream| !stream.down.is_empty()) {
            return Some(Action::Down);
        }
        if stream.is_some_and(|stream| !stream.is_open) {
            return Some(Action::FilterLosesStream);
        }
        let answered = |call: &super::world::Call| call.answer.is_some();
        self.calls
            .iter()
            .position(answered)
            .map(Action::Answer)
            .or((!self.calls.is_empty()).then_some(Action::Decide(0)))
    }

    /// Everything is in force at the filter, which answers the next request rightly and the one after from memory.
    fn is_well(&self) -> bool {
        let Some(sidecar) = &self.sidecar else { return false };
        let (head, now) = (self.log.len() as u64, cast::instant(self.now));
        let state = sidecar.registry.enforcement(Seq(head), None, now);
        let acknowledged = state.enforcing.iter().any(|filter| *filter.instance == *self.filter.name());
        if head > self.known.proven || !acknowledged && head > 0 {
            return false;
        }
        let mut next = self.clone();
        next.ask();
        next.deliver();
        let request = u32::from(next.used.requests);
        let allowed = next.filter.open.contains(&request);
        allowed != cast::revoked(&self.log) && allowed == next.memory_allows()
    }
}
