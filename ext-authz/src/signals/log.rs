//! The durable, ordered log of signals in one file. It keeps every entry it acknowledged and puts none of them in force.

mod error;
mod file;
mod record;

use std::{
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use authz_core::signal::{Seq, Signal};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, Table, TableDefinition};

pub use error::LogError;
use record::{Chain, Record};

/// The log. Only one process can have it open; readers never wait for the writer.
#[derive(Debug)]
pub struct Log {
    db: Database,
    path: Box<Path>,
    fresh: bool,
    failed: AtomicBool,
    // INVARIANT: what the last committed transaction left; nobody writes without holding it.
    head: Mutex<Head>,
}

/// What became of one signal handed to the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    /// Its position.
    pub seq: Seq,
    /// As it stands in the log.
    pub signal: Signal,
    /// Whether it was there before: nothing changed.
    pub known: bool,
}

#[derive(Copy, Clone, Debug)]
struct Head {
    seq: Seq,
    chain: Chain,
}

impl Log {
    /// Opens the log in the file `path`, or creates it there for its owner only (mode 0600).
    ///
    /// Every page is checked. Fails if another process has it open, or if it is damaged or of another format.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let fresh = !path.exists();
        Self::over(file::open(path)?, path, fresh)
    }

    fn over(db: Database, path: &Path, fresh: bool) -> Result<Self, LogError> {
        let head = read_head(&db).map_err(|error| error.at(path))?;
        Ok(Self { db, path: path.into(), fresh, failed: AtomicBool::new(false), head: Mutex::new(head) })
    }

    /// Whether the file was created by this [`Log::open`].
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// The last position; 0 for an empty log.
    pub fn head(&self) -> Seq {
        self.lock_head().seq
    }

    /// Appends one signal: when it returns, the signal is on the disk.
    ///
    /// The same signal again (all but `at`) is known and changes nothing; another one of the same ID is refused.
    pub fn append(&self, signal: Signal) -> Result<Appended, LogError> {
        let mut results = self.append_all(vec![signal])?;
        results.pop().unwrap_or_else(|| Err(LogError::damaged("an append without result").at(&self.path)))
    }

    /// Appends in order with one flush to the disk for all: all that are new, or none.
    ///
    /// The inner errors refuse a single signal ([`LogError::Conflict`]); the others stand.
    pub fn append_all(&self, signals: Vec<Signal>) -> Result<Vec<Result<Appended, LogError>>, LogError> {
        let mut head = self.lock_head();
        let (results, new_head) = self.commit(*head, signals).map_err(|error| {
            self.failed.store(true, Ordering::Relaxed);
            error.at(&self.path)
        })?;
        *head = new_head;
        Ok(results)
    }

    /// Hands every entry in order to `each`, checking that none is missing or altered.
    pub fn replay(&self, mut each: impl FnMut(Seq, Signal)) -> Result<(), LogError> {
        self.walk(Seq(0), usize::MAX, &mut each).map_err(|error| error.at(&self.path))
    }

    /// At most `limit` entries after `after`, in order.
    pub fn read_after(&self, after: Seq, limit: usize) -> Result<Vec<(Seq, Signal)>, LogError> {
        let mut entries = Vec::new();
        self.walk(after, limit, &mut |seq, signal| entries.push((seq, signal)))
            .map_err(|error| error.at(&self.path))?;
        Ok(entries)
    }

    /// Whether a write has failed: from then on nothing is accepted until the log is opened again.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Why this log can't be used, for a reason outside the file.
    pub(super) fn unusable(&self, source: std::io::Error) -> LogError {
        error::Fault::from(redb::Error::Io(source)).at(&self.path)
    }

    fn commit(
        &self,
        mut head: Head,
        signals: Vec<Signal>,
    ) -> Result<(Vec<Result<Appended, LogError>>, Head), error::Fault> {
        let before = head.seq;
        let mut transaction = self.db.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        let mut results = Vec::with_capacity(signals.len());
        {
            let mut tables = Tables { signals: transaction.open_table(SIGNALS)?, ids: transaction.open_table(IDS)? };
            for signal in signals {
                results.push(tables.put(&mut head, signal)?);
            }
        }
        if head.seq == before {
            transaction.abort()?;
        } else {
            transaction.commit()?;
        }
        Ok((results, head))
    }

    fn walk(&self, after: Seq, limit: usize, each: &mut dyn FnMut(Seq, Signal)) -> Result<(), error::Fault> {
        let table = self.db.begin_read()?.open_table(SIGNALS)?;
        let mut last = match after {
            Seq(0) => Head::EMPTY,
            seq => match table.get(seq.0)? {
                Some(found) => Head { seq, chain: Record::split(found.value())?.chain },
                None => return Ok(()),
            },
        };
        for entry in table.range(after.next().0..)?.take(limit) {
            let (key, value) = entry?;
            let signal = last.follow(Seq(key.value()), value.value())?;
            each(last.seq, signal);
        }
        Ok(())
    }

    fn lock_head(&self) -> MutexGuard<'_, Head> {
        // A panic while appending leaves the head of the last commit, which is the truth.
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Head {
    const EMPTY: Self = Self { seq: Seq(0), chain: Chain::START };

    /// Moves on to the entry stored at `seq`, which must be the next and unaltered.
    fn follow(&mut self, seq: Seq, stored: &[u8]) -> Result<Signal, error::Fault> {
        if seq != self.seq.next() {
            return Err(LogError::damaged(format!("signal {} is missing", self.seq.next())));
        }
        let record = Record::split(stored)?;
        let signal = record.open(self.chain, seq)?;
        *self = Self { seq, chain: record.chain };
        Ok(signal)
    }
}

struct Tables<'t> {
    signals: Table<'t, u64, &'static [u8]>,
    ids: Table<'t, &'static str, u64>,
}

impl Tables<'_> {
    fn put(&mut self, head: &mut Head, signal: Signal) -> Result<Result<Appended, LogError>, error::Fault> {
        if let Some((seq, old)) = self.find(&signal.id)? {
            let same = Signal { at: old.at, ..signal } == old;
            let appended = Appended { seq, signal: old, known: true };
            return Ok(if same { Ok(appended) } else { Err(LogError::conflict(&appended)) });
        }
        let seq = head.seq.next();
        let (chain, stored) = Record::seal(head.chain, seq, &signal);
        self.signals.insert(seq.0, &*stored)?;
        self.ids.insert(&*signal.id, seq.0)?;
        *head = Head { seq, chain };
        Ok(Ok(Appended { seq, signal, known: false }))
    }

    fn find(&self, id: &str) -> Result<Option<(Seq, Signal)>, error::Fault> {
        let Some(seq) = self.ids.get(id)?.map(|seq| Seq(seq.value())) else { return Ok(None) };
        let Some(stored) = self.signals.get(seq.0)? else {
            return Err(LogError::damaged(format!("signal {seq} is missing")));
        };
        Ok(Some((seq, Record::split(stored.value())?.read(seq)?)))
    }
}

/// The position and chain of the last entry; writes the format into a new file, refuses another one.
fn read_head(db: &Database) -> Result<Head, error::Fault> {
    let transaction = db.begin_write()?;
    let head = {
        let mut meta = transaction.open_table(META)?;
        let format = meta.get(FORMAT)?.map(|found| found.value());
        match format {
            Some(FORMAT_VERSION) => {}
            Some(found) => return Err(error::Fault::Format(found)),
            None => {
                meta.insert(FORMAT, FORMAT_VERSION)?;
            }
        }
        transaction.open_table(IDS)?;
        let signals = transaction.open_table(SIGNALS)?;
        match signals.last()? {
            Some((seq, stored)) => Head { seq: Seq(seq.value()), chain: Record::split(stored.value())?.chain },
            None => Head::EMPTY,
        }
    };
    transaction.commit()?;
    Ok(head)
}

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Sealed records ([`Record`]) by position.
const SIGNALS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("signals");
/// Positions by the ID of the signal.
const IDS: TableDefinition<'_, &str, u64> = TableDefinition::new("ids");
const FORMAT: &str = "format";
/// 1: records are a 32-byte chain value and a `countersign.control.v1.Signal`.
const FORMAT_VERSION: u64 = 1;

#[cfg(test)]
pub(super) mod tests;
