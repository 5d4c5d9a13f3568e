//! Reading entries in order, with proof that none is missing, moved or altered. It changes nothing.

use authz_core::signal::{Seq, Signal};
use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTableMetadata};

use super::{
    Head,
    base::{Base, Kept},
    error::{Fault, LogError},
    record::{Chain, Record},
    tables::{BASE, DUPLICATES, SIGNALS, read_base},
};

/// The log of one moment.
pub(super) struct View {
    pub(super) base: Base,
    signals: ReadOnlyTable<u64, &'static [u8]>,
    /// Nothing if there are none.
    duplicates: Option<ReadOnlyTable<u64, ()>>,
}

/// One entry as it is stored, and as it reads.
pub(super) struct Found<'b> {
    pub(super) seq: Seq,
    pub(super) stored: &'b [u8],
    pub(super) signal: Signal,
    /// It repeats an ID and counts for nothing.
    pub(super) duplicate: bool,
}

impl View {
    pub(super) fn of(db: &Database) -> Result<Self, Fault> {
        Self::over(&db.begin_read()?)
    }

    pub(super) fn over(transaction: &ReadTransaction) -> Result<Self, Fault> {
        let duplicates = transaction.open_table(DUPLICATES)?;
        Ok(Self {
            base: read_base(&transaction.open_table(BASE)?)?,
            signals: transaction.open_table(SIGNALS)?,
            duplicates: if duplicates.is_empty()? { None } else { Some(duplicates) },
        })
    }

    /// How many entries are stored.
    pub(super) fn len(&self) -> Result<u64, Fault> {
        Ok(self.signals.len()?)
    }

    /// The history up to `seq`, unless compaction removed the entry there, or there is none yet.
    pub(super) fn history(&self, seq: Seq) -> Result<Option<Chain>, Fault> {
        match seq {
            Seq(0) => Ok(Some(Chain::START)),
            seq if seq == self.base.head.seq => Ok(Some(self.base.head.chain)),
            seq => self.signals.get(seq.0)?.map(|stored| Ok(Record::split(stored.value())?.chain)).transpose(),
        }
    }

    /// Hands the entries after `after` in order to `each` until it returns false; returns whether it did not.
    pub(super) fn walk(
        &self,
        after: Seq,
        mut each: impl FnMut(Found<'_>) -> Result<bool, Fault>,
    ) -> Result<bool, Fault> {
        let Some(mut proof) = Proof::after(after, self.base, self.history(after)?) else { return Ok(true) };
        for entry in self.signals.range(after.next().0..)? {
            let (key, value) = entry?;
            let (seq, stored) = (Seq(key.value()), value.value());
            let signal = proof.follow(seq, stored)?;
            let duplicate = match &self.duplicates {
                Some(duplicates) => duplicates.get(seq.0)?.is_some(),
                None => false,
            };
            if !each(Found { seq, stored, signal, duplicate })? {
                return Ok(false);
            }
        }
        proof.finish()?;
        Ok(true)
    }
}

/// What the next entry must prove.
pub(super) struct Proof {
    base: Base,
    last: Option<Head>,
    /// What was seen of the compacted part, if all of it is seen.
    kept: Option<Kept>,
}

impl Proof {
    /// Of entries after `after`, where the history is `history`; nothing if the log does not reach that far.
    fn after(after: Seq, base: Base, history: Option<Chain>) -> Option<Self> {
        let last = history.map(|chain| Head { seq: after, chain });
        (last.is_some() || after < base.head.seq).then(|| Self {
            base,
            last,
            kept: (after == Seq(0) && base != Base::NONE).then_some(Kept::NOTHING),
        })
    }

    /// Of all entries.
    pub(super) fn of_all(base: Base) -> Self {
        Self { base, last: Some(Head::EMPTY), kept: (base != Base::NONE).then_some(Kept::NOTHING) }
    }

    /// Moves on to the entry stored at `seq`, which must be the next and unaltered.
    pub(super) fn follow(&mut self, seq: Seq, stored: &[u8]) -> Result<Signal, Fault> {
        let record = Record::split(stored)?;
        let head = Head { seq, chain: record.chain };
        if seq > self.base.head.seq {
            self.leave_base()?;
        } else if let Some(kept) = &mut self.kept {
            *kept = kept.plus(Kept::one(seq, stored));
        }
        let signal = match self.last.filter(|last| last.seq.next() == seq) {
            Some(last) => record.open(last.chain, seq)?,
            None if seq <= self.base.head.seq => record.read(seq)?,
            None => return Err(missing(self.last)),
        };
        if seq == self.base.head.seq && head != self.base.head {
            return Err(altered(self.base));
        }
        self.last = Some(head);
        Ok(signal)
    }

    /// Where the entries ended, all of them seen; fails if what was kept of the compacted part is not all there.
    pub(super) fn finish(mut self) -> Result<Head, Fault> {
        self.leave_base()?;
        Ok(self.last.unwrap_or(self.base.head))
    }

    fn leave_base(&mut self) -> Result<(), Fault> {
        if self.last.is_none_or(|last| last.seq < self.base.head.seq) {
            self.last = Some(self.base.head);
        }
        match self.kept.take() {
            Some(kept) if kept != self.base.kept => Err(altered(self.base)),
            _ => Ok(()),
        }
    }
}

fn missing(last: Option<Head>) -> Fault {
    LogError::damaged(format!("signal {} is missing", last.map_or(Seq(1), |last| last.seq.next())))
}

fn altered(base: Base) -> Fault {
    LogError::damaged(format!("the signals up to {} are not those that were kept", base.head.seq))
}
