//! Decisions by exact key, evaluated once however many ask at once; only an admitted request can reach it.

use std::{cell::RefCell, sync::Arc, time::Duration};

use authz_core::{decision::Decision, gate::Admitted, time::Timestamp};
use moka::sync::Cache;

/// A bounded cache of decisions.
#[derive(Clone)]
pub struct DecisionCache {
    entries: Cache<Vec<u8>, Arc<Decision>>,
}

/// A decision and where it came from.
pub struct Answer {
    /// The decision.
    pub decision: Arc<Decision>,
    /// Whether another request's evaluation gave it.
    pub cached: bool,
}

thread_local! {
    /// Keys are built here, so that a hit allocates nothing.
    static KEY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl DecisionCache {
    /// Keeps up to `capacity` decisions, none in memory for longer than `longest`.
    pub fn new(capacity: u64, longest: Duration) -> Self {
        Self { entries: Cache::builder().max_capacity(capacity).time_to_live(longest).build() }
    }

    /// The decision kept for requests like this one, or that of `evaluate`, which runs once for all who wait.
    ///
    /// A decision that no longer holds at `now` is replaced.
    pub fn get_with(&self, admitted: &Admitted<'_>, now: Timestamp, evaluate: impl FnOnce() -> Decision) -> Answer {
        let mut key = KEY.take();
        admitted.write_key(&mut key);
        let answer = self.by_key(&key, now, evaluate);
        KEY.replace(key);
        answer
    }

    fn by_key(&self, key: &[u8], now: Timestamp, evaluate: impl FnOnce() -> Decision) -> Answer {
        if let Some(decision) = self.entries.get(key).filter(|kept| kept.holds_at(now)) {
            return Answer { decision, cached: true };
        }
        let selector = self.entries.entry_by_ref(key);
        let entry = selector.or_insert_with_if(|| Arc::new(evaluate()), |kept| !kept.holds_at(now));
        Answer { cached: !entry.is_fresh(), decision: entry.into_value() }
    }

    /// How many decisions are kept, about.
    pub fn len(&self) -> u64 {
        self.entries.entry_count()
    }

    /// Whether none is kept, about.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything. Safety never rests on this; it frees memory.
    pub fn clear(&self) {
        self.entries.invalidate_all();
    }
}
