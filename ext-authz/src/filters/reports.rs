//! Which reports of each filter were received, so that none is booked twice; it books nothing and knows no streams.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// The last number of each filter, of a bounded number of filters.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Reports {
    last: BTreeMap<Arc<str>, u64>,
    // INVARIANT: every filter in `last` once, in the order in which they first reported.
    order: VecDeque<Arc<str>>,
}

/// What became of a report.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// Whether it is to be booked: it has a number, and that was not received before.
    pub is_new: bool,
    /// The highest number received from this filter, on whatever stream.
    pub highest: u64,
}

/// One Envoy has a VM per worker: this is more than live at a time, and what a filter away for long finds again.
const MAX_FILTERS: usize = 4096;

impl Reports {
    /// Takes the report `number` of `instance`; 0 is no number.
    pub(super) fn receive(&mut self, instance: &Arc<str>, number: u64) -> Received {
        let known = self.last.get(instance).copied();
        let highest = known.unwrap_or(0).max(number);
        let is_new = highest > known.unwrap_or(0);
        if is_new {
            self.last.insert(Arc::clone(instance), highest);
            if known.is_none() {
                self.order.push_back(Arc::clone(instance));
            }
            self.forget_surplus();
        }
        Received { is_new, highest }
    }

    fn forget_surplus(&mut self) {
        while self.order.len() > MAX_FILTERS {
            if let Some(oldest) = self.order.pop_front() {
                self.last.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> Arc<str> {
        number.to_string().into()
    }

    #[test]
    fn a_number_counts_once_however_often_it_comes() {
        let mut reports = Reports::default();
        let a = name(1);
        for (number, is_new, highest) in
            [(0, false, 0), (1, true, 1), (1, false, 1), (3, true, 3), (2, false, 3), (0, false, 3)]
        {
            assert_eq!(reports.receive(&a, number), Received { is_new, highest }, "{number}");
        }
        assert!(reports.receive(&name(2), 1).is_new, "each filter has its own");
    }

    #[test]
    fn hostile_filters_fill_no_memory() {
        let mut reports = Reports::default();
        (0..3 * MAX_FILTERS).for_each(|it| assert!(reports.receive(&name(it), 1).is_new));
        assert_eq!((reports.last.len(), reports.order.len()), (MAX_FILTERS, MAX_FILTERS));
        assert!(!reports.receive(&name(3 * MAX_FILTERS - 1), 1).is_new);
    }
}
