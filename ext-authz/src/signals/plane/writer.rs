//! The thread that writes the log: what came in together shares one flush, then it is put in force, then senders hear of it.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use authz_core::signal::{Outcome, Seq, Signal};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Accepted, SubmitError};
use crate::signals::{
    freshness::Freshness,
    history::Fingerprint,
    log::{Appended, Log, LogError},
    tail::{Entry, Ring},
};

/// What the writer is asked to do.
pub(in crate::signals) enum Order {
    /// Open the log again, if a write has failed.
    Recover,
    /// Write entries at their positions, put them in force, and tell.
    Replicate(Vec<(Seq, Signal)>, oneshot::Sender<Result<(), LogError>>),
    /// Give signals the next positions.
    Submit(Vec<Request>),
}

/// A signal that wants a position.
pub(in crate::signals) struct Request {
    pub(super) signal: Signal,
    pub(super) received: Instant,
    pub(super) answer: oneshot::Sender<Result<Accepted, SubmitError>>,
}

pub(super) struct Writer<A> {
    pub(super) log: Arc<Log>,
    pub(super) ring: Arc<Ring>,
    pub(super) freshness: Freshness,
    pub(super) apply: A,
    pub(super) alarm: watch::Sender<()>,
    /// When the log was last tried after a failed write.
    pub(super) tried: Option<Instant>,
}

impl<A: FnMut(&mut [Entry])> Writer<A> {
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        let mut orders = Vec::new();
        while inbox.blocking_recv_many(&mut orders, MAX_BATCH) > 0 {
            let recovered = self.recover();
            let mut submits = Vec::new();
            for order in orders.drain(..) {
                match order {
                    Order::Recover => {}
                    // A follower gives one order at a time, and a log that follows gives out no positions of its own.
                    Order::Replicate(entries, done) => {
                        let _ = done.send(recovered.clone().and_then(|()| self.replicate(entries)));
                    }
                    Order::Submit(requests) => submits.extend(requests),
                }
            }
            self.take(submits, recovered);
        }
    }

    fn replicate(&mut self, entries: Vec<(Seq, Signal)>) -> Result<(), LogError> {
        let results = self.log.append_at(entries).inspect_err(|error| {
            tracing::error!(%error, "entries of the stream were not written");
            self.freshness.lose(Instant::now());
            self.alarm.send_replace(());
        })?;
        let received = Instant::now();
        let new = results.into_iter().map(|result| result.map(Accepted::from)).collect::<Vec<_>>();
        let mut new: Vec<_> = new.iter().filter_map(|result| entry(result, received)).collect();
        put_in_force(&mut new, &self.log, &self.ring, &mut self.apply);
        Ok(())
    }

    fn take(&mut self, batch: Vec<Request>, recovered: Result<(), LogError>) {
        let (signals, senders): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|it| (it.signal, (it.received, it.answer))).unzip();
        let results = match recovered.and_then(|()| self.append(signals)) {
            Ok(results) => results,
            Err(error) => {
                return senders.into_iter().for_each(|(_, answer)| reply(answer, Err(error.clone().into())));
            }
        };
        let mut results: Vec<_> = results.into_iter().map(|result| result.map(Accepted::from)).collect();
        let new = results.iter().zip(&senders).filter_map(|(result, (received, _))| entry(result, *received));
        let mut new: Vec<_> = new.collect();
        put_in_force(&mut new, &self.log, &self.ring, &mut self.apply);
        let fresh = results.iter_mut().filter_map(|result| result.as_mut().ok()).filter(|accepted| !accepted.known);
        fresh.zip(&new).for_each(|(accepted, entry)| accepted.outcome = entry.outcome);
        for (result, (_, answer)) in results.into_iter().zip(senders) {
            reply(answer, result.map_err(SubmitError::from));
        }
    }

    fn append(&mut self, signals: Vec<Signal>) -> Result<Vec<Result<Appended, LogError>>, LogError> {
        if signals.is_empty() {
            return Ok(Vec::new());
        }
        self.log.append_all(signals).inspect_err(|error| {
            tracing::error!(%error, "signals were not accepted");
            self.freshness.lose(Instant::now());
            self.alarm.send_replace(());
        })
    }

    /// After a failed write: opens the log again, and puts in force what that write left on the disk.
    fn recover(&mut self) -> Result<(), LogError> {
        if !self.log.has_failed() {
            return Ok(());
        }
        if self.tried.is_some_and(|tried| tried.elapsed() < RETRY_EVERY) {
            return Err(self.log.unusable(io::Error::other("an earlier write failed, it is tried again every second")));
        }
        let reopened = self.log.reopen();
        self.tried = Some(Instant::now());
        let left = reopened.inspect_err(|error| {
            tracing::warn!(%error, "the signal log can't be written yet");
            // Compaction fails without a word.
            self.alarm.send_replace(());
        })?;
        tracing::info!(left = left.len(), "the signal log can be written again");
        let received = Instant::now();
        let outcome = Outcome::Unchanged;
        let left = left.into_iter().map(|(seq, signal)| Entry { seq, signal: Arc::new(signal), received, outcome });
        put_in_force(&mut left.collect::<Vec<_>>(), &self.log, &self.ring, &mut self.apply);
        self.freshness.regain();
        self.alarm.send_replace(());
        Ok(())
    }
}

impl From<Appended> for Accepted {
    fn from(Appended { seq, signal, known }: Appended) -> Self {
        Self { seq, signal: Arc::new(signal), known, outcome: Outcome::Unchanged }
    }
}

fn put_in_force(entries: &mut [Entry], log: &Log, ring: &Ring, apply: &mut impl FnMut(&mut [Entry])) {
    if let Some(last) = entries.last().map(|entry| entry.seq) {
        apply(entries);
        ring.publish(entries, log.fingerprint(last).map(Fingerprint::from_bytes));
    }
}

fn entry(result: &Result<Accepted, LogError>, received: Instant) -> Option<Entry> {
    let accepted = result.as_ref().ok().filter(|accepted| !accepted.known)?;
    Some(Entry { seq: accepted.seq, signal: Arc::clone(&accepted.signal), received, outcome: accepted.outcome })
}

fn reply(answer: oneshot::Sender<Result<Accepted, SubmitError>>, result: Result<Accepted, SubmitError>) {
    // A sender that went away loses the answer, not the signal.
    let _ = answer.send(result);
}

/// After a failed write: how long to wait before the disk is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Most signals that share one fsync, and most that may wait for it.
pub(super) const MAX_BATCH: usize = 1024;
