//! The durable, ordered log of signals in one file. It keeps every entry it acknowledged for as long as the entry can
//! matter, and puts none of them in force.

mod base;
mod bound;
mod compact;
mod error;
mod file;
mod opening;
mod record;
mod snapshot;
mod store;
mod tables;
mod walk;
mod witness;

use std::{
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use authz_core::signal::{Seq, Signal};
use redb::{Durability, ReadableDatabase};

pub use compact::Compacted;
pub use error::LogError;
use error::{Fault, closed};
use opening::Opened;
use record::Chain;
use store::{Opener, Store};
use tables::{IDS, REMOVED, SIGNALS, Tables};
use walk::View;
use witness::Witness;

/// The log. Only one process can have it open; readers never wait for the writer.
#[derive(Debug)]
pub struct Log {
    store: Store,
    fresh: bool,
    unwitnessed: bool,
    failed: AtomicBool,
    // INVARIANT: what the last committed transaction left; nobody writes without holding it.
    tip: Mutex<Tip>,
    // Held by the one who compacts.
    compacting: Mutex<()>,
}

/// What became of one signal handed to the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    /// Its position; of one that is known, the position at which it came first.
    pub seq: Seq,
    /// As it stands in the log.
    pub signal: Signal,
    /// Whether it was there before: nothing changed.
    pub known: bool,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Head {
    seq: Seq,
    chain: Chain,
}

impl Head {
    const EMPTY: Self = Self { seq: Seq(0), chain: Chain::START };
}

#[derive(Debug)]
struct Tip {
    head: Head,
    witness: Witness,
}

impl Log {
    /// Opens the log in the file `path`, or creates it there for its owner only (mode 0600).
    ///
    /// Every page is checked. Fails if another process has it open, if it is damaged or of another format, if it belongs to
    /// another user, or if it is not the log that the witness beside it (`path` and `.head`) was written for last.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let fresh = !path.exists();
        if fresh {
            opening::check_not_gone(path)?;
        }
        Self::over(Store::open(path, Box::new(file::open) as Opener)?, fresh)
    }

    fn over(store: Store, fresh: bool) -> Result<Self, LogError> {
        let Opened { head, witness, unwitnessed } = store.with(|db| opening::settle(db, store.path()))?;
        if unwitnessed {
            tracing::warn!(
                log = %store.path().display(), witness = %Witness::path(store.path()).display(), head = head.seq.0,
                "the witness of the signal log is missing: whether this is an old copy of the log can't be told, it is taken as it is"
            );
        }
        let tip = Mutex::new(Tip { head, witness });
        Ok(Self { store, fresh, unwitnessed, failed: AtomicBool::new(false), tip, compacting: Mutex::new(()) })
    }

    /// Whether the file was created by this [`Log::open`].
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether it was opened with entries but without its witness: somebody removed that, so as to go on with this log.
    pub fn is_unwitnessed(&self) -> bool {
        self.unwitnessed
    }

    /// The last position; 0 for an empty log.
    pub fn head(&self) -> Seq {
        self.lock_tip().head.seq
    }

    /// Appends one signal: when it returns, the signal is on the disk.
    ///
    /// The same signal again (all but `at`) is known and changes nothing; another one of the same ID is refused. Both holds
    /// for seven days from the acceptance of the first; then the ID is free for a new signal.
    pub fn append(&self, signal: Signal) -> Result<Appended, LogError> {
        let mut results = self.append_all(vec![signal])?;
        results.pop().unwrap_or_else(|| Err(LogError::damaged("an append without result").at(self.store.path())))
    }

    /// Appends in order with one flush to the disk for all: all that are new, or none.
    ///
    /// The inner errors refuse a single signal ([`LogError::Conflict`]); the others stand.
    pub fn append_all(&self, signals: Vec<Signal>) -> Result<Vec<Result<Appended, LogError>>, LogError> {
        let mut tip = self.lock_tip();
        let before = tip.head;
        self.write(&mut tip, |tables, head| {
            let results: Vec<_> = signals.into_iter().map(|it| tables.put(head, it)).collect::<Result<_, _>>()?;
            Ok((results, *head != before))
        })
    }

    /// Appends entries whose positions were decided elsewhere, with one flush for all: all, or none.
    ///
    /// They must follow the end of the log without a gap ([`LogError::Gap`]). An entry that repeats an ID is stored at its
    /// position too and counts for nothing: its result is the first one, `known`, or [`LogError::Conflict`] for another
    /// signal of that ID; no replay hands it out. Whether it repeats one depends on nothing but the two entries (see
    /// [`Log::append`]), so every replica finds the same.
    pub fn append_at(&self, entries: Vec<(Seq, Signal)>) -> Result<Vec<Result<Appended, LogError>>, LogError> {
        let mut tip = self.lock_tip();
        let mut expected = tip.head.seq;
        for (found, _) in &entries {
            expected = expected.next();
            if *found != expected {
                return Err(LogError::Gap { expected, found: *found });
            }
        }
        self.write(&mut tip, |tables, head| {
            let results = entries.into_iter().map(|(_, signal)| tables.put_next(head, signal));
            let results: Vec<_> = results.collect::<Result<_, _>>()?;
            let moved = !results.is_empty();
            Ok((results, moved))
        })
    }

    /// What [`Log::append`] would answer if it did not append: nothing for a signal that is new.
    pub fn known(&self, signal: &Signal) -> Result<Option<Result<Appended, LogError>>, LogError> {
        self.store.with(|db| {
            let reading = db.begin_read()?;
            let (ids, signals) = (reading.open_table(IDS)?, reading.open_table(SIGNALS)?);
            tables::known(&ids, &signals, &reading.open_table(REMOVED)?, signal)
        })
    }

    /// Hands every entry that counts in order to `each`, checking that none is missing or altered.
    ///
    /// Up to [`Log::base`] these are the entries that compaction kept. What they say is only proven once this returns.
    pub fn replay(&self, mut each: impl FnMut(Seq, Signal)) -> Result<(), LogError> {
        self.store.with(|db| {
            let view = View::of(db)?;
            let mut progress = Progress::new(view.len()?);
            view.walk(Seq(0), |found| {
                progress.step();
                if !found.duplicate {
                    each(found.seq, found.signal);
                }
                Ok(true)
            })?;
            Ok(())
        })
    }

    /// At most `limit` entries after `after` that count, in order. Those that compaction removed are left out.
    pub fn read_after(&self, after: Seq, limit: usize) -> Result<Vec<(Seq, Signal)>, LogError> {
        let mut entries = Vec::new();
        if limit == 0 {
            return Ok(entries);
        }
        self.store.with(|db| {
            View::of(db)?.walk(after, |found| {
                if !found.duplicate {
                    entries.push((found.seq, found.signal));
                }
                Ok(entries.len() < limit)
            })
        })?;
        Ok(entries)
    }

    /// Up to where entries can be missing because they mattered no more; who was told less than this needs a fresh start.
    pub fn base(&self) -> Result<Seq, LogError> {
        self.store.with(|db| Ok(View::of(db)?.base.head.seq))
    }

    /// How many entries are stored.
    pub fn stored(&self) -> Result<u64, LogError> {
        self.store.with(|db| View::of(db)?.len())
    }

    /// A hash over the whole history up to and with the entry at `seq`: the same in every replica of one order of signals,
    /// whether or not it was compacted.
    ///
    /// Nothing if compaction removed that entry, if the log does not reach it, or if it can't be read.
    pub fn fingerprint(&self, seq: Seq) -> Option<[u8; 32]> {
        let found = self.store.with(|db| View::of(db)?.history(seq));
        let found = found.inspect_err(|error| tracing::warn!(%error, seq = seq.0, "no fingerprint of the signal log"));
        found.ok().flatten().map(|chain| *chain.as_bytes())
    }

    /// Whether a write has failed: from then on nothing is accepted until the log is opened again.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// After a failed write: opens what the disk holds, so that signals are accepted again; without one it does nothing.
    ///
    /// Returns the entries after the head of before: what the failed write left may be there. Takes as long as [`Log::open`].
    pub fn reopen(&self) -> Result<Vec<(Seq, Signal)>, LogError> {
        let mut tip = self.lock_tip();
        if !self.has_failed() {
            return Ok(Vec::new());
        }
        self.store.reopen()?;
        // Its witness is on the disk and checked with it; what this process knows must be there as well.
        let Opened { head, witness, .. } = self.store.with(|db| opening::settle(db, self.store.path()))?;
        let history = self.store.with(|db| View::of(db)?.history(tip.head.seq))?;
        if let Some(why) = opening::contradiction(head, tip.head, history) {
            return Err(witness.contradicts(self.store.path(), why));
        }
        let left = self.read_after(tip.head.seq, usize::MAX)?;
        *tip = Tip { head, witness };
        self.failed.store(false, Ordering::Relaxed);
        Ok(left)
    }

    /// Why this log can't be used, for a reason outside the file.
    pub(super) fn unusable(&self, source: std::io::Error) -> LogError {
        LogError::io(self.store.path(), source)
    }

    /// One transaction; `change` moves the head and says whether there is something to commit.
    ///
    /// The witness follows before this returns, so nothing is acknowledged that it does not know of.
    fn write<T>(
        &self,
        tip: &mut Tip,
        change: impl FnOnce(&mut Tables<'_>, &mut Head) -> Result<(T, bool), Fault>,
    ) -> Result<T, LogError> {
        if self.has_failed() {
            return Err(LogError::io(self.store.path(), closed()));
        }
        let mut head = tip.head;
        let committed = self.store.with(|db| {
            let mut transaction = db.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            let (result, commit) = change(&mut Tables::open(&transaction)?, &mut head)?;
            if commit {
                transaction.commit()?;
            } else {
                transaction.abort()?;
            }
            Ok(result)
        });
        let written = committed.and_then(|result| tip.witness.advance(head).map(|()| result));
        let result = written.inspect_err(|_| self.failed.store(true, Ordering::Relaxed))?;
        tip.head = head;
        Ok(result)
    }

    fn lock_tip(&self) -> MutexGuard<'_, Tip> {
        // A panic while appending leaves the head of the last commit, which is the truth.
        self.tip.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says now and then how far a long replay has come.
struct Progress {
    total: u64,
    done: u64,
    told: Instant,
}

impl Progress {
    const EVERY: Duration = Duration::from_secs(2);

    fn new(total: u64) -> Self {
        Self { total, done: 0, told: Instant::now() }
    }

    fn step(&mut self) {
        self.done = self.done.saturating_add(1);
        if self.done.is_multiple_of(1024) && self.told.elapsed() >= Self::EVERY {
            self.told = Instant::now();
            tracing::info!(done = self.done, of = self.total, "reading the signal log");
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
