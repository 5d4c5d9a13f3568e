//! The one audit trail: a JSON line for every decision and every change, written off the request path; it never changes a verdict.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tracing::error;

use crate::{
    clock,
    degraded::{Degraded, Standing},
    metrics::Metrics,
};

mod record;

pub use self::record::{
    Change, ControlRecord, DecisionRecord, HitsRecord, LocalRecord, Record, RequestLine, SignalRecord, UnverifiedRecord,
};

/// Where the trail goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Appended to a file, created with mode 0600.
    File(PathBuf),
    /// Standard output.
    Stdout,
}

/// The sending end; cheap to clone, never blocks.
#[derive(Clone)]
pub struct Audit {
    queue: SyncSender<Message>,
    metrics: Arc<Metrics>,
    degraded: Arc<OnceLock<Degraded>>,
}

/// The writing end; [`AuditWriter::close`] writes what is queued.
pub struct AuditWriter {
    queue: SyncSender<Message>,
    thread: JoinHandle<()>,
}

enum Message {
    Close,
    /// With the state in which it was made, if something was wrong.
    Record(Box<Record>, Option<Standing>),
}

/// How often queued records are fetched; the queue must hold what comes in between.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(5);
/// After so many rounds without a record the writer waits at the queue instead.
const SILENT_ROUNDS: u32 = 200;
/// How long a written line may stay in memory.
const FLUSH_AFTER: Duration = Duration::from_millis(100);

/// Opens the trail with room for `capacity` records that wait to be written.
///
/// # Errors
/// When the file cannot be opened or the thread cannot be started.
pub fn open(target: &Target, capacity: usize, metrics: Arc<Metrics>) -> io::Result<(Audit, AuditWriter)> {
    let sink: Box<dyn Write + Send> = match target {
        Target::File(path) => Box::new(append_to(path)?),
        Target::Stdout => Box::new(io::stdout()),
    };
    let (queue, records) = sync_channel(capacity);
    let counted = Arc::clone(&metrics);
    let thread =
        std::thread::Builder::new().name("audit".to_owned()).spawn(move || write_all(sink, &records, &counted))?;
    let degraded = Arc::default();
    Ok((Audit { queue: queue.clone(), metrics, degraded }, AuditWriter { queue, thread }))
}

impl Audit {
    /// From now on every record says if it was made in a degraded state.
    pub fn watch(&self, degraded: Degraded) {
        // A second one would be the same: a process has one log.
        let _ = self.degraded.set(degraded);
    }

    /// Queues a record; one that finds the queue full is lost and counted.
    pub fn record(&self, record: Record) {
        let standing = self.degraded.get().map(crate::degraded::Degraded::current);
        let standing = standing.filter(|standing| standing.trouble.is_some());
        match self.queue.try_send(Message::Record(Box::new(record), standing)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.metrics.lose_audit(1, clock::now()),
        }
    }
}

impl AuditWriter {
    /// Writes what is queued and ends; blocks until done.
    pub fn close(self) {
        if self.queue.send(Message::Close).is_ok() && self.thread.join().is_err() {
            error!("the audit writer ended by a fault");
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn write_all(sink: Box<dyn Write + Send>, records: &Receiver<Message>, metrics: &Metrics) {
    let mut writer = Writer::new(sink, metrics);
    let mut silent = 0_u32;
    while !writer.is_closed {
        // Whoever sends to a thread that waits must wake it, which costs the request path a system call and a switch of
        // tasks: while records keep coming nobody waits, and they are fetched together.
        let fetched = if silent < SILENT_ROUNDS {
            std::thread::sleep(BETWEEN_ROUNDS);
            writer.fetch(records)
        } else {
            writer.wait(records)
        };
        silent = if fetched { 0 } else { silent.saturating_add(1) };
        writer.flush_if_due();
    }
    writer.flush();
}

/// The open trail and what of it is not on the disk yet.
struct Writer<'m> {
    out: BufWriter<Box<dyn Write + Send>>,
    line: Vec<u8>,
    unflushed: u64,
    due: Instant,
    is_closed: bool,
    metrics: &'m Metrics,
}

impl<'m> Writer<'m> {
    fn new(sink: Box<dyn Write + Send>, metrics: &'m Metrics) -> Self {
        let out = BufWriter::with_capacity(1 << 16, sink);
        Self { out, line: Vec::with_capacity(1024), unflushed: 0, due: Instant::now(), is_closed: false, metrics }
    }

    /// Writes what is queued; says whether there was anything.
    fn fetch(&mut self, records: &Receiver<Message>) -> bool {
        let mut fetched = false;
        while !self.is_closed {
            match records.try_recv() {
                Ok(message) => self.take(message),
                Err(TryRecvError::Empty) => return fetched,
                Err(TryRecvError::Disconnected) => self.is_closed = true,
            }
            fetched = true;
            self.flush_if_due();
        }
        fetched
    }

    /// Waits for one message; says whether there was one.
    fn wait(&mut self, records: &Receiver<Message>) -> bool {
        match records.recv_timeout(FLUSH_AFTER) {
            Ok(message) => self.take(message),
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => self.is_closed = true,
        }
        true
    }

    fn take(&mut self, message: Message) {
        let Message::Record(record, standing) = message else {
            self.is_closed = true;
            return;
        };
        if self.unflushed == 0 {
            self.due = Instant::now() + FLUSH_AFTER;
        }
        self.line.clear();
        let written = record
            .write_line(&mut self.line)
            .map(|()| standing.iter().for_each(|it| record::add_standing(&mut self.line, it)))
            .and_then(|()| self.out.write_all(&self.line));
        self.unflushed = self.unflushed.saturating_add(1);
        if let Err(cause) = written {
            give_up(std::mem::take(&mut self.unflushed), &cause, self.metrics);
        }
    }

    /// Under steady traffic the queue never falls silent: what is due is flushed between records.
    fn flush_if_due(&mut self) {
        if self.unflushed > 0 && self.due <= Instant::now() {
            self.flush();
        }
    }

    /// What was pending counts as written or as lost.
    fn flush(&mut self) {
        let pending = std::mem::take(&mut self.unflushed);
        if pending > 0 {
            match self.out.flush() {
                Ok(()) => self.metrics.audit_written.inc_by(pending),
                Err(cause) => give_up(pending, &cause, self.metrics),
            }
        }
    }
}

fn give_up(lost: u64, cause: &io::Error, metrics: &Metrics) {
    metrics.lose_audit(lost, clock::now());
    error!(lost, %cause, "audit records could not be written, check the disk of audit.file");
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn change(detail: &str) -> Record {
        Record::Change(Change {
            at: crate::clock::now(),
            what: "policy",
            result: "accepted",
            detail: detail.to_owned(),
        })
    }

    #[test]
    fn every_queued_record_is_a_line_after_close() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let metrics = Arc::new(Metrics::new().unwrap());
        let (audit, writer) = open(&Target::File(path.clone()), 100, Arc::clone(&metrics)).unwrap();
        for number in 0..10 {
            audit.record(change(&number.to_string()));
        }
        writer.close();
        let text = std::fs::read_to_string(path).unwrap();
        let details: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["detail"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(details, (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!((metrics.audit_written.get(), metrics.audit_lost.get()), (10, 0));
    }

    #[test]
    fn what_a_full_disk_swallows_is_counted() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let metrics = Metrics::new().unwrap();
        let (queue, records) = channel();
        for _ in 0..3 {
            queue.send(Message::Record(Box::new(change("x")), None)).unwrap();
        }
        drop(queue);
        write_all(Box::new(Full), &records, &metrics);
        assert_eq!((metrics.audit_written.get(), metrics.audit_lost.get()), (0, 3));
    }

    #[test]
    fn steady_traffic_does_not_keep_lines_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let metrics = Arc::new(Metrics::new().unwrap());
        let (audit, writer) = open(&Target::File(path.clone()), 100, metrics).unwrap();
        let begun = Instant::now();
        // Never silent for as long as FLUSH_AFTER, and far from filling the buffer.
        while std::fs::metadata(&path).unwrap().len() == 0 {
            assert!(begun.elapsed() < 20 * FLUSH_AFTER, "nothing reached the file");
            audit.record(change("x"));
            std::thread::sleep(FLUSH_AFTER / 10);
        }
        writer.close();
    }

    #[test]
    fn a_full_queue_loses_records_and_says_so() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let (queue, _kept) = sync_channel(1);
        let audit = Audit { queue, metrics: Arc::clone(&metrics), degraded: Arc::default() };
        audit.record(change("kept"));
        audit.record(change("lost"));
        assert_eq!(metrics.audit_lost.get(), 1);
    }
}
