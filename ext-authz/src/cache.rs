//! Decisions by exact key, evaluated once however many ask at once; only an admitted request can reach it.

use std::{cell::RefCell, collections::HashSet, sync::Arc, time::Duration};

use authz_core::{
    decision::Decision,
    gate::Admitted,
    reading::Reading,
    scope::{Scope, Scopes},
    time::Timestamp,
};
use moka::sync::Cache;

/// A bounded cache of decisions.
#[derive(Clone)]
pub struct DecisionCache {
    entries: Cache<Vec<u8>, Kept>,
}

/// A decision, and what those it was made for rest on.
#[derive(Clone)]
struct Kept {
    decision: Arc<Decision>,
    rests_on: Arc<[Scopes]>,
}

/// A decision and where it came from.
pub struct Answer {
    /// The decision.
    pub decision: Arc<Decision>,
    /// Whether another request's evaluation gave it.
    pub cached: bool,
}

/// Longer keys are not kept, so that callers can't fill the memory with them: `max_decisions` times this bounds all keys.
const MAX_KEY: usize = 4096;

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
    ///
    /// `reading` is that of this caller and operation under the plan it was admitted under.
    pub fn get_with(
        &self,
        admitted: &Admitted<'_>,
        reading: &Reading,
        now: Timestamp,
        evaluate: impl Fn() -> Decision,
    ) -> Answer {
        let mut key = KEY.take();
        admitted.write_key(reading, &mut key);
        let answer = self.by_key(&key, now, evaluate, || rests_on(admitted));
        KEY.replace(key);
        answer
    }

    /// The decision kept for requests like this one, if it still holds at `now`.
    pub fn get(&self, admitted: &Admitted<'_>, reading: &Reading, now: Timestamp) -> Option<Answer> {
        let mut key = KEY.take();
        admitted.write_key(reading, &mut key);
        let kept = self.entries.get(key.as_slice()).filter(|kept| kept.decision.holds_at(now));
        KEY.replace(key);
        kept.map(|kept| Answer { decision: kept.decision, cached: true })
    }

    fn by_key(
        &self,
        key: &[u8],
        now: Timestamp,
        evaluate: impl Fn() -> Decision,
        rests_on: impl FnOnce() -> Arc<[Scopes]>,
    ) -> Answer {
        if key.len() > MAX_KEY {
            return Answer { decision: Arc::new(evaluate()), cached: false };
        }
        if let Some(kept) = self.entries.get(key).filter(|kept| kept.decision.holds_at(now)) {
            return Answer { decision: kept.decision, cached: true };
        }
        let selector = self.entries.entry_by_ref(key);
        let keep = || Kept { decision: Arc::new(evaluate()), rests_on: rests_on() };
        let entry = selector.or_insert_with_if(keep, |kept| !kept.decision.holds_at(now));
        let (cached, decision) = (!entry.is_fresh(), entry.into_value().decision);
        if cached && !decision.holds_at(now) {
            // Whoever waited may have been given one that ended meanwhile, or never held for anybody else.
            return Answer { decision: Arc::new(evaluate()), cached: false };
        }
        Answer { decision, cached }
    }

    /// How many decisions that hold at `now` were made for somebody who rests on one of `scopes`, or had such behind. Looks at all.
    ///
    /// A decision is kept by what policies read of a caller: one with another certificate may share it.
    pub fn count_resting_on(&self, scopes: &[Scope], now: Timestamp) -> u64 {
        let asked: HashSet<&Scope> = scopes.iter().collect();
        let hit = |kept: &Kept| kept.rests_on.iter().flat_map(Scopes::iter).any(|scope| asked.contains(scope));
        let hits = self.entries.iter().filter(|(_, kept)| kept.decision.holds_at(now) && hit(kept)).count();
        u64::try_from(hits).unwrap_or(u64::MAX)
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

/// The scopes of the caller and of everybody behind it; none is copied.
fn rests_on(admitted: &Admitted<'_>) -> Arc<[Scopes]> {
    let behind = admitted.facts().chain.hops().iter().map(AsRef::as_ref);
    admitted.caller().into_iter().chain(behind).map(|caller| caller.scopes().clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Barrier,
            atomic::{AtomicU32, Ordering},
        },
        thread,
    };

    use authz_core::decision::DecisionId;

    use super::*;

    fn decision(id: u128, holds_until: u64) -> Decision {
        Decision::allow(DecisionId(id), Arc::from([]), Timestamp::from_millis(holds_until))
    }

    fn nobody() -> Arc<[Scopes]> {
        Arc::from([])
    }

    fn cache() -> DecisionCache {
        DecisionCache::new(100, Duration::from_mins(5))
    }

    #[test]
    fn a_decision_is_given_again_until_the_moment_it_ends() {
        let cache = cache();
        let at = |now, id| cache.by_key(b"key", Timestamp::from_millis(now), || decision(id, now + 10), nobody);
        let seen: Vec<(u128, bool)> = [(0, 1), (9, 2), (10, 3), (19, 4)]
            .map(|(now, id)| at(now, id))
            .map(|answer| (answer.decision.id.0, answer.cached))
            .to_vec();
        assert_eq!(seen, [(1, false), (1, true), (3, false), (3, true)]);
    }

    #[test]
    fn one_evaluation_answers_all_who_ask_at_once() {
        let (cache, evaluations, start) = (cache(), AtomicU32::new(0), Barrier::new(8));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    let answer = cache.by_key(
                        b"key",
                        Timestamp::from_millis(0),
                        || {
                            evaluations.fetch_add(1, Ordering::SeqCst);
                            // Long enough for the others to arrive.
                            thread::sleep(Duration::from_millis(50));
                            decision(1, 1000)
                        },
                        nobody,
                    );
                    assert_eq!(answer.decision.id, DecisionId(1));
                });
            }
        });
        assert_eq!(evaluations.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn who_waits_for_a_decision_that_nobody_may_reuse_gets_one_of_its_own() {
        let (cache, evaluations, start) = (cache(), AtomicU32::new(0), Barrier::new(4));
        let evaluate = || {
            let id = evaluations.fetch_add(1, Ordering::SeqCst);
            // Long enough for the others to arrive.
            thread::sleep(Duration::from_millis(50));
            decision(id.into(), 5)
        };
        let ask = || {
            start.wait();
            cache.by_key(b"key", Timestamp::from_millis(5), evaluate, nobody).decision.id
        };
        let ids: HashSet<DecisionId> = thread::scope(|scope| {
            let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        assert_eq!(ids.len(), 4);
    }

    #[test]
    fn keys_longer_than_the_bound_are_decided_anew_each_time() {
        let cache = cache();
        let by = |length: usize, id| {
            let answer = cache.by_key(&vec![0; length], Timestamp::from_millis(0), || decision(id, 1000), nobody);
            (answer.decision.id.0, answer.cached)
        };
        assert_eq!([by(MAX_KEY, 1), by(MAX_KEY, 2)], [(1, false), (1, true)]);
        assert_eq!([by(MAX_KEY + 1, 3), by(MAX_KEY + 1, 4)], [(3, false), (4, false)]);
    }

    #[test]
    fn another_key_is_another_decision() {
        let cache = cache();
        let by =
            |key: &[u8], id| cache.by_key(key, Timestamp::from_millis(0), || decision(id, 1000), nobody).decision.id.0;
        assert_eq!((by(b"a", 1), by(b"b", 2), by(b"a", 3)), (1, 2, 1));
    }
}
