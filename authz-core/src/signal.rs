//! Entries of the log: what changes decisions besides policy text. It orders nothing itself; the log does.

use std::{fmt, sync::Arc};

use crate::{
    revocation::Mark,
    scope::Scope,
    standing::{Posture, RiskScore},
    time::Timestamp,
};

/// A position in the log; the first signal has 1, an empty log ends at 0.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Seq(pub u64);

impl Seq {
    /// The position after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a signal does.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Says what state a device or workload is in, until the moment named.
    Posture(Arc<Posture>, Timestamp),
    /// Lifts every revocation of the scope that came before.
    Restore,
    /// Takes back what rests on the scope.
    Revoke(Mark),
    /// Says how risky the scope is, until the moment named.
    Risk(RiskScore, Timestamp),
}

/// One entry of the log.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Signal {
    /// Unique name chosen by the sender; the same ID is the same signal.
    pub id: Arc<str>,
    /// What it speaks about.
    pub scope: Scope,
    /// What it does.
    pub action: Action,
    /// Who sent it.
    pub who: Arc<str>,
    /// Why it was sent.
    pub why: Arc<str>,
    /// Which system knows it, such as `edr`; empty if the sender does not say.
    pub source: Arc<str>,
    /// When it was accepted.
    pub at: Timestamp,
    /// When it happened, if the sender states it; otherwise it counts as after everything before it in the log.
    pub event_at: Option<Timestamp>,
}

/// When a signal says that something happened, and where it stands in the log.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Moment {
    /// Position in the log.
    pub seq: Seq,
    /// The time of the event, or of acceptance if none was stated.
    pub at: Timestamp,
    /// Whether the sender stated it.
    pub stated: bool,
}

/// What a signal changed.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// What is decided may be different from now on.
    Changed,
    /// It says what was so already.
    Unchanged,
    /// Something that happened later is known already, so it changes nothing.
    Superseded,
}

/// How old a stated event may be: older ones are refused, so that what they could still contradict may be forgotten.
pub const MAX_LATENESS_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// How far apart the clocks of those may be who accept signals.
const SKEW_MS: u64 = 60 * 60 * 1000;

/// What happened before this moment is settled at `now`: nothing that is still accepted can be older.
pub fn settled_before(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_sub(MAX_LATENESS_MS + SKEW_MS))
}

impl Action {
    /// The name in metrics, audit and on the command line.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Posture(..) => "posture",
            Self::Restore => "restore",
            Self::Revoke(_) => "revoke",
            Self::Risk(..) => "risk",
        }
    }
}

impl Signal {
    /// Its moment, if it stands at `seq`.
    pub fn moment(&self, seq: Seq) -> Moment {
        Moment { seq, at: self.event_at.unwrap_or(self.at), stated: self.event_at.is_some() }
    }
}

impl Moment {
    /// Whether this, which stands later in the log, is no older than `known`.
    ///
    /// Without a stated time the log's order counts: whoever says "now" must not be overruled by another's clock.
    pub fn is_news_after(self, known: Self) -> bool {
        !self.stated || self.at >= known.at
    }
}

impl Outcome {
    /// The name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Superseded => "superseded",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_up_from_the_empty_log_and_never_wrap() {
        assert_eq!(Seq::default().next(), Seq(1));
        assert!(Seq(1) < Seq(1).next());
        assert_eq!(Seq(u64::MAX).next(), Seq(u64::MAX));
    }

    #[test]
    fn a_stated_time_is_compared_and_without_one_the_log_decides() {
        let moment = |at, stated| Moment { seq: Seq(1), at: Timestamp::from_millis(at), stated };
        let known = moment(10, true);
        for (at, stated, expected) in [(9, true, false), (10, true, true), (11, true, true), (9, false, true)] {
            assert_eq!(moment(at, stated).is_news_after(known), expected, "{at} {stated}");
        }
    }
}
