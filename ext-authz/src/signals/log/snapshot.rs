//! The log as bytes, for a replica that can't get all of it from elsewhere. What comes in is proven before it counts.

use std::{
    io::{self, Read, Write},
    sync::PoisonError,
};

use authz_core::signal::{Seq, Signal};
use redb::{Database, ReadableDatabase, ReadableTable};
use sha2::{Digest, Sha256};

use super::{
    Head, Log, LogError, Tip, Witness,
    base::Base,
    error::Fault,
    record::{Chain, Record, Trace},
    tables::{REMOVED, Tables},
    walk::{Proof, View},
};

impl Log {
    /// Writes the whole log of this moment to `out`; returns the position at which it ends. Signals keep coming meanwhile.
    ///
    /// # Errors
    /// When the log can't be read, or `out` takes no more ([`LogError::Snapshot`]).
    pub fn export(&self, out: impl Write) -> Result<Seq, LogError> {
        self.store.with(|db| export(db, out))
    }

    /// Takes over a log that [`Log::export`] wrote: into an empty log, or over an older state of the same history. All of
    /// it, or none; when it returns, it is on the disk. Returns the position at which the log now ends.
    ///
    /// What was read from the log before says no longer what it holds.
    ///
    /// # Errors
    /// When it is not whole, ends before this log does, or continues another history ([`LogError::Snapshot`]); the log is
    /// as it was then.
    pub fn import(&self, from: impl Read) -> Result<Seq, LogError> {
        let _alone = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        self.take_over(&mut self.lock_tip(), from, continues)
    }

    /// The same over a log of another history, of which nothing stays: all that counts in it must be in the new one too.
    pub fn supplant(&self, from: impl Read) -> Result<Seq, LogError> {
        let _alone = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tip = self.lock_tip();
        // Without a history to hold the new one against; should we end here, it says less than the log holds.
        tip.witness = Witness::create(self.store.path(), Head::EMPTY)?;
        self.take_over(&mut tip, from, |_, _, _| Ok(()))
    }

    fn take_over(
        &self,
        tip: &mut Tip,
        from: impl Read,
        check: impl Fn(Head, Option<Chain>, Head) -> Result<(), Fault>,
    ) -> Result<Seq, LogError> {
        let own = tip.head;
        let mut refused = None;
        self.write(tip, |tables, head| match import(tables, own, from, check) {
            Ok(end) => {
                *head = end;
                Ok(((), true))
            }
            // The log itself is well: nothing is committed, and nothing has failed.
            Err(Fault::Known(error @ LogError::Snapshot(_))) => {
                refused = Some(error);
                Ok(((), false))
            }
            Err(error) => Err(error),
        })?;
        refused.map_or(Ok(tip.head.seq), Err)
    }
}

fn export(db: &Database, out: impl Write) -> Result<Seq, Fault> {
    let mut out = Sink { out, hash: Sha256::new() };
    let reading = db.begin_read()?;
    let view = View::over(&reading)?;
    out.put(MAGIC)?;
    out.put(&view.base.to_bytes())?;
    let mut failure = None;
    let mut last = view.base.head.seq;
    view.walk(Seq(0), |found| {
        let kind = if found.duplicate { DUPLICATE } else { ENTRY };
        let written = out.frame(kind, &found.seq.0.to_be_bytes(), found.stored);
        last = last.max(found.seq);
        failure = written.err();
        Ok(failure.is_none())
    })?;
    failure.map_or(Ok(()), Err)?;
    for entry in reading.open_table(REMOVED)?.iter()? {
        let (id, trace) = entry?;
        out.frame(TRACE, trace.value(), id.value().as_bytes())?;
    }
    out.put(&[END])?;
    out.finish()?;
    Ok(last)
}

/// Replaces what `tables` hold; returns the new head. The caller commits only if it succeeds.
fn import(
    tables: &mut Tables<'_>,
    own: Head,
    from: impl Read,
    check: impl Fn(Head, Option<Chain>, Head) -> Result<(), Fault>,
) -> Result<Head, Fault> {
    let mut from = Origin { from, hash: Sha256::new() };
    if from.take::<{ MAGIC.len() }>()? != *MAGIC {
        return Err(refuse("it does not begin as one"));
    }
    let base = Base::from_bytes(&from.take::<{ Base::LENGTH }>()?).map_err(not_whole)?;
    tables.clear()?;
    tables.set_base(base)?;
    let mut proof = Proof::of_all(base);
    // Nobody knows better where compaction removed the entry at which we are.
    let mut own_chain = (base.head.seq == own.seq).then_some(base.head.chain);
    loop {
        match from.byte()? {
            END => break,
            kind @ (DUPLICATE | ENTRY) => {
                let seq = Seq(u64::from_be_bytes(from.take()?));
                let stored = from.bytes()?;
                let signal = proof.follow(seq, &stored).map_err(not_whole)?;
                if seq == own.seq {
                    own_chain = Some(Record::split(&stored)?.chain);
                }
                put(tables, seq, &stored, &signal, kind == DUPLICATE)?;
            }
            TRACE => {
                let trace: [u8; Trace::LENGTH] = from.take()?;
                let id = String::from_utf8(from.bytes()?).map_err(|_| refuse("an id is not UTF-8"))?;
                tables.removed.insert(&*id, &trace[..])?;
            }
            other => return Err(refuse(format!("it has a part of the unknown kind {other}"))),
        }
    }
    let end = proof.finish().map_err(not_whole)?;
    from.finish()?;
    check(own, own_chain, end)?;
    Ok(end)
}

fn put(tables: &mut Tables<'_>, seq: Seq, stored: &[u8], signal: &Signal, duplicate: bool) -> Result<(), Fault> {
    if tables.signals.insert(seq.0, stored)?.is_some() {
        return Err(refuse(format!("signal {seq} is in it twice")));
    }
    if duplicate {
        tables.duplicates.insert(seq.0, ())?;
        return Ok(());
    }
    tables.name(seq, signal)
}

fn continues(own: Head, own_chain: Option<Chain>, end: Head) -> Result<(), Fault> {
    if end.seq < own.seq {
        return Err(refuse(format!("it ends at {}, before this log, which ends at {}", end.seq, own.seq)));
    }
    if own.seq > Seq(0) && own_chain.is_some_and(|chain| chain != own.chain) {
        return Err(refuse(format!("up to signal {} it holds others than this log", own.seq)));
    }
    Ok(())
}

struct Sink<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Sink<W> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.hash.update(bytes);
        self.out.write_all(bytes).map_err(|error| refuse(format!("it can't be written: {error}")))
    }

    fn frame(&mut self, kind: u8, fixed: &[u8], bytes: &[u8]) -> Result<(), Fault> {
        self.put(&[kind])?;
        self.put(fixed)?;
        self.put(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes())?;
        self.put(bytes)
    }

    fn finish(mut self) -> Result<(), Fault> {
        let hash = self.hash.finalize();
        let written = self.out.write_all(&hash).and_then(|()| self.out.flush());
        written.map_err(|error| refuse(format!("it can't be written: {error}")))
    }
}

struct Origin<R> {
    from: R,
    hash: Sha256,
}

impl<R: Read> Origin<R> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        self.from.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => refuse("it ends too early"),
            _ => refuse(format!("it can't be read: {error}")),
        })?;
        self.hash.update(bytes);
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        self.take().map(|[byte]| byte)
    }

    fn bytes(&mut self) -> Result<Vec<u8>, Fault> {
        let length = u32::from_be_bytes(self.take()?) as usize;
        if length > LONGEST {
            return Err(refuse(format!("it has a part of {length} bytes, more than any entry")));
        }
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn finish(mut self) -> Result<(), Fault> {
        let hash: [u8; 32] = self.hash.clone().finalize().into();
        if self.take::<32>()? == hash { Ok(()) } else { Err(refuse("it is not what was written")) }
    }
}

fn refuse(why: impl Into<String>) -> Fault {
    LogError::Snapshot(why.into()).into()
}

fn not_whole(fault: Fault) -> Fault {
    match fault {
        Fault::Damaged(why) => refuse(why),
        other => other,
    }
}

const MAGIC: &[u8; 24] = b"countersign signal log 1";
const END: u8 = 0;
const ENTRY: u8 = 1;
const DUPLICATE: u8 = 2;
const TRACE: u8 = 3;
/// Longer than any entry can be: the longest texts of a signal come to a few thousand bytes.
const LONGEST: usize = 1 << 20;
