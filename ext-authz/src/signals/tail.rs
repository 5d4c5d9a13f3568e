//! The end of the log in memory, for those who follow it. It holds only what is durable and applied, and reads no file.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use authz_core::signal::{Outcome, Seq, Signal};
use tokio::sync::watch;

use super::Fingerprint;

/// A signal that is durable and in force in this sidecar.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its position.
    pub seq: Seq,
    /// The signal.
    pub signal: Arc<Signal>,
    /// When it came in; for one replayed from the log, when it was read.
    pub received: Instant,
    /// What it changed; written when it is applied.
    pub outcome: Outcome,
}

impl Entry {
    /// An entry that was not applied yet.
    pub(crate) fn new(seq: Seq, signal: Arc<Signal>, received: Instant) -> Self {
        Self { seq, signal, received, outcome: Outcome::Unchanged }
    }
}

/// Follows the log from a position on: every entry once, in order, without a gap.
#[derive(Debug)]
pub struct Tail {
    cursor: Seq,
    head: watch::Receiver<Head>,
    ring: Arc<Ring>,
}

/// Why a tail can't go on.
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TailEnd {
    /// The next entries are no longer (or, after a change of log, not yet) in memory.
    #[error("signals after {0} are not at hand, start from a snapshot or read them from the log")]
    NotAtHand(Seq),
    /// The sidecar ends.
    #[error("the signal log is closed")]
    Closed,
}

impl Tail {
    /// The next entries, at least one; waits for them. Nothing is lost if the wait is given up.
    pub async fn next(&mut self) -> Result<Vec<Entry>, TailEnd> {
        let head =
            *self.head.wait_for(|head| head.closed || head.seq > self.cursor).await.map_err(|_| TailEnd::Closed)?;
        if head.seq <= self.cursor {
            return Err(TailEnd::Closed);
        }
        let entries = self.ring.after(self.cursor).ok_or(TailEnd::NotAtHand(self.cursor))?;
        self.cursor = entries.last().map_or(self.cursor, |entry| entry.seq);
        Ok(entries)
    }

    /// The next entries, if there are any already.
    pub fn ready(&mut self) -> Result<Vec<Entry>, TailEnd> {
        let entries = self.ring.after(self.cursor).ok_or(TailEnd::NotAtHand(self.cursor))?;
        self.cursor = entries.last().map_or(self.cursor, |entry| entry.seq);
        Ok(entries)
    }

    /// The last position handed out.
    pub fn cursor(&self) -> Seq {
        self.cursor
    }
}

/// The last entries, and a bell that rings for each new one.
#[derive(Debug)]
pub(super) struct Ring {
    kept: Mutex<Kept>,
    head: watch::Sender<Head>,
}

#[derive(Debug)]
struct Kept {
    // INVARIANT: positions rise and end at the ring's head.
    entries: VecDeque<Entry>,
    // The fingerprints where batches ended: where those who follow the log stand.
    fingerprints: VecDeque<(Seq, Fingerprint)>,
}

#[derive(Copy, Clone, Default, Debug)]
struct Head {
    /// Before this position the log has gaps.
    begin: Seq,
    seq: Seq,
    closed: bool,
}

impl Ring {
    /// How many entries stay: a filter that was away for fewer signals needs no fresh start.
    pub(super) const CAPACITY: usize = 4096;

    pub(super) fn new() -> Self {
        let kept = Kept { entries: VecDeque::with_capacity(Self::CAPACITY), fingerprints: VecDeque::new() };
        Self { kept: Mutex::new(kept), head: watch::Sender::new(Head::default()) }
    }

    /// Nobody can follow from before `base`; called before the first entry is here.
    pub(super) fn begin(&self, base: Seq) {
        self.head.send_modify(|head| {
            head.begin = base;
            head.seq = base;
        });
    }

    /// The position up to which everything is in force.
    pub(super) fn head(&self) -> Seq {
        self.head.borrow().seq
    }

    /// Ends every tail once it has given out what is here.
    pub(super) fn close(&self) {
        self.head.send_modify(|head| head.closed = true);
    }

    /// Waits for [`Ring::close`].
    pub(super) async fn closed(&self) {
        // The sender lives in self, so the wait can only end by the value.
        let _ = self.head.subscribe().wait_for(|head| head.closed).await;
    }

    /// Adds applied entries, which follow the head, and the fingerprint of the log where they end.
    pub(super) fn publish(&self, new: &[Entry], fingerprint: Option<Fingerprint>) {
        let Some(last) = new.last().map(|entry| entry.seq) else { return };
        let mut kept = self.lock();
        kept.entries.extend(new.iter().cloned());
        kept.fingerprints.extend(fingerprint.map(|it| (last, it)));
        kept.bound();
        drop(kept);
        self.head.send_modify(|head| head.seq = last);
    }

    /// The fingerprint of the log at `seq`, if a batch ended there and that is not long ago.
    pub(super) fn fingerprint(&self, seq: Seq) -> Option<Fingerprint> {
        let kept = self.lock();
        let at = kept.fingerprints.binary_search_by_key(&seq, |(seq, _)| *seq).ok()?;
        kept.fingerprints.get(at).map(|(_, fingerprint)| *fingerprint)
    }

    /// A tail from `after` on, if everything after it is here.
    pub(super) fn subscribe(self: &Arc<Self>, after: Seq) -> Result<Tail, TailEnd> {
        let head = self.head.subscribe();
        // A position we never reached is one of another log.
        let Head { begin, seq, .. } = *head.borrow();
        if after < begin || after > seq || self.after(after).is_none() {
            return Err(TailEnd::NotAtHand(after));
        }
        Ok(Tail { cursor: after, head, ring: Arc::clone(self) })
    }

    /// When the entry at `seq` came in, if it is here.
    pub(super) fn received(&self, seq: Seq) -> Option<Instant> {
        let entries = &self.lock().entries;
        let at = entries.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
        entries.get(at).map(|entry| entry.received)
    }

    /// What the entry at `seq` changed, if it is here.
    pub(super) fn outcome(&self, seq: Seq) -> Option<Outcome> {
        let kept = self.lock();
        let at = kept.entries.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
        kept.entries.get(at).map(|entry| entry.outcome)
    }

    /// All entries after `after`, or nothing if one of them has left.
    fn after(&self, after: Seq) -> Option<Vec<Entry>> {
        let entries = &self.lock().entries;
        let skip = entries.partition_point(|entry| entry.seq <= after);
        let first_missing = skip == 0 && entries.front().is_some_and(|entry| entry.seq > after.next());
        (!first_missing).then(|| entries.range(skip..).cloned().collect())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Every change is made of calls of VecDeque: a panic elsewhere can't leave it half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn bound(&mut self) {
        let surplus = self.entries.len().saturating_sub(Ring::CAPACITY);
        self.entries.drain(..surplus);
        let surplus = self.fingerprints.len().saturating_sub(Ring::CAPACITY);
        self.fingerprints.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use authz_core::{signal::Action, time::Timestamp};

    use super::*;

    fn entries(seqs: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
        let signal = Arc::new(Signal {
            id: "id".into(),
            scope: "trust-domain:demo.test".parse().unwrap(),
            action: Action::Restore,
            who: "".into(),
            why: "".into(),
            source: "".into(),
            at: Timestamp::from_millis(1),
            event_at: None,
        });
        let entry = |seq| Entry {
            seq: Seq(seq),
            signal: Arc::clone(&signal),
            received: Instant::now(),
            outcome: Outcome::Changed,
        };
        seqs.map(entry).collect()
    }

    fn seqs(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(|entry| entry.seq.0).collect()
    }

    #[tokio::test]
    async fn a_tail_gives_what_is_there_and_then_what_comes() {
        let ring = Arc::new(Ring::new());
        ring.publish(&entries(1..=3), None);
        let mut tail = ring.subscribe(Seq(1)).unwrap();
        assert_eq!(seqs(&tail.next().await.unwrap()), [2, 3]);
        let waiting = tokio::spawn(async move { tail.next().await });
        ring.publish(&entries(4..=5), None);
        assert_eq!(seqs(&waiting.await.unwrap().unwrap()), [4, 5]);
    }

    #[tokio::test]
    async fn a_position_that_left_memory_or_never_was_is_not_at_hand() {
        let ring = Arc::new(Ring::new());
        let mut slow = ring.subscribe(Seq(0)).unwrap();
        let capacity = Ring::CAPACITY as u64;
        ring.publish(&entries(1..=capacity), None);
        assert!(ring.subscribe(Seq(0)).is_ok());
        ring.publish(&entries(capacity + 1..=capacity + 1), None);
        assert_eq!(ring.subscribe(Seq(0)).unwrap_err(), TailEnd::NotAtHand(Seq(0)));
        assert_eq!(slow.next().await.unwrap_err(), TailEnd::NotAtHand(Seq(0)));
        assert!(ring.subscribe(Seq(1)).is_ok());
        assert!(ring.subscribe(Seq(capacity + 1)).is_ok());
        assert!(ring.subscribe(Seq(capacity + 2)).is_err());
        let compacted = Arc::new(Ring::new());
        compacted.begin(Seq(7));
        assert_eq!(compacted.subscribe(Seq(6)).unwrap_err(), TailEnd::NotAtHand(Seq(6)));
        assert!(compacted.subscribe(Seq(7)).is_ok() && compacted.head() == Seq(7));
        assert!((ring.received(Seq(1)).is_none(), ring.received(Seq(2)).is_some()) == (true, true));
    }

    #[test]
    fn fingerprints_are_known_where_batches_ended() {
        let ring = Ring::new();
        let fingerprint = Fingerprint::from_bytes([3; 32]);
        ring.publish(&entries(1..=3), Some(fingerprint));
        ring.publish(&entries(4..=5), None);
        let known = [2, 3, 5].map(|seq| ring.fingerprint(Seq(seq)));
        assert_eq!(known, [None, Some(fingerprint), None]);
    }
}
