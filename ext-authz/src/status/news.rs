//! What last became of the policy files, and what speaks against the log, for whoever asks later; it loads and reads none.

use std::sync::{Mutex, PoisonError};

use authz_core::time::Timestamp;

/// The last acceptance and the refusal after it, if there was one.
#[derive(Debug, Default)]
pub struct PolicyNews(Mutex<Last>);

/// What last happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) accepted: Option<Timestamp>,
    pub(super) refused: Option<(Timestamp, String)>,
}

/// The last thing said against the log, until the sidecar restarts: nothing but a look of an operator mends it.
#[derive(Debug, Default)]
pub struct LogNews(Mutex<Option<(Timestamp, String)>>);

impl LogNews {
    /// Somebody has seen another past than the log has.
    pub fn contradicted(&self, now: Timestamp, how: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, how));
    }

    pub(super) fn last(&self) -> Option<(Timestamp, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl PolicyNews {
    /// A set came into force: what was refused before it is mended.
    pub fn accepted(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Last { accepted: Some(now), refused: None };
    }

    /// A set was refused; the one in force stays.
    pub fn refused(&self, now: Timestamp, why: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).refused = Some((now, why));
    }

    pub(super) fn last(&self) -> Last {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
