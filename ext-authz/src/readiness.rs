//! Whether this sidecar can do its work, and if not, which part is missing; it repairs nothing.

use std::{sync::Arc, time::Duration};

use authz_core::time::Timestamp;
use tokio::sync::watch;

use crate::{
    clock,
    degraded::{Condition, Conduct, Degraded, Standing},
    identity::{OwnIdentity, OwnSvid},
    signals::{FleetState, Refused, SignalPlane},
    state::{Part, State},
};

/// Readiness, read from the state of now.
#[derive(Clone)]
pub struct Readiness {
    state: Arc<State>,
    plane: Arc<SignalPlane>,
    /// Our own SVID, where a listener needs one.
    own: Option<OwnIdentity>,
    degraded: Degraded,
    draining: watch::Sender<bool>,
}

/// One part as the verbose answer shows it.
pub struct PartStatus {
    /// Name of the part.
    pub name: &'static str,
    /// Whether it is in.
    pub ok: bool,
    /// What it says, or what to do.
    pub detail: String,
}

impl Readiness {
    /// Readiness of `state`, with signals taken by `plane`, and an SVID in `own` if a listener needs one.
    pub fn new(state: Arc<State>, plane: Arc<SignalPlane>, own: Option<OwnIdentity>, degraded: Degraded) -> Self {
        Self { state, plane, own, degraded, draining: watch::Sender::new(false) }
    }

    /// From now on not ready: the process is about to end.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Whether the process is about to end.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Whether signals are taken: a sidecar that can't revoke must not look well.
    pub fn takes_signals(&self) -> bool {
        self.plane.is_healthy()
    }

    /// Whether listeners with TLS can show who we are, if there are any.
    pub fn has_own_svid(&self) -> bool {
        let holds = |svid: Arc<OwnSvid>| svid.holds_at(clock::now());
        self.own.as_ref().is_none_or(|own| own.current().is_some_and(holds))
    }

    /// Whether the log was whole once in this process, and requests are not denied for its loss.
    pub fn knows_log(&self) -> bool {
        let standing = self.degraded.current();
        standing.view_age.is_some() && standing.trouble != Some((Condition::LogLost, Conduct::Deny))
    }

    /// Why the stream of the fleet is not followed although it is there, if so: somebody has to look at it.
    pub fn fleet_refused(&self) -> Option<Refused> {
        self.plane.fleet().and_then(|fleet| fleet.borrow().refused.clone())
    }

    /// Whether every part is in, the log is known, signals are taken, listeners have the SVID they need, and no drain has begun.
    pub fn is_ready(&self) -> bool {
        let live = self.takes_signals() && self.has_own_svid() && self.state.load().live().is_some();
        live && self.knows_log() && self.fleet_refused().is_none() && !*self.draining.borrow()
    }

    /// Ends when readiness may have changed since this call.
    pub fn changed(&self) -> impl Future<Output = ()> + use<> {
        let (mut state, mut draining) = (self.state.subscribe(), self.draining.subscribe());
        let (trouble, own) = (self.plane.trouble(), own_changed(self.own.clone()));
        let (mut degraded, fleet) = (self.degraded.subscribe(), fleet_changed(self.plane.fleet()));
        async move {
            tokio::select! {
                _ = state.changed() => {}
                _ = draining.changed() => {}
                () = trouble => {}
                _ = degraded.changed() => {}
                () = fleet => {}
                () = own => {}
            }
        }
    }

    /// Every part, for people.
    pub fn parts(&self) -> Vec<PartStatus> {
        let snapshot = self.state.load();
        let detail = |part: Part| match part {
            Part::Log => {
                snapshot.view().map(|view| format!("seq {}, {} scopes revoked", view.seq, view.revocations.len()))
            }
            Part::Policy => snapshot.policy().map(|it| format!("{} policies, digest {}", it.len(), it.digest())),
            Part::Trust => snapshot.has(Part::Trust).then(|| "bundles loaded".to_owned()),
        };
        let mut parts: Vec<PartStatus> = Part::ALL.iter().map(|part| status(*part, detail(*part))).collect();
        parts.push(view(self.degraded.current(), self.knows_log()));
        parts.extend(self.plane.fleet().map(|state| fleet(&state.borrow())));
        parts.push(signals(self.takes_signals()));
        parts.extend(self.own.as_ref().map(|own| identity(own.current().as_deref(), clock::now())));
        let draining = *self.draining.borrow();
        let detail = if draining { "draining, the process was told to stop" } else { "serving" };
        parts.push(PartStatus { name: "drain", ok: !draining, detail: detail.to_owned() });
        parts
    }
}

fn status(part: Part, detail: Option<String>) -> PartStatus {
    let remedy = match part {
        Part::Log => "not replayed yet, see the log for what keeps signals.log from opening",
        Part::Policy => "no policy set accepted yet, see the log or run `countersign policy validate`",
        Part::Trust => {
            "no trust bundle accepted yet, see the log for the file that was refused or the agent that can't be heard"
        }
    };
    let ok = detail.is_some();
    PartStatus { name: part.as_str(), ok, detail: detail.unwrap_or_else(|| remedy.to_owned()) }
}

/// Ends when another SVID is in force, or the one in force begins or ends.
fn own_changed(own: Option<OwnIdentity>) -> impl Future<Output = ()> + use<> {
    // Subscribed before the future is first polled, so that no change falls between.
    let watched = own.map(|own| (own.subscribe(), own.current()));
    async move {
        let Some((mut changes, svid)) = watched else { return std::future::pending().await };
        let now = clock::now();
        let moments = svid.map(|svid| [svid.not_before(), svid.not_after()]).into_iter().flatten();
        let next = moments.map(|at| at.as_millis().saturating_sub(now.as_millis())).filter(|left| *left > 0).min();
        tokio::select! {
            _ = changes.changed() => {}
            () = tokio::time::sleep(next.map_or(LONGEST_WAIT, |left| Duration::from_millis(left + 1).min(LONGEST_WAIT))) => {}
        }
    }
}

fn identity(svid: Option<&OwnSvid>, now: Timestamp) -> PartStatus {
    let (ok, detail) = match svid {
        None => (false, "no SVID of our own, TCP listeners answer nobody: see the log for why the files of identity.svid or the Workload API give none".to_owned()),
        Some(svid) if !svid.holds_at(now) => (false, format!("own SVID {} is not valid now, TCP listeners answer nobody new: renew the files of identity.svid or see the Workload API", svid.id())),
        Some(svid) => (true, svid.id().to_string()),
    };
    PartStatus { name: "identity", ok, detail }
}

/// Asking once more does no harm.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

fn view(standing: Standing, ok: bool) -> PartStatus {
    let age = standing.view_age.map(|age| format!("{:.1} s old", age.as_secs_f64()));
    let detail = match (standing.trouble, age) {
        (Some((Condition::LogLost, conduct)), age) => {
            let age = age.unwrap_or_else(|| "never whole since the start".to_owned());
            format!(
                "log_lost: what others revoked may not be known here, the view is {age}; requests: {}; see signals.nats \
                 and the log of this sidecar for why the log can't be followed",
                conduct.as_str()
            )
        }
        (Some((condition, conduct)), _) => format!("{}; requests: {}", condition.as_str(), conduct.as_str()),
        (None, age) => age.unwrap_or_default(),
    };
    PartStatus { name: "view", ok, detail }
}

/// Ends when a stream is refused that was not, or the other way round.
fn fleet_changed(state: Option<watch::Receiver<FleetState>>) -> impl Future<Output = ()> + use<> {
    let before = state.as_ref().map(|state| state.borrow().refused.is_some());
    async move {
        match (state, before) {
            (Some(mut state), Some(before)) => {
                // A stream that nobody follows any more changes nothing.
                if state.wait_for(|state| state.refused.is_some() != before).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            _ => std::future::pending().await,
        }
    }
}

fn fleet(state: &FleetState) -> PartStatus {
    let detail = match (&state.refused, &state.trouble) {
        (Some(refused), _) => format!("the stream of signals is refused: {refused}"),
        (None, Some(trouble)) => format!("the stream of signals is out of reach: {trouble}"),
        (None, None) if state.caught_up => format!("following, the stream ends at {}", state.end),
        (None, None) => format!("catching up, the stream ends at {}", state.end),
    };
    PartStatus { name: "fleet", ok: state.refused.is_none(), detail }
}

fn signals(ok: bool) -> PartStatus {
    let detail = if ok {
        "taken"
    } else {
        "refused, the log can't be written: every request is still decided on what was revoked before; free the disk of signals.log or mend its permissions, it is tried again every few seconds"
    };
    PartStatus { name: "signals", ok, detail: detail.to_owned() }
}
