//! The log of a fleet: one stream orders the signals of all sidecars, and each keeps a replica of it on its own disk.

mod driver;
mod entry;
pub mod follower;
mod join;
mod login;
mod members;
mod session;
mod snapshot;
mod state;
mod stream;
mod submit;

use std::{sync::Arc, time::Instant};

use authz_core::signal::{Seq, Signal};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::{Accepted, Freshness, Log, LogError, SubmitError, plane::Order, tail::Ring};
use crate::{config::NatsConfig, metrics::Metrics};
use follower::{Follower, StreamId};
use session::Session;

pub use join::{JoinError, join};
pub use members::{Members, OwnEnforcement, Presence};
pub use state::{FleetState, Refused};

/// An entry as it is compared and handed on.
type Entry = Arc<Signal>;

/// The replica here: what the stream's entries go into.
pub(super) struct Replica {
    /// Where they are kept.
    pub(super) log: Arc<Log>,
    /// Where those who follow us read.
    pub(super) ring: Arc<Ring>,
    /// Whom to tell how old our view is.
    pub(super) freshness: super::Freshness,
    /// Who writes; it ends when nobody else can give it orders.
    pub(super) orders: mpsc::WeakSender<Order>,
}

/// Follows the stream until it is dropped.
pub(super) struct Fleet {
    shared: Arc<Shared>,
    driver: JoinHandle<()>,
    keeper: JoinHandle<()>,
}

/// What the follower and those who submit share.
struct Shared {
    config: NatsConfig,
    log: Arc<Log>,
    ring: Arc<Ring>,
    freshness: Freshness,
    orders: mpsc::WeakSender<Order>,
    /// The last position that is durable and in force here.
    written: watch::Sender<Seq>,
    /// The connection, while the stream is followed.
    session: watch::Sender<Option<Arc<Session>>>,
    state: watch::Sender<FleetState>,
    metrics: Arc<Metrics>,
}

impl Fleet {
    /// Starts to follow the stream on the runtime of the caller.
    pub(super) fn start(config: NatsConfig, replica: Replica, metrics: Arc<Metrics>) -> Self {
        let Replica { log, ring, freshness, orders } = replica;
        let shared = Arc::new(Shared {
            config,
            written: watch::Sender::new(log.head()),
            log,
            ring,
            freshness,
            orders,
            session: watch::Sender::new(None),
            state: watch::Sender::default(),
            metrics,
        });
        let driver = tokio::spawn(driver::run(Arc::clone(&shared)));
        let keeper = tokio::spawn(snapshot::keep(Arc::clone(&shared)));
        Self { shared, driver, keeper }
    }

    /// How we stand to the stream, from now on.
    pub(super) fn state(&self) -> watch::Receiver<FleetState> {
        self.shared.state.subscribe()
    }

    /// See [`super::SignalPlane::members`].
    pub(super) fn members(&self, me: Presence, own: OwnEnforcement) -> Members {
        Members::new(me, own, self.shared.session.subscribe(), &self.shared.config.subject)
    }

    /// See [`super::SignalPlane::submit`].
    pub(super) async fn submit(&self, signal: Signal) -> Result<Accepted, SubmitError> {
        let shared = Arc::clone(&self.shared);
        // A task of its own, so that the signal goes its way also if the caller gives up.
        tokio::spawn(async move { shared.submit(signal).await }).await.map_err(|_| SubmitError::Stopped)?
    }

    /// See [`super::SignalPlane::submit_all`].
    pub(super) async fn submit_all(&self, signals: Vec<Signal>) -> Vec<Result<Accepted, SubmitError>> {
        let (shared, count) = (Arc::clone(&self.shared), signals.len());
        let results = tokio::spawn(async move { shared.submit_all(signals).await }).await;
        results.unwrap_or_else(|_| (0..count).map(|_| Err(SubmitError::Stopped)).collect())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.driver.abort();
        self.keeper.abort();
    }
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").field("state", &*self.shared.state.borrow()).finish_non_exhaustive()
    }
}

impl Shared {
    /// A follower that begins where our replica ends.
    async fn replica(&self) -> Result<Follower<Entry, Instant>, LogError> {
        // After a failed write the log is opened again first; then its head is the truth.
        self.order(Order::Recover).await;
        let log = Arc::clone(&self.log);
        let read = tokio::task::spawn_blocking(move || {
            let head = log.head();
            let before = Seq(head.0.saturating_sub(1));
            let tip = log.read_after(before, 1)?.pop().map(|(_, signal)| Arc::new(signal));
            Ok((head, tip, log.stream()?.map(StreamId)))
        });
        let (head, tip, stream) = read.await.map_err(|error| self.log.unusable(std::io::Error::other(error)))??;
        self.written.send_replace(head);
        Ok(Follower::new(head, tip, stream))
    }

    async fn order(&self, order: Order) {
        if let Some(orders) = self.orders.upgrade() {
            // A writer that is gone is trouble that readiness sees.
            let _ = orders.send(order).await;
        }
    }

    async fn bind(&self, stream: StreamId) -> Result<(), LogError> {
        let log = Arc::clone(&self.log);
        let bound = tokio::task::spawn_blocking(move || log.bind(stream.0)).await;
        bound.map_err(|error| self.log.unusable(std::io::Error::other(error)))?
    }

    fn confirm(&self, asked: Instant) {
        self.freshness.confirm(asked);
        self.state.send_if_modified(|state| !std::mem::replace(&mut state.caught_up, true));
    }

    /// A snapshot has what the stream lacks, and is loaded at the start only.
    fn want_restart(&self) {
        self.state.send_if_modified(|state| !std::mem::replace(&mut state.must_restart, true));
    }

    fn reach(&self, head: Seq) {
        self.written.send_replace(head);
    }

    fn see_end(&self, last: Seq) {
        self.metrics.fleet.end.set(i64::try_from(last.0).unwrap_or(i64::MAX));
        self.state.send_if_modified(|state| std::mem::replace(&mut state.end, last) != last);
    }

    /// Gives the connection to those who submit, or takes it from them.
    fn offer(&self, session: Option<Arc<Session>>) {
        let Some(session) = session else {
            self.session.send_replace(None);
            return;
        };
        let is_new = !self.session.borrow().as_ref().is_some_and(|old| Arc::ptr_eq(old, &session));
        if is_new {
            self.metrics.fleet.connects.with_label_values(&["connected"]).inc();
            self.metrics.fleet.connected.set(1);
            self.metrics.fleet.refused.set(0);
            tracing::info!(stream = %self.config.stream, "following the stream of signals");
            self.state.send_modify(|state| {
                state.reachable = true;
                (state.refused, state.trouble) = (None, None);
            });
            self.session.send_replace(Some(session));
        }
    }

    /// The connection is gone, or never was.
    fn part(&self, why: &str) {
        self.session.send_replace(None);
        self.metrics.fleet.connected.set(0);
        let told = self.state.send_if_modified(|state| {
            let changed = state.reachable || state.trouble.as_deref() != Some(why);
            state.reachable = false;
            state.trouble = Some(why.to_owned());
            changed
        });
        if told {
            tracing::warn!(stream = %self.config.stream, why, "the stream of signals is out of reach, it is tried again");
        }
    }

    /// The stream is there, and must not be followed.
    fn refuse(&self, kind: &'static str, why: Refused) {
        self.session.send_replace(None);
        self.metrics.fleet.connected.set(0);
        self.metrics.fleet.refused.set(1);
        if self.state.borrow().refused.as_ref() == Some(&why) {
            return;
        }
        self.metrics.fleet.refusals.with_label_values(&[kind]).inc();
        let stream = &self.config.stream;
        tracing::error!(%stream, %why, "ALARM: the stream of signals is refused; what was revoked stays revoked, nothing new arrives");
        self.state.send_modify(|state| {
            state.reachable = false;
            state.refused = Some(why);
        });
    }
}

#[cfg(test)]
mod tests;
