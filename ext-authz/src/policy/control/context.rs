//! The context of a control question, as the schema declares it for each action. It looks at no clock: a signal carries its own.

use authz_core::{
    signal::{Action, Signal},
    time::Timestamp,
};
use cedar_policy::{Context, RestrictedExpression};

use super::Asked;
use crate::policy::problem::Unexpected;

type Pair = (&'static str, RestrictedExpression);

/// All that policies may read besides who, what and about what.
pub(super) fn of(asked: &Asked<'_>) -> Result<Context, Unexpected> {
    let pairs = match asked {
        Asked::Signal { signal, position } => of_signal(signal, *position),
        Asked::Await | Asked::DryRun(_) | Asked::List | Asked::Status | Asked::Tail => Vec::new(),
    };
    let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value));
    Context::from_pairs(pairs).map_err(Unexpected::of)
}

fn of_signal(signal: &Signal, position: u64) -> Vec<Pair> {
    let Signal { action, why, source, at, event_at, .. } = signal;
    let mut pairs = vec![
        ("why", RestrictedExpression::new_string(why.to_string())),
        ("source", RestrictedExpression::new_string(source.to_string())),
        ("position", long(position)),
    ];
    pairs.extend(event_at.map(|event| ("event_age_ms", between(event, *at))));
    let expires_at = match action {
        Action::Posture(posture, expires_at) => {
            pairs.push(("compliant", RestrictedExpression::new_bool(posture.is_compliant())));
            *expires_at
        }
        Action::Restore => Timestamp::NEVER,
        Action::Revoke(mark) => {
            pairs.push(("spares_newer", RestrictedExpression::new_bool(mark.issued_before != Timestamp::NEVER)));
            mark.expires_at
        }
        Action::Risk(score, expires_at) => {
            pairs.push(("score", long(score.get().into())));
            *expires_at
        }
    };
    if expires_at != Timestamp::NEVER {
        pairs.push(("expires_in_ms", between(*at, expires_at)));
    }
    pairs
}

/// Milliseconds from `start` to `end`, negative if that lies before it.
fn between(start: Timestamp, end: Timestamp) -> RestrictedExpression {
    let (start, end) = (i128::from(start.as_millis()), i128::from(end.as_millis()));
    let difference = i64::try_from(end - start).unwrap_or(if end < start { i64::MIN } else { i64::MAX });
    RestrictedExpression::new_long(difference)
}

fn long(value: u64) -> RestrictedExpression {
    RestrictedExpression::new_long(i64::try_from(value).unwrap_or(i64::MAX))
}
