//! The latest invalidations, to recognise answers that were decided before them; it drops nothing from memory itself.

use std::collections::VecDeque;

use authz_core::{
    scope::{Scope, Scopes},
    signal::Seq,
};

/// A ring of invalidations above a floor.
#[derive(Clone, Hash, Default)]
pub struct Recent {
    // INVARIANT: every invalidation above the floor is in the ring; what is at or below it may be forgotten.
    floor: Seq,
    ring: VecDeque<(Seq, Option<Scope>)>,
}

/// Answers on their way are milliseconds old; more invalidations than this within that time cost a question each.
const RING: usize = 1024;

impl Recent {
    /// Adds an invalidation; without a scope it concerns everybody.
    pub fn add(&mut self, seq: Seq, scope: Option<Scope>) {
        if self.ring.len() >= RING
            && let Some((oldest, _)) = self.ring.pop_front()
        {
            self.floor = self.floor.max(oldest);
        }
        self.ring.push_back((seq, scope));
    }

    /// Every answer decided before `floor` is too old.
    pub fn raise(&mut self, floor: Seq) {
        self.floor = self.floor.max(floor);
    }

    /// Whether something that concerns these scopes may have changed after `decided`.
    pub fn overtook(&self, decided: Seq, scopes: &Scopes) -> bool {
        let concerns = |scope: &Option<Scope>| scope.as_ref().is_none_or(|scope| scopes.contains(scope));
        decided < self.floor || self.ring.iter().any(|(seq, scope)| decided < *seq && concerns(scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::{caller, scope};

    #[test]
    fn an_answer_is_overtaken_by_a_later_invalidation_of_its_caller_only() {
        let mut recent = Recent::default();
        recent.add(Seq(5), Some(scope("/a")));
        let (a, b) = (caller("/a", 1), caller("/b", 2));
        for (decided, who, expected) in [(4, &a, true), (5, &a, false), (6, &a, false), (4, &b, false)] {
            assert_eq!(recent.overtook(Seq(decided), who.scopes()), expected, "{decided}");
        }
        recent.add(Seq(7), None);
        assert!(recent.overtook(Seq(6), b.scopes()), "an invalidation nobody understood concerns everybody");
    }

    #[test]
    fn what_the_ring_forgot_counts_as_concerning_everybody() {
        let mut recent = Recent::default();
        let last = u64::try_from(RING).unwrap() + 3;
        (1..=last).for_each(|seq| recent.add(Seq(seq), Some(scope("/other"))));
        let who = caller("/a", 1);
        assert!(recent.overtook(Seq(2), who.scopes()));
        assert!(!recent.overtook(Seq(3), who.scopes()), "3 saw all that was forgotten");
    }

    #[test]
    fn after_a_restart_older_answers_are_overtaken() {
        let mut recent = Recent::default();
        recent.raise(Seq(9));
        let who = caller("/a", 1);
        assert!(recent.overtook(Seq(8), who.scopes()));
        assert!(!recent.overtook(Seq(9), who.scopes()));
    }
}
