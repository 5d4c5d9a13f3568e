//! The one path of a signal: log, then live state, then followers, then the sender. It decides nothing about requests.

use std::{
    io,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

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
    requests: Option<mpsc::Sender<Order>>,
    writer: Option<JoinHandle<()>>,
    // Its sender is the writer's: it rings when writing fails and when it works again, and is gone when the writer is.
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

/// What the writer is asked to do.
enum Order {
    Recover,
    Submit(Request),
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
        let freshness = Freshness::always();
        let writer = Writer {
            log: Arc::clone(&log),
            ring: Arc::clone(&ring),
            freshness: freshness.clone(),
            apply,
            alarm,
            tried: None,
        };
        let thread = std::thread::Builder::new().name("signal-log".to_owned());
        let writer = thread.spawn(move || writer.run(inbox)).map_err(|error| log.unusable(error))?;
        Ok(Self { log, ring, freshness, requests: Some(requests), writer: Some(writer), trouble })
    }

    /// Makes `signal` durable and puts it in force; when it returns, both have happened.
    ///
    /// If the caller gives up waiting, the signal goes its way all the same.
    pub async fn submit(&self, signal: Signal) -> Result<Accepted, SubmitError> {
        let (answer, answered) = oneshot::channel();
        let request = Request { signal, received: Instant::now(), answer };
        let requests = self.requests.as_ref().ok_or(SubmitError::Stopped)?;
        requests.send(Order::Submit(request)).await.map_err(|_| SubmitError::Stopped)?;
        answered.await.map_err(|_| SubmitError::Stopped)?
    }

    /// Has the log opened again if a write has failed, so that signals are taken once the disk does its work; does not wait
    /// for it. A sidecar calls this now and then.
    pub fn recover(&self) {
        if let Some(requests) = self.requests.as_ref().filter(|_| self.log.has_failed()) {
            // A full inbox has orders that do the same.
            let _ = requests.try_send(Order::Recover);
        }
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

    /// Whether signals can be taken: false from a failed write on until one works again, and once the writer is gone.
    pub fn is_healthy(&self) -> bool {
        !self.log.has_failed() && self.requests.as_ref().is_some_and(|requests| !requests.is_closed())
    }

    /// Ends when [`SignalPlane::is_healthy`] may have changed since this call; never once the writer is gone.
    pub fn trouble(&self) -> impl Future<Output = ()> + use<> {
        let (mut trouble, healthy) = (self.trouble.clone(), self.is_healthy());
        trouble.mark_unchanged();
        // Asked in this order, so that a change in between is seen by the one or the other.
        let unseen = healthy != self.is_healthy();
        async move {
            // A sender that is gone means the writer is: whoever asks again must not spin.
            if !unseen && trouble.changed().await.is_err() && !healthy {
                std::future::pending::<()>().await;
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
    freshness: Freshness,
    apply: A,
    alarm: watch::Sender<()>,
    /// When the log was last tried after a failed write.
    tried: Option<Instant>,
}

impl<A: FnMut(&mut [Entry])> Writer<A> {
    fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        let mut orders = Vec::new();
        while inbox.blocking_recv_many(&mut orders, MAX_BATCH) > 0 {
            let recovered = self.recover();
            let submits = orders.drain(..).filter_map(|order| match order {
                Order::Recover => None,
                Order::Submit(request) => Some(request),
            });
            self.take(submits.collect(), recovered);
        }
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
        let left = reopened.inspect_err(|error| tracing::warn!(%error, "the signal log can't be written yet"))?;
        tracing::info!(left = left.len(), "the signal log can be written again");
        let received = Instant::now();
        let left = left.into_iter();
        let mut left: Vec<_> = left.map(|(seq, signal)| Entry::new(seq, Arc::new(signal), received)).collect();
        put_in_force(&mut left, &self.log, &self.ring, &mut self.apply);
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

fn replay(log: &Log, ring: &Ring, apply: &mut impl FnMut(&mut [Entry])) -> Result<(), LogError> {
    let (base, received) = (log.base()?, Instant::now());
    let mut batch = Vec::with_capacity(MAX_BATCH);
    // Who follows from before the base would miss what was removed, so followers begin there.
    ring.begin(base);
    let mut put = |batch: &mut [Entry]| {
        if let Some(last) = batch.last().map(|entry| entry.seq) {
            apply(batch);
            let followed = batch.get(batch.partition_point(|entry| entry.seq <= base)..).unwrap_or_default();
            ring.publish(followed, log.fingerprint(last).map(Fingerprint::from_bytes));
        }
    };
    log.replay(|seq, signal| {
        batch.push(Entry::new(seq, Arc::new(signal), received));
        if batch.len() == MAX_BATCH {
            put(&mut batch);
            batch.clear();
        }
    })?;
    put(&mut batch);
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

/// After a failed write: how long to wait before the disk is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Most signals that share one fsync, and most that may wait for it.
const MAX_BATCH: usize = 1024;

#[cfg(test)]
mod tests;
