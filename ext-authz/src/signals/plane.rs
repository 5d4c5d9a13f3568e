//! The one path of a signal: log, then live state, then followers, then the sender. It decides nothing about requests.

use std::{sync::Arc, thread::JoinHandle, time::Instant};

use authz_core::signal::{Outcome, Seq, Signal};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    freshness::Freshness,
    history::{Fingerprint, History},
    log::{Appended, Log, LogError},
    tail::{Entry, Ring, Tail, TailEnd},
};

/// The live log: its writer thread flushes what came in together with one fsync.
#[derive(Debug)]
pub struct SignalPlane {
    log: Arc<Log>,
    ring: Arc<Ring>,
    freshness: Freshness,
    // Both are there until the drop.
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
    // Its sender is the writer's: it rings at a failed write, and is gone when the writer is.
    trouble: watch::Receiver<()>,
}

/// A signal that is durable, and in force in this sidecar.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its position.
    pub seq: Seq,
    /// As it stands in the log.
    pub signal: Arc<Signal>,
    /// Whether it was there before: nothing changed.
    pub known: bool,
    /// What it changed.
    pub outcome: Outcome,
}

/// Why a signal is not in force.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubmitError {
    /// The log does not take it.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The sidecar ends; the signal may have become durable or not.
    #[error("the sidecar is stopping, send the signal again with the same id once it is back")]
    Stopped,
}

struct Request {
    signal: Signal,
    received: Instant,
    answer: oneshot::Sender<Result<Accepted, SubmitError>>,
}

impl SignalPlane {
    /// Puts every entry of `log` in force through `apply`, then starts taking new ones.
    ///
    /// `apply` sees each entry exactly once, in order, in batches that should take effect together, and writes down what
    /// each changed. For a new signal it runs after the signal is durable and returns before the sender and the followers
    /// hear of it.
    pub fn start(log: Log, mut apply: impl FnMut(&mut [Entry]) + Send + 'static) -> Result<Self, LogError> {
        let ring = Arc::new(Ring::new());
        replay(&log, &ring, &mut apply)?;
        let (requests, inbox) = mpsc::channel(MAX_BATCH);
        let log = Arc::new(log);
        let (alarm, trouble) = watch::channel(());
        let writer = Writer { log: Arc::clone(&log), ring: Arc::clone(&ring), apply, alarm };
        let thread = std::thread::Builder::new().name("signal-log".to_owned());
        let writer = thread.spawn(move || writer.run(inbox)).map_err(|error| log.unusable(error))?;
        let freshness = Freshness::always();
        Ok(Self { log, ring, freshness, requests: Some(requests), writer: Some(writer), trouble })
    }

    /// Makes `signal` durable and puts it in force; when it returns, both have happened.
    ///
    /// If the caller gives up waiting, the signal goes its way all the same.
    pub async fn submit(&self, signal: Signal) -> Result<Accepted, SubmitError> {
        let (answer, answered) = oneshot::channel();
        let request = Request { signal, received: Instant::now(), answer };
        let requests = self.requests.as_ref().ok_or(SubmitError::Stopped)?;
        requests.send(request).await.map_err(|_| SubmitError::Stopped)?;
        answered.await.map_err(|_| SubmitError::Stopped)?
    }

    /// As [`SignalPlane::submit`] for each, in their order: together they share flushes to the disk.
    pub async fn submit_all(&self, signals: Vec<Signal>) -> Vec<Result<Accepted, SubmitError>> {
        let mut pending = Vec::with_capacity(signals.len());
        for signal in signals {
            let (answer, answered) = oneshot::channel();
            if let Some(requests) = &self.requests {
                // Where the writer is gone, so is the answer.
                let _ = requests.send(Request { signal, received: Instant::now(), answer }).await;
            }
            pending.push(answered);
        }
        let mut results = Vec::with_capacity(pending.len());
        for answered in pending {
            results.push(answered.await.unwrap_or(Err(SubmitError::Stopped)));
        }
        results
    }

    /// The position up to which everything is durable and in force.
    pub fn head(&self) -> Seq {
        self.ring.head()
    }

    /// Follows the log after `after`, from memory only.
    pub fn subscribe_from(&self, after: Seq) -> Result<Tail, TailEnd> {
        self.ring.subscribe(after)
    }

    /// When the signal at `seq` came in, if that is not long ago.
    pub fn received(&self, seq: Seq) -> Option<Instant> {
        self.ring.received(seq)
    }

    /// How old our knowledge of the log is.
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// The log itself, for reading; reads block on the disk.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Ends every tail, so that the streams behind them end; signals are still taken.
    pub fn close(&self) {
        self.ring.close();
    }

    /// Waits for [`SignalPlane::close`].
    pub async fn closed(&self) {
        self.ring.closed().await;
    }

    /// Whether signals can be taken: false once a write has failed or the writer is gone.
    pub fn is_healthy(&self) -> bool {
        !self.log.has_failed() && self.requests.as_ref().is_some_and(|requests| !requests.is_closed())
    }

    /// Ends when [`SignalPlane::is_healthy`] may have turned false since this call; never if it was before.
    pub fn trouble(&self) -> impl Future<Output = ()> + use<> {
        let (mut trouble, healthy) = (self.trouble.clone(), self.is_healthy());
        trouble.mark_unchanged();
        // Asked in this order, so that trouble in between is seen by the one or the other.
        let unseen = healthy && !self.is_healthy();
        async move {
            if !healthy {
                std::future::pending::<()>().await;
            }
            if !unseen {
                // A sender that is gone means the writer is.
                let _ = trouble.changed().await;
            }
        }
    }
}

impl History for SignalPlane {
    /// Of the log, which may end after what is in force: with entries that count for nothing.
    fn head(&self) -> Seq {
        self.log.head().max(self.ring.head())
    }

    fn fingerprint(&self, seq: Seq) -> Option<Fingerprint> {
        self.ring.fingerprint(seq).or_else(|| self.log.fingerprint(seq).map(Fingerprint::from_bytes))
    }
}

impl Drop for SignalPlane {
    fn drop(&mut self) {
        self.close();
        self.requests.take();
        if let Some(writer) = self.writer.take() {
            // It can only fail by a panic, which has been reported.
            let _ = writer.join();
        }
    }
}

struct Writer<A> {
    log: Arc<Log>,
    ring: Arc<Ring>,
    apply: A,
    alarm: watch::Sender<()>,
}

impl<A: FnMut(&mut [Entry])> Writer<A> {
    fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        let mut batch = Vec::new();
        while inbox.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
            self.take(std::mem::take(&mut batch));
        }
    }

    fn take(&mut self, batch: Vec<Request>) {
        let (signals, senders): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|it| (it.signal, (it.received, it.answer))).unzip();
        let results = match self.log.append_all(signals) {
            Ok(results) => results,
            Err(error) => {
                tracing::error!(%error, "signals were not accepted");
                self.alarm.send_replace(());
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
}

impl From<Appended> for Accepted {
    fn from(Appended { seq, signal, known }: Appended) -> Self {
        Self { seq, signal: Arc::new(signal), known, outcome: Outcome::Unchanged }
    }
}

fn replay(log: &Log, ring: &Ring, apply: &mut impl FnMut(&mut [Entry])) -> Result<(), LogError> {
    let received = Instant::now();
    let mut batch = Vec::with_capacity(MAX_BATCH);
    log.replay(|seq, signal| {
        batch.push(Entry { seq, signal: Arc::new(signal), received, outcome: Outcome::Unchanged });
        if batch.len() == MAX_BATCH {
            put_in_force(&mut batch, log, ring, apply);
            batch.clear();
        }
    })?;
    put_in_force(&mut batch, log, ring, apply);
    Ok(())
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

/// Most signals that share one fsync, and most that may wait for it.
const MAX_BATCH: usize = 1024;

#[cfg(test)]
mod tests;
