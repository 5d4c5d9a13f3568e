//! The tables of the log and what one write does to them. It opens no file and decides nothing about durability.

use authz_core::{
    signal::{Seq, Signal},
    time::Timestamp,
};
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use super::{
    Appended, Head,
    base::Base,
    error::{Fault, LogError},
    record::{Record, Trace},
};

/// All tables, open for one write.
pub(super) struct Tables<'t> {
    pub(super) signals: Table<'t, u64, &'static [u8]>,
    pub(super) duplicates: Table<'t, u64, ()>,
    pub(super) ids: Table<'t, &'static str, u64>,
    pub(super) removed: Table<'t, &'static str, &'static [u8]>,
    base: Table<'t, (), &'static [u8]>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            signals: transaction.open_table(SIGNALS)?,
            duplicates: transaction.open_table(DUPLICATES)?,
            ids: transaction.open_table(IDS)?,
            removed: transaction.open_table(REMOVED)?,
            base: transaction.open_table(BASE)?,
        })
    }

    /// Adds `signal` at the next position, if it is new.
    pub(super) fn put(&mut self, head: &mut Head, signal: Signal) -> Result<Result<Appended, LogError>, Fault> {
        if let Some(known) = self.known(&signal)? {
            return Ok(known);
        }
        let seq = self.store(head, &signal)?;
        self.name(seq, &signal)?;
        Ok(Ok(Appended { seq, signal, known: false }))
    }

    /// Adds `signal` at the next position whatever it is: others have it there too. One that is not new counts for nothing.
    pub(super) fn put_next(&mut self, head: &mut Head, signal: Signal) -> Result<Result<Appended, LogError>, Fault> {
        let known = self.known(&signal)?;
        let seq = self.store(head, &signal)?;
        if let Some(known) = known {
            self.duplicates.insert(seq.0, ())?;
            return Ok(known);
        }
        self.name(seq, &signal)?;
        Ok(Ok(Appended { seq, signal, known: false }))
    }

    /// Takes the entry at `seq` out. Its ID stays known.
    pub(super) fn remove(&mut self, seq: Seq, signal: &Signal) -> Result<(), Fault> {
        self.signals.remove(seq.0)?;
        let is_duplicate = self.duplicates.remove(seq.0)?.is_some();
        let is_its_name = self.ids.get(&*signal.id)?.is_some_and(|named| named.value() == seq.0);
        if is_its_name && !is_duplicate {
            self.ids.remove(&*signal.id)?;
            self.removed.insert(&*signal.id, &*Trace::of(seq, signal).to_bytes())?;
        }
        Ok(())
    }

    /// Gives the ID of `signal` to the entry at `seq`.
    pub(super) fn name(&mut self, seq: Seq, signal: &Signal) -> Result<(), Fault> {
        self.ids.insert(&*signal.id, seq.0)?;
        self.removed.remove(&*signal.id)?;
        Ok(())
    }

    /// Takes everything out.
    pub(super) fn clear(&mut self) -> Result<(), Fault> {
        self.signals.retain(|_, _| false)?;
        self.duplicates.retain(|_, ()| false)?;
        self.ids.retain(|_, _| false)?;
        self.removed.retain(|_, _| false)?;
        self.base.retain(|(), _| false)?;
        Ok(())
    }

    pub(super) fn base(&self) -> Result<Base, Fault> {
        read_base(&self.base)
    }

    pub(super) fn set_base(&mut self, base: Base) -> Result<(), Fault> {
        self.base.insert((), &*base.to_bytes())?;
        Ok(())
    }

    fn store(&mut self, head: &mut Head, signal: &Signal) -> Result<Seq, Fault> {
        let seq = head.seq.next();
        let (chain, stored) = Record::seal(head.chain, seq, signal);
        self.signals.insert(seq.0, &*stored)?;
        *head = Head { seq, chain };
        Ok(seq)
    }

    fn known(&self, signal: &Signal) -> Result<Option<Result<Appended, LogError>>, Fault> {
        known(&self.ids, &self.signals, &self.removed, signal)
    }
}

/// The signal that has the ID of `signal`, if there is one that is still remembered; an error if it is another signal.
pub(super) fn known(
    ids: &impl ReadableTable<&'static str, u64>,
    signals: &impl ReadableTable<u64, &'static [u8]>,
    removed: &impl ReadableTable<&'static str, &'static [u8]>,
    signal: &Signal,
) -> Result<Option<Result<Appended, LogError>>, Fault> {
    let (seq, old, same) = if let Some(seq) = ids.get(&*signal.id)?.map(|seq| Seq(seq.value())) {
        let stored = signals.get(seq.0)?.ok_or_else(|| LogError::damaged(format!("signal {seq} is missing")))?;
        let old = Record::split(stored.value())?.read(seq)?;
        let same = Signal { at: old.at, ..signal.clone() } == old;
        (seq, old, same)
    } else if let Some(found) = removed.get(&*signal.id)? {
        let trace = Trace::from_bytes(found.value())?;
        (trace.seq, Signal { at: trace.at, ..signal.clone() }, trace.is_of(signal))
    } else {
        return Ok(None);
    };
    if is_forgotten(old.at, signal.at) {
        return Ok(None);
    }
    let first = Appended { seq, signal: old, known: true };
    Ok(Some(if same { Ok(first) } else { Err(LogError::conflict(&first)) }))
}

/// Whether, for a signal accepted at `now`, the ID of one accepted at `at` is free again. It looks at nothing but the two
/// signals, so that every replica of one order of signals finds the same.
fn is_forgotten(at: Timestamp, now: Timestamp) -> bool {
    now > at.saturating_add_millis(ID_MEMORY_MS)
}

/// Whether the ID of a signal accepted at `at` can be dropped at `now`: no signal can still come that must find it.
pub(super) fn is_droppable(at: Timestamp, now: Timestamp) -> bool {
    is_forgotten(at.saturating_add_millis(LATE_MS), now)
}

pub(super) fn read_base(table: &impl ReadableTable<(), &'static [u8]>) -> Result<Base, Fault> {
    table.get(())?.map_or(Ok(Base::NONE), |stored| Base::from_bytes(stored.value()))
}

pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Sealed records ([`Record`]) by position.
pub(super) const SIGNALS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("signals");
/// Positions by the ID of the signal.
pub(super) const IDS: TableDefinition<'_, &str, u64> = TableDefinition::new("ids");
/// Positions whose entry repeats an earlier ID and counts for nothing.
pub(super) const DUPLICATES: TableDefinition<'_, u64, ()> = TableDefinition::new("duplicates");
/// What is remembered of removed signals ([`Trace`]) by their ID.
pub(super) const REMOVED: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("removed");
/// At most one [`Base`].
pub(super) const BASE: TableDefinition<'_, (), &[u8]> = TableDefinition::new("base");
pub(super) const FORMAT: &str = "format";
/// 1: records are a 32-byte chain value and a `countersign.control.v1.Signal`. 2: entries can be missing up to the base,
/// and there are duplicates and removed IDs.
pub(super) const FORMAT_VERSION: u64 = 2;

/// How long after its acceptance the ID of a signal stays its name, kept or removed: seven days.
pub(super) const ID_MEMORY_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// How much later than it was accepted a signal may enter the log of another sidecar: a day.
const LATE_MS: u64 = 24 * 60 * 60 * 1000;
