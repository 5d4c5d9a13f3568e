//! The stream behind `Await`: enforcement of one signal until it is complete or the wait is over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use authz_core::signal::Seq;
use tokio::{sync::mpsc, time};
use tonic::Status;

use super::status;
use crate::{
    clock,
    control::{Others, Siblings},
    filters::{self, FilterState, Filters},
    signals::SignalPlane,
    wire::control::{Enforcement, Filter, SidecarEnforcement},
};

/// Sends the first state at once, changes not more often than [`PAUSE`], and the last state always.
pub(super) async fn report(
    plane: &SignalPlane,
    filters: &Filters,
    seq: Seq,
    deadline: Option<Instant>,
    siblings: Option<Arc<dyn Siblings>>,
    out: mpsc::Sender<Result<Enforcement, Status>>,
) {
    let mut settled = filters.subscribe();
    let received = plane.received(seq);
    let mut others = Others::ask(siblings, seq, received);
    let (mut next_due, mut told) = (Instant::now(), None);
    loop {
        settled.mark_unchanged();
        let (now, changes) = (Instant::now(), filters.changes());
        let state = filters.enforcement(seq, received, now);
        let known = others.known();
        let complete = state.is_complete(now) && known.as_ref().is_some_and(|all| all.iter().all(|one| one.complete));
        // The others have their say within a bounded time, also where that is longer than the reader waits: else who is missing
        // would have no name.
        let deadline = deadline.filter(|_| known.is_some());
        let over = complete || deadline.is_some_and(|deadline| deadline <= now);
        let news = (changes, known.clone());
        let due = next_due <= now && told.as_ref() != Some(&news);
        if over || due {
            told = Some(news);
            let sidecars = known.unwrap_or_default();
            if out.send(Ok(Enforcement { complete, sidecars, ..to_wire(seq, &state, now) })).await.is_err() || over {
                return;
            }
        }
        if next_due <= now {
            next_due = now + PAUSE;
        }
        let wake = [state.next_lease_end(now), deadline].into_iter().flatten().fold(next_due, Instant::min);
        tokio::select! {
            _ = settled.changed() => {}
            () = others.changed() => {}
            () = time::sleep_until(wake.into()) => {}
            () = out.closed() => return,
            () = plane.closed() => {
                // If the reader is gone too, nobody misses it.
                let _ = out.send(Err(status::stopping())).await;
                return;
            }
        }
    }
}

/// What is to be told to another sidecar: how far it is in force here.
pub fn own_enforcement(plane: &SignalPlane, filters: &Filters, seq: Seq, now: Instant) -> SidecarEnforcement {
    let head = plane.head();
    let state = filters.enforcement(seq, plane.received(seq), now);
    let Enforcement { enforcing, pending, unreachable, .. } = to_wire(seq, &state, now);
    SidecarEnforcement {
        reachable: true,
        enforced_seq: head.0,
        enforcing,
        pending,
        unreachable,
        complete: head >= seq && state.is_complete(now),
        ..SidecarEnforcement::default()
    }
}

/// How far it is in force in our own filters.
fn to_wire(seq: Seq, state: &filters::Enforcement, now: Instant) -> Enforcement {
    let list = |filters: &[FilterState]| filters.iter().map(|filter| filter_to_wire(filter, now)).collect();
    Enforcement {
        seq: seq.0,
        enforcing: list(&state.enforcing),
        pending: list(&state.pending),
        unreachable: list(&state.unreachable),
        complete: state.is_complete(now),
        sidecars: Vec::new(),
    }
}

fn filter_to_wire(state: &FilterState, now: Instant) -> Filter {
    let FilterState { node, instance, enforced, took, lease_until } = state;
    let until = |until: &Instant| {
        let left = u64::try_from(until.saturating_duration_since(now).as_millis()).unwrap_or(u64::MAX);
        // Rounded up: never say that a lease ends before it does.
        clock::now().saturating_add_millis(left.saturating_add(1)).as_millis()
    };
    Filter {
        instance: instance.to_string(),
        node: node.to_string(),
        enforced_seq: enforced.0,
        took_us: took.map_or(0, |took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1)),
        lease_until_ms: lease_until.as_ref().filter(|at| **at > now).map_or(0, until),
    }
}

/// How often those who wait are told who is still missing; a thousand filters acknowledging are one message, not a thousand.
const PAUSE: Duration = Duration::from_millis(250);
