//! How many of the connected filters are at which position: with a thousand of them nobody counts them all at each acknowledgement.

use std::collections::BTreeMap;

use authz_core::signal::Seq;

/// Filters by position.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Positions(BTreeMap<Seq, usize>);

impl Positions {
    /// One more is at `seq`.
    pub(super) fn enter(&mut self, seq: Seq) {
        let count = self.0.entry(seq).or_default();
        *count = count.saturating_add(1);
    }

    /// One of those at `seq` is there no longer.
    pub(super) fn leave(&mut self, seq: Seq) {
        if let Some(count) = self.0.get_mut(&seq) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(&seq);
            }
        }
    }

    /// The position that none of them is behind.
    pub(super) fn least(&self) -> Option<Seq> {
        self.0.first_key_value().map(|(seq, _)| *seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_is_that_of_the_last_one_there() {
        let mut positions = Positions::default();
        assert_eq!(positions.least(), None);
        [3, 1, 1].into_iter().for_each(|seq| positions.enter(Seq(seq)));
        for (gone, least) in [(1, Some(1)), (1, Some(3)), (9, Some(3)), (3, None), (3, None)] {
            positions.leave(Seq(gone));
            assert_eq!(positions.least(), least.map(Seq), "{gone}");
        }
    }
}
