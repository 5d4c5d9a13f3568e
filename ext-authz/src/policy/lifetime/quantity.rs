//! A whole number that a policy makes of a fact of time, step by step, as Cedar's own functions do. It compares nothing.

use super::{
    Moment,
    time_zone::{minute, weekday},
};
use authz_core::time::Timestamp;

/// A fact that changes by the passing of time alone.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::policy) enum TimeFact {
    /// `context.now`, in milliseconds since the epoch.
    Now,
    /// `context.clock.minute`.
    Minute,
    /// `context.clock.weekday`.
    Weekday,
    /// `credential.age`, in milliseconds.
    Age(Party),
    /// `credential.expires_in`, in milliseconds.
    ExpiresIn(Party),
}

/// Whose credential is looked at.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::policy) enum Party {
    /// That of `principal`.
    Caller,
    /// That of `context.origin`.
    Origin,
}

/// One step on the way from a fact to what is compared.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(in crate::policy) enum Step {
    /// `.offset(…)`: this is added.
    Add(i64),
    /// `.durationSince(…)`: this is taken from it.
    Subtract(i64),
    /// It is taken from this: `datetime("…").durationSince(…)`.
    From(i64),
    /// `.toDate()`: the begin of its day, UTC.
    Date,
    /// `.toTime()`: what has passed of its day, UTC.
    Time,
    /// `.toSeconds()` and the like: how many times this fits, towards zero.
    Divide(i64),
}

/// A fact and what is made of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::policy) struct Quantity {
    /// The fact.
    pub fact: TimeFact,
    /// The steps, the first first.
    pub steps: Vec<Step>,
}

/// A day, in milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;

impl Quantity {
    /// Its value `at` a moment; nothing where Cedar has an error, for it is too large.
    pub fn value(&self, at: i64, ground: i64) -> Option<i64> {
        self.steps.iter().try_fold(self.fact.value(at, ground)?, |value, step| step.apply(value))
    }

    /// Until when (exclusive) it only grows, or only shrinks.
    pub fn even_until(&self, moment: &Moment<'_>, at: i64, ground: i64) -> i64 {
        if matches!(self.fact, TimeFact::Minute | TimeFact::Weekday) {
            let at = Timestamp::from_millis(u64::try_from(at).unwrap_or_default());
            return moment.zone.steady_until(at);
        }
        let mut until = i64::MAX;
        let mut value = self.fact.value(at, ground);
        for step in &self.steps {
            if let (Step::Time, Some(value)) = (step, value) {
                until = until.min(at.saturating_add(DAY - value.rem_euclid(DAY)));
            }
            value = value.and_then(|value| step.apply(value));
        }
        until
    }
}

impl TimeFact {
    /// Counted from its ground: the zone's offset, or the begin or end of a credential.
    fn value(self, at: i64, ground: i64) -> Option<i64> {
        match self {
            Self::Now => Some(at),
            Self::Minute => Some(minute(at, ground)),
            Self::Weekday => Some(weekday(at, ground)),
            Self::Age(_) => at.checked_sub(ground),
            Self::ExpiresIn(_) => ground.checked_sub(at),
        }
    }
}

impl Step {
    fn apply(self, value: i64) -> Option<i64> {
        match self {
            Self::Add(other) => value.checked_add(other),
            Self::Subtract(other) => value.checked_sub(other),
            Self::From(other) => other.checked_sub(value),
            Self::Date => value.checked_sub(value.rem_euclid(DAY)),
            Self::Time => Some(value.rem_euclid(DAY)),
            Self::Divide(unit) => value.checked_div(unit),
        }
    }
}
