//! Entries of the log: what changes decisions besides policy text. It orders nothing itself; the log does.

use std::{fmt, sync::Arc};

use crate::{revocation::Mark, scope::Scope, time::Timestamp};

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
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Lifts every revocation of the scope that came before.
    Restore,
    /// Takes back what rests on the scope.
    Revoke(Mark),
}

/// One entry of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
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
    /// When it was accepted.
    pub at: Timestamp,
}

impl Action {
    /// The name in metrics, audit and on the command line.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Revoke(_) => "revoke",
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
}
