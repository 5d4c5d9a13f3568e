//! Signals between the control protocol and the core; refuses what it can't understand and puts nothing in force.

use std::sync::Arc;

use authz_core::{
    scope::{InvalidScope, ScopeKind},
    signal::{Action, MAX_LATENESS_MS, Outcome, Seq, Signal},
    standing::{InvalidPosture, InvalidRisk, Posture},
    time::Timestamp,
};
use authz_wire::control::{self, Kind, SubmitRequest};

mod action;

use action::Asked;

/// A message that is no signal.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidSignal {
    /// No such kind.
    #[error("kind {0} is unknown, send KIND_REVOKE (1), KIND_RESTORE (2), KIND_RISK (3) or KIND_POSTURE (4)")]
    Kind(i32),
    /// Something that this kind of signal does not have.
    #[error("{field} is set on a {kind} signal, which has none; leave it out")]
    Misplaced {
        /// The field.
        field: &'static str,
        /// The kind of the signal.
        kind: &'static str,
    },
    /// Something that this kind of signal must have.
    #[error("{field} is missing on a {kind} signal, send it")]
    Missing {
        /// The field.
        field: &'static str,
        /// The kind of the signal.
        kind: &'static str,
    },
    /// Posture of what has none.
    #[error("a {} has no posture; send it of a device, agent, certificate, spiffe-id or path-prefix", .0.as_str())]
    PostureOf(ScopeKind),
    /// Attributes that can't be kept.
    #[error("posture: {0}")]
    Posture(#[from] InvalidPosture),
    /// A number that is no risk.
    #[error(transparent)]
    Risk(#[from] InvalidRisk),
    /// The scope can't be read.
    #[error(transparent)]
    Scope(#[from] InvalidScope),
    /// A signal of the log without position.
    #[error("seq is 0, the first signal of a log has 1")]
    Seq,
    /// A text is too long or would not print.
    #[error("{field} {why}")]
    Text {
        /// The field.
        field: &'static str,
        /// What is wrong with it and what to do.
        why: String,
    },
    /// A time that can't be meant.
    #[error("{field} {value} {why}")]
    Time {
        /// The field.
        field: &'static str,
        /// Its value, in milliseconds since the epoch.
        value: u64,
        /// What is wrong with it and what to do.
        why: &'static str,
    },
}

/// The wire form of one entry of the log.
pub fn to_wire(seq: Seq, signal: &Signal) -> control::Signal {
    let wire = control::Signal {
        seq: seq.0,
        id: signal.id.to_string(),
        scope: signal.scope.to_string(),
        who: signal.who.to_string(),
        why: signal.why.to_string(),
        source: signal.source.to_string(),
        at_ms: signal.at.as_millis(),
        event_at_ms: signal.event_at.map(Timestamp::as_millis),
        ..control::Signal::default()
    };
    match &signal.action {
        Action::Posture(posture, expires_at) => control::Signal {
            kind: Kind::Posture.into(),
            posture: Some(posture_to_wire(posture)),
            expires_at_ms: bound_to_wire(*expires_at),
            ..wire
        },
        Action::Restore => control::Signal { kind: Kind::Restore.into(), ..wire },
        Action::Revoke(mark) => control::Signal {
            kind: Kind::Revoke.into(),
            issued_before_ms: bound_to_wire(mark.issued_before),
            expires_at_ms: bound_to_wire(mark.expires_at),
            ..wire
        },
        Action::Risk(score, expires_at) => control::Signal {
            kind: Kind::Risk.into(),
            risk: Some(score.get().into()),
            expires_at_ms: bound_to_wire(*expires_at),
            ..wire
        },
    }
}

/// The wire form of what a signal changed.
pub fn outcome(outcome: Outcome) -> control::Outcome {
    match outcome {
        Outcome::Changed => control::Outcome::Changed,
        Outcome::Superseded => control::Outcome::Superseded,
        Outcome::Unchanged => control::Outcome::Unchanged,
    }
}

/// Reads one entry of the log, as written by [`to_wire`].
pub fn from_wire(message: control::Signal) -> Result<(Seq, Signal), InvalidSignal> {
    let control::Signal { seq, id, kind, scope, who, why, at_ms, issued_before_ms, expires_at_ms, .. } = message;
    let control::Signal { event_at_ms, source, risk, posture, .. } = message;
    if seq == 0 {
        return Err(InvalidSignal::Seq);
    }
    let scope = scope.parse()?;
    let signal = Signal {
        id: text("id", id, 1, MAX_ID)?,
        action: action::read(Asked { kind, issued_before_ms, expires_at_ms, risk, posture }, &scope)?,
        scope,
        who: text("who", who, 0, MAX_WHO)?,
        why: text("why", why, 0, MAX_WHY)?,
        source: text("source", source, 0, MAX_SOURCE)?,
        at: Timestamp::from_millis(at_ms),
        event_at: event_at_ms.map(Timestamp::from_millis),
    };
    Ok((Seq(seq), signal))
}

/// Reads what a sender asks for; `peer` is who the connection says it is, `now` becomes the moment of acceptance.
pub fn from_request(request: SubmitRequest, peer: &str, now: Timestamp) -> Result<Signal, InvalidSignal> {
    let SubmitRequest { id, kind, scope, who, why, issued_before_ms, expires_at_ms, event_at_ms, .. } = request;
    let SubmitRequest { source, risk, posture, .. } = request;
    check_issued_before(issued_before_ms, now)?;
    check_expires_at(expires_at_ms, now)?;
    check_event_at(event_at_ms, now)?;
    let id = if id.is_empty() { uuid::Uuid::now_v7().to_string() } else { id };
    // The claim is kept beside the proof, never instead of it.
    let who = text("who", who, 0, MAX_CLAIM)?;
    let who = if who.is_empty() { peer.to_owned() } else { format!("{peer} ({who})") };
    let scope = scope.parse()?;
    Ok(Signal {
        id: text("id", id, 1, MAX_ID)?,
        action: action::read(Asked { kind, issued_before_ms, expires_at_ms, risk, posture }, &scope)?,
        scope,
        who: text("who", who, 0, MAX_WHO)?,
        why: text("why", why, 0, MAX_WHY)?,
        source: text("source", source, 0, MAX_SOURCE)?,
        at: now,
        event_at: event_at_ms.map(Timestamp::from_millis),
    })
}

fn posture_to_wire(posture: &Posture) -> control::Posture {
    let attribute =
        |(name, value): &(Arc<str>, Arc<str>)| control::Attribute { name: name.to_string(), value: value.to_string() };
    control::Posture {
        compliant: posture.is_compliant(),
        attributes: posture.attributes().iter().map(attribute).collect(),
    }
}

fn check_event_at(value: Option<u64>, now: Timestamp) -> Result<(), InvalidSignal> {
    let invalid = |value, why| Err(InvalidSignal::Time { field: "event_at_ms", value, why });
    match value {
        Some(value) if value > now.saturating_add_millis(MAX_SKEW_MS).as_millis() => {
            invalid(value, "lies in the future, send the event when it has happened")
        }
        Some(value) if now.millis_since(Timestamp::from_millis(value)) > MAX_LATENESS_MS => {
            invalid(value, "lies more than 7 days back, too old to be put in order; leave it out if it still holds now")
        }
        _ => Ok(()),
    }
}

fn check_issued_before(value: Option<u64>, now: Timestamp) -> Result<(), InvalidSignal> {
    let invalid = |value, why| Err(InvalidSignal::Time { field: "issued_before_ms", value, why });
    match value {
        Some(value) if value < EARLIEST => invalid(value, "lies before the year 2000, give milliseconds, not seconds"),
        Some(value) if value > now.saturating_add_millis(MAX_SKEW_MS).as_millis() => {
            invalid(value, "lies in the future and would revoke credentials not yet issued, leave it out to revoke all")
        }
        _ => Ok(()),
    }
}

fn check_expires_at(value: Option<u64>, now: Timestamp) -> Result<(), InvalidSignal> {
    match value {
        Some(value) if value <= now.as_millis() => Err(InvalidSignal::Time {
            field: "expires_at_ms",
            value,
            why: "is over already, give a later moment in milliseconds since the epoch",
        }),
        _ => Ok(()),
    }
}

fn bound(field: &'static str, value: Option<u64>) -> Result<Timestamp, InvalidSignal> {
    match value {
        None => Ok(Timestamp::NEVER),
        Some(value) if value > LATEST => {
            Err(InvalidSignal::Time { field, value, why: "lies beyond the year 9999, leave it out for no bound" })
        }
        Some(value) => Ok(Timestamp::from_millis(value)),
    }
}

fn bound_to_wire(bound: Timestamp) -> Option<u64> {
    (bound != Timestamp::NEVER).then(|| bound.as_millis())
}

fn text(field: &'static str, value: String, min: usize, max: usize) -> Result<Arc<str>, InvalidSignal> {
    let invalid = |why| Err(InvalidSignal::Text { field, why });
    if value.len() < min {
        return invalid("is empty".to_owned());
    }
    if value.len() > max {
        return invalid(format!("has {} bytes, shorten it to {max}", value.len()));
    }
    if value.chars().any(char::is_control) {
        return invalid(format!("{value:.80?} has control characters, send it without"));
    }
    Ok(value.into())
}

/// Longest `id` in bytes; a UUID has 36.
const MAX_ID: usize = 128;
/// Longest `who` a sender may claim, in bytes.
const MAX_CLAIM: usize = 256;
/// Longest `who` that is kept: the claim and what the connection proves.
const MAX_WHO: usize = 2560;
/// Longest `why` in bytes.
const MAX_WHY: usize = 1024;
/// Longest `source` in bytes.
const MAX_SOURCE: usize = 128;
/// Longest name of an attribute in bytes.
const MAX_ATTRIBUTE: usize = 64;
/// Longest value of an attribute in bytes.
const MAX_VALUE: usize = 256;
/// 2000-01-01: no credential is older, and seconds taken for milliseconds land before it.
const EARLIEST: u64 = 946_684_800_000;
/// 9999-12-31T23:59:59.999Z, the last moment RFC 3339 can write.
const LATEST: u64 = 253_402_300_799_999;
/// How far a sender's clock may run ahead of ours.
const MAX_SKEW_MS: u64 = 5 * 60 * 1000;

#[cfg(test)]
mod tests;
