//! What of the log is in force, with who sent it and why; the gate asks `RevocationSet`, never this.

use authz_core::{
    signal::{Seq, Signal},
    time::Timestamp,
};

use super::{Entry, Log, LogError};
use crate::state::View;

/// At most `limit` revocations, risks and postures after `after` that are in force at `now`, in order. `view` is what is
/// known of the log; without it the whole log is read.
pub fn after(
    log: &Log,
    view: Option<View>,
    after: Seq,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<(Seq, Signal)>, LogError> {
    let View { mut revocations, mut standings, .. } = view.map_or_else(|| replayed(log), Ok)?;
    revocations.expire(now);
    standings.forget_ended(now.saturating_add_millis(1));
    let live = revocations.mark_positions().chain(standings.positions());
    let mut entries = Vec::new();
    for seq in first(live.filter(|seq| *seq > after), limit) {
        entries.extend(log.read_after(Seq(seq.0.saturating_sub(1)), 1)?);
    }
    Ok(entries)
}

fn replayed(log: &Log) -> Result<View, LogError> {
    let mut view = View::default();
    let received = std::time::Instant::now();
    log.replay(|seq, signal| view.apply(&mut [Entry::new(seq, signal.into(), received)]))?;
    Ok(view)
}

/// The `limit` lowest of a million, in order.
fn first(seqs: impl Iterator<Item = Seq>, limit: usize) -> Vec<Seq> {
    let mut seqs: Vec<Seq> = seqs.collect();
    if seqs.len() > limit {
        seqs.select_nth_unstable(limit);
        seqs.truncate(limit);
    }
    seqs.sort_unstable();
    seqs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_positions_come_first() {
        let seqs = |limit| first([9, 1, 7, 5, 3].into_iter().map(Seq), limit);
        for (limit, expected) in [(0, &[][..]), (1, &[1]), (3, &[1, 3, 5]), (99, &[1, 3, 5, 7, 9])] {
            assert_eq!(seqs(limit), expected.iter().copied().map(Seq).collect::<Vec<_>>(), "{limit}");
        }
    }
}
