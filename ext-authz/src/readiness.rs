//! Whether this sidecar can do its work, and if not, which part is missing; it repairs nothing.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    signals::SignalPlane,
    state::{Part, State},
};

/// Readiness, read from the state of now.
#[derive(Clone)]
pub struct Readiness {
    state: Arc<State>,
    plane: Arc<SignalPlane>,
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
    /// Readiness of `state`, with signals taken by `plane`.
    pub fn new(state: Arc<State>, plane: Arc<SignalPlane>) -> Self {
        Self { state, plane, draining: watch::Sender::new(false) }
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

    /// Whether every part is in, signals are taken and no drain has begun.
    pub fn is_ready(&self) -> bool {
        !*self.draining.borrow() && self.takes_signals() && self.state.load().live().is_some()
    }

    /// Ends when readiness may have changed since this call.
    pub fn changed(&self) -> impl Future<Output = ()> + use<> {
        let (mut state, mut draining) = (self.state.subscribe(), self.draining.subscribe());
        let trouble = self.plane.trouble();
        async move {
            tokio::select! {
                _ = state.changed() => {}
                _ = draining.changed() => {}
                () = trouble => {}
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
        parts.push(signals(self.takes_signals()));
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
        Part::Trust => "no trust bundle accepted yet, see the log for the file that was refused",
    };
    let ok = detail.is_some();
    PartStatus { name: part.as_str(), ok, detail: detail.unwrap_or_else(|| remedy.to_owned()) }
}

fn signals(ok: bool) -> PartStatus {
    let detail = if ok {
        "taken"
    } else {
        "refused, the log can't be written: every request is still decided on what was revoked before; free the disk of signals.log or mend its permissions, then restart"
    };
    PartStatus { name: "signals", ok, detail: detail.to_owned() }
}
