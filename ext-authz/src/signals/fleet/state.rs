//! How a sidecar stands to the stream of its fleet, for readiness, status and those who submit. It changes nothing.

use authz_core::signal::Seq;

use super::follower::Refusal;

/// How this sidecar stands to the stream now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FleetState {
    /// Whether the stream is reached and followed.
    pub reachable: bool,
    /// Whether, since the start, all that was in the stream at some moment was in force here.
    pub caught_up: bool,
    /// The end of the stream as last heard.
    pub end: Seq,
    /// Why the stream is not followed although it is there; what was revoked stays so.
    pub refused: Option<Refused>,
    /// Why the stream is not reached, if it is not.
    pub trouble: Option<String>,
}

/// Why a stream is not followed, and the way out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct Refused {
    /// What is wrong with it.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Refused {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.to_string(), remedy(refusal))
    }
}

impl FleetState {
    /// Whether nothing more can be hoped for by waiting: caught up, out of reach, or refused.
    pub fn is_settled(&self) -> bool {
        self.caught_up || self.refused.is_some() || self.trouble.is_some()
    }
}

impl Refusal {
    /// The name in metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Behind { .. } => "behind",
            Self::Differs(_) => "differs",
            Self::Hole(_) => "hole",
            Self::Purged { .. } => "purged",
            Self::Replaced => "replaced",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// All names in metrics, with that of a stream whose settings are wrong.
    pub const NAMES: &'static [&'static str] =
        &["behind", "differs", "hole", "purged", "replaced", "unfit", "unreadable"];
}

/// What to do about it.
fn remedy(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Behind { .. } => {
            "put the stream's own store back, or start this sidecar once with signals.nats.import: true to bring back what is lost"
        }
        Refusal::Differs(_) | Refusal::Replaced => {
            "if the stream is the right one, start this sidecar once with signals.nats.import: true, which brings its signals into it"
        }
        Refusal::Hole(_) => {
            "a stream with a hole can't be trusted: make a new one under another signals.nats.stream and start the sidecar that knows most with signals.nats.import: true"
        }
        Refusal::Purged { .. } => {
            "restart this sidecar, it then loads a snapshot; or let one that has all make a snapshot"
        }
        Refusal::Unreadable(_) => {
            "run the version of Countersign that wrote it, or find out who else publishes into the stream"
        }
    }
}
