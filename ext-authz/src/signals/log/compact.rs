//! Taking out entries that matter no more, a few at a time, so that signals keep coming in between. Which ones matter is
//! the caller's to say.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use authz_core::{
    signal::{Seq, Signal},
    time::Timestamp,
};
use redb::{ReadableDatabase, ReadableTable};

use super::{
    Head, Log, LogError,
    base::{Base, Kept},
    error::Fault,
    record::{Record, Trace},
    tables::{REMOVED, is_droppable},
    walk::View,
};

/// What a compaction did.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Compacted {
    /// How many entries left.
    pub removed: u64,
    /// How many of the entries that were looked at stay.
    pub kept: u64,
    /// How many IDs were forgotten.
    pub forgotten: u64,
}

/// What is to change up to some position.
struct Part {
    dead: Vec<(Seq, Signal, Kept)>,
    /// What enters the compacted part and stays.
    gained: Kept,
    looked_at: u64,
    /// Up to here; the entry there may be one of the dead.
    to: Head,
    is_last: bool,
}

impl Log {
    /// Removes the entries up to `base` that are `dead`, and those that count for nothing; `now` tells which IDs of removed
    /// entries can be forgotten (seven days, and one more for late comers, after they were accepted).
    ///
    /// Positions, order and fingerprints of all others stay. They leave in order, a part at a time, each of which is whole on
    /// the disk or not at all: to be without the first few of them must be as harmless as to be without all. Appends wait
    /// for one part at most.
    pub fn compact(
        &self,
        base: Seq,
        now: Timestamp,
        mut dead: impl FnMut(Seq, &Signal) -> bool,
    ) -> Result<Compacted, LogError> {
        let _alone = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        let base = base.min(self.head());
        let (mut done, mut after) = (Compacted::default(), Seq(0));
        while after < base {
            let part = self.store.with(|db| survey(&View::of(db)?, after, base, &mut dead))?;
            let begun = Instant::now();
            self.remove(&part)?;
            let removed = part.dead.len() as u64;
            done.removed = done.removed.saturating_add(removed);
            done.kept = done.kept.saturating_add(part.looked_at.saturating_sub(removed));
            after = part.to.seq;
            if part.is_last {
                break;
            }
            give_way(begun);
        }
        done.forgotten = self.forget(now)?;
        Ok(done)
    }

    fn remove(&self, part: &Part) -> Result<(), LogError> {
        self.write(&mut self.lock_tip(), |tables, _| {
            let old = tables.base()?;
            let mut kept = old.kept.plus(part.gained);
            for (seq, signal, one) in &part.dead {
                tables.remove(*seq, signal)?;
                if *seq <= old.head.seq {
                    kept = kept.minus(*one);
                }
            }
            let head = if part.to.seq > old.head.seq { part.to } else { old.head };
            let new = Base { head, kept };
            tables.set_base(new)?;
            Ok(((), new != old || !part.dead.is_empty()))
        })
    }

    /// Forgets the IDs of removed entries that no signal can come for any more.
    fn forget(&self, now: Timestamp) -> Result<u64, LogError> {
        let ids = self.store.with(|db| {
            let mut ids: Vec<String> = Vec::new();
            for entry in db.begin_read()?.open_table(REMOVED)?.iter()? {
                let (id, trace) = entry?;
                if is_droppable(Trace::from_bytes(trace.value())?.at, now) {
                    ids.push(id.value().to_owned());
                }
            }
            Ok(ids)
        })?;
        for part in ids.chunks(PART) {
            let begun = Instant::now();
            self.write(&mut self.lock_tip(), |tables, _| {
                for id in part {
                    // It may have been given to a new signal and removed again since.
                    let trace = tables.removed.get(&**id)?.map(|trace| Trace::from_bytes(trace.value())).transpose()?;
                    if trace.is_some_and(|trace| is_droppable(trace.at, now)) {
                        tables.removed.remove(&**id)?;
                    }
                }
                Ok(((), true))
            })?;
            give_way(begun);
        }
        Ok(ids.len() as u64)
    }
}

/// Reads on from `after` until enough was looked at for one write.
fn survey(view: &View, after: Seq, base: Seq, dead: &mut impl FnMut(Seq, &Signal) -> bool) -> Result<Part, Fault> {
    let old = view.base.head;
    let mut part = Part { dead: Vec::new(), gained: Kept::NOTHING, looked_at: 0, to: old, is_last: true };
    view.walk(after, |found| {
        if found.seq > base {
            return Ok(false);
        }
        let head = Head { seq: found.seq, chain: Record::split(found.stored)?.chain };
        let one = Kept::one(found.seq, found.stored);
        if found.duplicate || dead(found.seq, &found.signal) {
            part.dead.push((found.seq, found.signal, one));
        } else if found.seq > old.seq {
            part.gained = part.gained.plus(one);
        }
        part.looked_at = part.looked_at.saturating_add(1);
        part.to = head;
        part.is_last = part.dead.len() < PART && part.looked_at < LOOK_AT;
        Ok(part.is_last)
    })?;
    Ok(part)
}

/// Lets those write who wait, for as long as they waited.
fn give_way(begun: Instant) {
    std::thread::sleep(begun.elapsed().min(LONGEST_PAUSE));
}

/// Entries removed in one write.
const PART: usize = 256;
/// Entries read for one write.
const LOOK_AT: u64 = 65536;
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
