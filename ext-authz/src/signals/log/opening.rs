//! What happens when a log is opened: format, end, and whether it is the one that was here last. It replays nothing.

use std::path::Path;

use authz_core::signal::Seq;
use redb::{Database, ReadableTable};

use super::{
    Head,
    error::{Fault, LogError},
    record::{Chain, Record},
    tables::{FORMAT, FORMAT_VERSION, META, Tables},
    witness::Witness,
};

/// A log that can be used.
pub(super) struct Opened {
    pub(super) head: Head,
    pub(super) witness: Witness,
    /// There were entries, and no witness that should have been there.
    pub(super) unwitnessed: bool,
}

/// Refuses a log that is gone although its witness is there, before a new one takes its place.
pub(super) fn check_not_gone(path: &Path) -> Result<(), LogError> {
    match Witness::open(path)? {
        Some(witness) if witness.head().seq > Seq(0) => {
            let why = format!("it is gone, and signal {} was in it", witness.head().seq);
            Err(witness.contradicts(path, why))
        }
        _ => Ok(()),
    }
}

/// Finds the end of the log, writes the format into a new one, brings an older one up to date, and refuses another one.
pub(super) fn settle(db: &Database, path: &Path) -> Result<Opened, Fault> {
    let transaction = db.begin_write()?;
    let opened = {
        let mut meta = transaction.open_table(META)?;
        let format = meta.get(FORMAT)?.map(|found| found.value());
        if let Some(found) = format.filter(|found| !(1..=FORMAT_VERSION).contains(found)) {
            return Err(Fault::Format(found));
        }
        // Format 1 lacks tables and is otherwise the same.
        let tables = Tables::open(&transaction)?;
        let head = end(&tables)?;
        let opened = match Witness::open(path)? {
            Some(mut witness) => {
                check(&tables, head, &witness, path)?;
                witness.advance(head)?;
                Opened { head, witness, unwitnessed: false }
            }
            // Before the format: whoever finds format 2 and no witness knows that it was taken away.
            None => Opened {
                head,
                witness: Witness::create(path, head)?,
                unwitnessed: format == Some(FORMAT_VERSION) && head.seq > Seq(0),
            },
        };
        meta.insert(FORMAT, FORMAT_VERSION)?;
        opened
    };
    transaction.commit()?;
    Ok(opened)
}

/// Whether what was known to be in the log up to `known` still is, now that it ends at `head`.
pub(super) fn contradiction(head: Head, known: Head, history: Option<Chain>) -> Option<String> {
    if head.seq < known.seq {
        return Some(format!("it ends at {}, and signal {} was in it", head.seq, known.seq));
    }
    // Where compaction removed the entry, nobody knows better.
    let differs = history.is_some_and(|chain| chain != known.chain);
    differs.then(|| format!("up to signal {} it holds others", known.seq))
}

fn check(tables: &Tables<'_>, head: Head, witness: &Witness, path: &Path) -> Result<(), Fault> {
    let known = witness.head();
    let history = match known.seq {
        seq if seq == head.seq => Some(head.chain),
        seq => tables.signals.get(seq.0)?.map(|stored| Record::split(stored.value()).map(|it| it.chain)).transpose()?,
    };
    match contradiction(head, known, history) {
        Some(why) => Err(witness.contradicts(path, why).into()),
        None => Ok(()),
    }
}

/// The last entry, kept or not.
fn end(tables: &Tables<'_>) -> Result<Head, Fault> {
    let base = tables.base()?.head;
    Ok(match tables.signals.last()? {
        Some((seq, stored)) if seq.value() > base.seq.0 => {
            Head { seq: Seq(seq.value()), chain: Record::split(stored.value())?.chain }
        }
        _ => base,
    })
}
