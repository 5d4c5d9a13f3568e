//! What was sent and what was acknowledged, and how a log must look after that; it talks to nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use countersign::wire::control::{Kind, Signal, SubmitRequest};
use countersign_tests::control::{restoration, revocation};
use tokio::sync::watch;
use tokio::time::timeout;

/// Signals 0 to `count`, each sent until it is acknowledged.
pub(super) struct Ledger {
    count: u32,
    next: AtomicU32,
    /// By number.
    acknowledged: Mutex<BTreeMap<u32, Acknowledged>>,
    progress: watch::Sender<u32>,
}

/// A signal's position in the log, by the word of one of the sidecars.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acknowledged {
    pub(super) seq: u64,
    pub(super) by: usize,
}

impl Ledger {
    pub(super) fn new(count: u32) -> Self {
        Self { count, next: AtomicU32::new(0), acknowledged: Mutex::default(), progress: watch::Sender::new(0) }
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// A number that nobody has taken yet.
    pub(super) fn take(&self) -> Option<u32> {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        (number < self.count).then_some(number)
    }

    /// Notes what a sidecar said of `number`.
    pub(super) fn acknowledge(&self, number: u32, word: Acknowledged) {
        let (before, all) = {
            let mut acknowledged = self.acknowledged.lock().unwrap();
            (acknowledged.insert(number, word), acknowledged.len())
        };
        assert!(before.is_none_or(|before| before.seq == word.seq), "{number}: {before:?}, and {word:?}");
        self.progress.send_replace(u32::try_from(all).unwrap());
    }

    /// Waits until so many are acknowledged.
    pub(super) async fn until(&self, acknowledged: u32) {
        let mut progress = self.progress.subscribe();
        let reached = timeout(PATIENCE, progress.wait_for(|done| *done >= acknowledged)).await.is_ok();
        assert!(reached, "only {} of {acknowledged} signals were acknowledged", *self.progress.borrow());
    }

    /// The last position that was acknowledged.
    pub(super) fn last(&self) -> u64 {
        self.acknowledged.lock().unwrap().values().map(|word| word.seq).max().unwrap_or_default()
    }

    /// Numbers whose workload is revoked by a signal that `sidecar` has acknowledged, and is never restored.
    pub(super) fn revoked_for_good(&self, sidecar: usize) -> Vec<u32> {
        let acknowledged = self.acknowledged.lock().unwrap();
        let there = acknowledged.iter().filter(|(_, word)| word.by == sidecar).map(|(number, _)| *number);
        there.filter(|&number| !is_restore(number) && restore_of(number) >= self.count).collect()
    }

    /// Holds the whole log against what was sent and acknowledged, and gives the workloads that must be revoked now.
    pub(super) fn check(&self, log: &[Signal]) -> BTreeSet<String> {
        let acknowledged = self.acknowledged.lock().unwrap();
        assert_eq!(acknowledged.len(), self.count as usize, "every signal was acknowledged in the end");
        let positions: BTreeSet<u64> = acknowledged.values().map(|word| word.seq).collect();
        assert_eq!(positions.len(), acknowledged.len(), "no two signals share a position");
        let mut revoked = BTreeSet::new();
        for (position, (signal, expected)) in log.iter().zip(1..).enumerate() {
            assert_eq!(signal.seq, expected, "positions have no gap and no repetition, at {position}");
            let number = number_of(&signal.id).unwrap_or_else(|| panic!("nobody sent {signal:?}"));
            let sent = request(number);
            assert_eq!((&signal.scope, signal.kind, &signal.why), (&sent.scope, sent.kind, &sent.why), "{number}");
            assert_eq!(
                acknowledged.get(&number).map(|word| word.seq),
                Some(signal.seq),
                "{number} is where it was acknowledged"
            );
            match signal.kind() {
                Kind::Restore => revoked.remove(&workload(number)),
                _ => revoked.insert(workload(number)),
            };
        }
        assert_eq!(log.len(), acknowledged.len(), "none is lost, none is there twice, none was invented");
        revoked
    }
}

/// The signal of that number: every tenth takes back the revocation five before it.
pub(super) fn request(number: u32) -> SubmitRequest {
    let (id, scope) = (format!("storm-{number}"), format!("spiffe-id:spiffe://demo.test{}", workload(number)));
    if is_restore(number) { restoration(&id, &scope) } else { revocation(&id, &scope) }
}

/// The path of the workload that signal is about.
pub(super) fn workload(number: u32) -> String {
    format!("/ns/shop/sa/storm{}", if is_restore(number) { number - APART } else { number })
}

fn number_of(id: &str) -> Option<u32> {
    id.strip_prefix("storm-")?.parse().ok()
}

fn is_restore(number: u32) -> bool {
    number % 10 == 9
}

/// The signal that would take back that one; beyond all there are if none does.
fn restore_of(number: u32) -> u32 {
    if is_restore(number + APART) { number + APART } else { u32::MAX }
}

const APART: u32 = 5;
/// For the next kill; the senders say themselves what keeps a single signal.
const PATIENCE: Duration = Duration::from_secs(90);
