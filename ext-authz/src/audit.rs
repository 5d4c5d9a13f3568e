//! The one audit trail: a JSON line for every decision and every change, written off the request path; it never changes a verdict.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tracing::error;

use crate::metrics::Metrics;

mod record;

pub use self::record::{Change, DecisionRecord, HitsRecord, LocalRecord, Record, RequestLine, SignalRecord};

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
}

/// The writing end; [`AuditWriter::close`] writes what is queued.
pub struct AuditWriter {
    queue: SyncSender<Message>,
    thread: JoinHandle<()>,
}

enum Message {
    Close,
    Record(Box<Record>),
}

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
    Ok((Audit { queue: queue.clone(), metrics }, AuditWriter { queue, thread }))
}

impl Audit {
    /// Queues a record; one that finds the queue full is lost and counted.
    pub fn record(&self, record: Record) {
        match self.queue.try_send(Message::Record(Box::new(record))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.metrics.audit_lost.inc(),
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
    let mut out = BufWriter::with_capacity(1 << 16, sink);
    let mut line = Vec::with_capacity(1024);
    let mut unflushed: u64 = 0;
    let mut due = Instant::now();
    loop {
        // Under steady traffic the queue never falls silent: what is due is flushed between records.
        if unflushed > 0 && due <= Instant::now() {
            unflushed = flush(&mut out, unflushed, metrics);
        }
        let patience = if unflushed > 0 { due.saturating_duration_since(Instant::now()) } else { FLUSH_AFTER };
        match records.recv_timeout(patience) {
            Ok(Message::Record(record)) => {
                if unflushed == 0 {
                    due = Instant::now() + FLUSH_AFTER;
                }
                line.clear();
                let written = record.write_line(&mut line).and_then(|()| out.write_all(&line));
                unflushed = unflushed.saturating_add(1);
                if let Err(cause) = written {
                    give_up(unflushed, &cause, metrics);
                    unflushed = 0;
                }
            }
            Err(RecvTimeoutError::Timeout) => unflushed = flush(&mut out, unflushed, metrics),
            Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => {
                flush(&mut out, unflushed, metrics);
                return;
            }
        }
    }
}

/// Flushes; what was pending counts as written or as lost.
fn flush(out: &mut impl Write, pending: u64, metrics: &Metrics) -> u64 {
    if pending > 0 {
        match out.flush() {
            Ok(()) => metrics.audit_written.inc_by(pending),
            Err(cause) => give_up(pending, &cause, metrics),
        }
    }
    0
}

fn give_up(lost: u64, cause: &io::Error, metrics: &Metrics) {
    metrics.audit_lost.inc_by(lost);
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
            queue.send(Message::Record(Box::new(change("x")))).unwrap();
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
        let audit = Audit { queue, metrics: Arc::clone(&metrics) };
        audit.record(change("kept"));
        audit.record(change("lost"));
        assert_eq!(metrics.audit_lost.get(), 1);
    }
}
