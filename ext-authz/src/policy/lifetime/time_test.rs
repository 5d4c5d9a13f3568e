//! A comparison of a fact of time with constants, and when it can next come out otherwise. It reads no policy.

use std::sync::Arc;

use authz_core::time::Timestamp;

use super::{Moment, millis, quantity::Quantity};

/// A test on a fact of time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::policy) struct TimeTest {
    /// What is compared.
    pub quantity: Quantity,
    /// How.
    pub operator: Operator,
    /// With what: one number, or those of a set; sorted, in the unit of the quantity.
    constants: Box<[i64]>,
    /// As it stands in the policy.
    pub text: Arc<str>,
}

/// How a quantity is compared with constants.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(in crate::policy) enum Operator {
    /// `<`.
    Less,
    /// `<=`.
    LessOrEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterOrEqual,
    /// `==`, `!=` or in a set.
    Among,
}

/// Most constants of a set that are passed one by one; beyond, the bound is early.
const MOST_PASSED: usize = 64;

impl TimeTest {
    /// A test; the order of `constants` does not matter.
    pub fn new(quantity: Quantity, operator: Operator, mut constants: Vec<i64>, text: Arc<str>) -> Self {
        constants.sort_unstable();
        constants.dedup();
        Self { quantity, operator, constants: constants.into(), text }
    }

    /// The first moment after now at which its result can change; none if it never does.
    ///
    /// Exact, but for these, which are early: a quantity that starts again, at the end of its day; `context.clock`, also
    /// when the zone changes its clock; a credential behind the caller, when that of any other changes its result; the
    /// same moment, if Cedar has an error now.
    pub fn next_flip(&self, moment: &Moment<'_>) -> Option<Timestamp> {
        let flips = moment.grounds(self.quantity.fact).into_iter().filter_map(|ground| self.flip(moment, ground));
        flips.min().map(|at| Timestamp::from_millis(u64::try_from(at).unwrap_or_default()))
    }

    fn flip(&self, moment: &Moment<'_>, ground: i64) -> Option<i64> {
        let now = millis(moment.now);
        let Some(mut place) = self.place(now, ground) else { return Some(now) };
        let held = self.holds(place);
        let end = self.quantity.even_until(moment, now, ground);
        let mut at = now;
        for _ in 0..MOST_PASSED {
            let Some(next) = self.leaves(place, at, end, ground) else { return (end < i64::MAX).then_some(end) };
            match self.place(next, ground) {
                Some(there) if self.holds(there) == held => (at, place) = (next, there),
                _ => return Some(next),
            }
        }
        Some(at)
    }

    /// Where it is among the constants: twice how many are smaller, and one more if it is one of them.
    fn place(&self, at: i64, ground: i64) -> Option<usize> {
        let value = self.quantity.value(at, ground)?;
        let smaller = self.constants.partition_point(|constant| *constant < value);
        Some(2 * smaller + usize::from(self.constants.get(smaller) == Some(&value)))
    }

    fn holds(&self, place: usize) -> bool {
        match self.operator {
            Operator::Less => place == 0,
            Operator::LessOrEqual => place <= 1,
            Operator::Greater => place > 1,
            Operator::GreaterOrEqual => place >= 1,
            Operator::Among => place % 2 == 1,
        }
    }

    /// The first moment between `at` and `end` at which it is no longer at `place`.
    ///
    /// INVARIANT: between them the quantity only grows or only shrinks, and an error once reached stays, so there is no
    /// way back to a place that was left, and halving finds the moment.
    fn leaves(&self, place: usize, at: i64, end: i64, ground: i64) -> Option<i64> {
        let (mut here, mut left) = (at, end.checked_sub(1).filter(|last| *last > at)?);
        if self.place(left, ground) == Some(place) {
            return None;
        }
        while left - here > 1 {
            let middle = here + (left - here) / 2;
            if self.place(middle, ground) == Some(place) { here = middle } else { left = middle }
        }
        Some(left)
    }
}
