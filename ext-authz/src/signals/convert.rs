//! Signals between the control protocol and the core; refuses what it can't understand and puts nothing in force.

use std::sync::Arc;

use authz_core::{
    revocation::Mark,
    scope::InvalidScope,
    signal::{Action, Seq, Signal},
    time::Timestamp,
};
use authz_wire::control::{self, Kind, SubmitRequest};

/// A message that is no signal.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidSignal {
    /// No such kind.
    #[error("kind {0} is unknown, send KIND_REVOKE (1) or KIND_RESTORE (2)")]
    Kind(i32),
    /// A restore with a bound that only a revocation has.
    #[error("{0} is set on a restore, which always lifts the whole scope; leave it out")]
    RestoreBound(&'static str),
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
    let (kind, mark) = match signal.action {
        Action::Restore => (Kind::Restore, Mark::FOREVER),
        Action::Revoke(mark) => (Kind::Revoke, mark),
    };
    control::Signal {
        seq: seq.0,
        id: signal.id.to_string(),
        kind: kind.into(),
        scope: signal.scope.to_string(),
        who: signal.who.to_string(),
        why: signal.why.to_string(),
        at_ms: signal.at.as_millis(),
        issued_before_ms: bound_to_wire(mark.issued_before),
        expires_at_ms: bound_to_wire(mark.expires_at),
    }
}

/// Reads one entry of the log, as written by [`to_wire`].
pub fn from_wire(message: control::Signal) -> Result<(Seq, Signal), InvalidSignal> {
    let control::Signal { seq, id, kind, scope, who, why, at_ms, issued_before_ms, expires_at_ms } = message;
    if seq == 0 {
        return Err(InvalidSignal::Seq);
    }
    let signal = Signal {
        id: text("id", id, 1, MAX_ID)?,
        scope: scope.parse()?,
        action: action(kind, issued_before_ms, expires_at_ms)?,
        who: text("who", who, 0, MAX_WHO)?,
        why: text("why", why, 0, MAX_WHY)?,
        at: Timestamp::from_millis(at_ms),
    };
    Ok((Seq(seq), signal))
}

/// Reads what a sender asks for; `peer` is who the connection says it is, `now` becomes the moment of acceptance.
pub fn from_request(request: SubmitRequest, peer: &str, now: Timestamp) -> Result<Signal, InvalidSignal> {
    let SubmitRequest { id, kind, scope, who, why, issued_before_ms, expires_at_ms } = request;
    check_issued_before(issued_before_ms, now)?;
    check_expires_at(expires_at_ms, now)?;
    let id = if id.is_empty() { uuid::Uuid::now_v7().to_string() } else { id };
    // The claim is kept beside the proof, never instead of it.
    let who = text("who", who, 0, MAX_CLAIM)?;
    let who = if who.is_empty() { peer.to_owned() } else { format!("{peer} ({who})") };
    Ok(Signal {
        id: text("id", id, 1, MAX_ID)?,
        scope: scope.parse()?,
        action: action(kind, issued_before_ms, expires_at_ms)?,
        who: text("who", who, 0, MAX_WHO)?,
        why: text("why", why, 0, MAX_WHY)?,
        at: now,
    })
}

fn action(kind: i32, issued_before_ms: Option<u64>, expires_at_ms: Option<u64>) -> Result<Action, InvalidSignal> {
    match Kind::try_from(kind) {
        Ok(Kind::Revoke) => Ok(Action::Revoke(Mark {
            issued_before: bound("issued_before_ms", issued_before_ms)?,
            expires_at: bound("expires_at_ms", expires_at_ms)?,
        })),
        Ok(Kind::Restore) if issued_before_ms.is_some() => Err(InvalidSignal::RestoreBound("issued_before_ms")),
        Ok(Kind::Restore) if expires_at_ms.is_some() => Err(InvalidSignal::RestoreBound("expires_at_ms")),
        Ok(Kind::Restore) => Ok(Action::Restore),
        Ok(Kind::Unspecified) | Err(_) => Err(InvalidSignal::Kind(kind)),
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
/// 2000-01-01: no credential is older, and seconds taken for milliseconds land before it.
const EARLIEST: u64 = 946_684_800_000;
/// 9999-12-31T23:59:59.999Z, the last moment RFC 3339 can write.
const LATEST: u64 = 253_402_300_799_999;
/// How far a sender's clock may run ahead of ours.
const MAX_SKEW_MS: u64 = 5 * 60 * 1000;

#[cfg(test)]
mod tests;
