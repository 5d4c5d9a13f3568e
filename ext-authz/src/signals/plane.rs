//! The one path of a signal: log, then live state, then followers, then the sender. It decides nothing about requests.

mod writer;

use std::{sync::Arc, thread::JoinHandle, time::Instant};

use authz_core::signal::{Outcome, Seq, Signal};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    fleet::{Fleet, FleetState, Members, OwnEnforcement, Presence, Replica},
    freshness::Freshness,
    history::{Fingerprint, History},
    log::{Log, LogError},
    tail::{Entry, Ring, Tail, TailEnd},
};
use crate::{config::NatsConfig, metrics::Metrics};
use writer::{MAX_BATCH, Request, Writer};

pub(super) use writer::Order;

/// The live log: its writer thread flushes what came in together with one fsync.
#[derive(Debug)]
pub struct SignalPlane {
    log: Arc<Log>,
    ring: Arc<Ring>,
    freshness: Freshness,
    // In a fleet: who decides the order instead of the writer.
    fleet: Option<Fleet>,
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
    /// The stream of the fleet did not take it in time; it may have become durable or not.
    #[error(
        "the signal is not known to be in force, the stream {stream} did not confirm it in time: {why}; send it again with \
         the same id, which never counts twice"
    )]
    Unavailable {
        /// Its name.
        stream: Arc<str>,
        /// Why, and where it stands if that is known.
        why: Arc<str>,
    },
}

impl SignalPlane {
    /// Puts every entry of `log` in force through `apply`, then starts taking new ones.
    ///
    /// `apply` sees each entry exactly once, in order, in batches that should take effect together, and writes down what
    /// each changed. For a new signal it runs after the signal is durable and returns before the sender and the followers
    /// hear of it.
    pub fn start(log: Log, apply: impl FnMut(&mut [Entry]) + Send + 'static) -> Result<Self, LogError> {
        Self::begin(log, Freshness::always(), apply)
    }

    /// The same for the replica of a fleet's stream, which is followed from now on, on the runtime of the caller.
    ///
    /// New signals go to the stream and come back from it: each is durable there and here, and in force here, before its
    /// sender hears of it.
    pub fn follow(
        log: Log,
        apply: impl FnMut(&mut [Entry]) + Send + 'static,
        config: NatsConfig,
        metrics: Arc<Metrics>,
    ) -> Result<Self, LogError> {
        let mut plane = Self::begin(log, Freshness::unknown(), apply)?;
        if let Some(requests) = &plane.requests {
            let (log, ring, orders) = (Arc::clone(&plane.log), Arc::clone(&plane.ring), requests.downgrade());
            let replica = Replica { log, ring, freshness: plane.freshness.clone(), orders };
            plane.fleet = Some(Fleet::start(config, replica, metrics));
        }
        Ok(plane)
    }

    fn begin(
        log: Log,
        freshness: Freshness,
        mut apply: impl FnMut(&mut [Entry]) + Send + 'static,
    ) -> Result<Self, LogError> {
        let ring = Arc::new(Ring::new());
        replay(&log, &ring, &mut apply)?;
        let (requests, inbox) = mpsc::channel(MAX_BATCH);
        let log = Arc::new(log);
        let (alarm, trouble) = watch::channel(());
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
        Ok(Self { log, ring, freshness, fleet: None, requests: Some(requests), writer: Some(writer), trouble })
    }

    /// Makes `signal` durable and puts it in force; when it returns, both have happened.
    ///
    /// If the caller gives up waiting, the signal goes its way all the same.
    pub async fn submit(&self, signal: Signal) -> Result<Accepted, SubmitError> {
        if let Some(fleet) = &self.fleet {
            return fleet.submit(signal).await;
        }
        let mut results = self.submit_all(vec![signal]).await;
        results.pop().unwrap_or(Err(SubmitError::Stopped))
    }

    /// The same for many at once, with one flush for all or few; the results are in their order.
    ///
    /// In a fleet signals about the same scope keep their order, others may change places if servers fail meanwhile.
    pub async fn submit_all(&self, signals: Vec<Signal>) -> Vec<Result<Accepted, SubmitError>> {
        if let Some(fleet) = &self.fleet {
            return fleet.submit_all(signals).await;
        }
        let received = Instant::now();
        let (requests, answers): (Vec<_>, Vec<_>) = signals
            .into_iter()
            .map(|signal| {
                let (answer, answered) = oneshot::channel();
                (Request { signal, received, answer }, answered)
            })
            .unzip();
        if let Some(orders) = &self.requests {
            // A writer that is gone drops the senders of the answers.
            let _ = orders.send(Order::Submit(requests)).await;
        }
        let mut results = Vec::with_capacity(answers.len());
        for answered in answers {
            results.push(answered.await.unwrap_or(Err(SubmitError::Stopped)));
        }
        results
    }

    /// How this sidecar stands to the stream of its fleet, from now on; nothing if its log is its own.
    pub fn fleet(&self) -> Option<watch::Receiver<FleetState>> {
        self.fleet.as_ref().map(Fleet::state)
    }

    /// The sidecars of the fleet, among whom we are `me`; nothing if the log is our own.
    pub fn members(&self, me: Presence, own: OwnEnforcement) -> Option<Members> {
        self.fleet.as_ref().map(|fleet| fleet.members(me, own))
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
        self.fleet.take();
        self.requests.take();
        if let Some(writer) = self.writer.take() {
            // It can only fail by a panic, which has been reported.
            let _ = writer.join();
        }
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

#[cfg(test)]
mod tests;
