//! Drives load over a fixed number of connections at once, at a constant rate or as fast as they go.
//! It must not retry or judge: what came back is counted and handed on.

pub mod arrivals;
pub mod connection;
pub mod line;
pub mod measurement;
pub mod request;
pub mod response;
mod timer;
pub mod tls;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use self::arrivals::{Arrivals, Schedule};
use self::connection::ExchangeFailed;
use self::line::{Line, Reuse, Target};
use self::measurement::{Measurement, Recorder};
use self::request::Request;
use self::timer::Timer;
use self::worker::Worker;
use crate::endpoint::Endpoint;

/// Lines to one endpoint, kept across phases.
#[derive(Debug)]
pub struct Session {
    workers: Vec<Worker>,
    request: Arc<Request>,
}

impl Session {
    /// Opens `lines` connections to `target`, one after the other.
    ///
    /// # Errors
    /// The first connection or handshake that fails.
    pub async fn connect(target: &Target, reuse: Reuse, lines: usize, request: Request) -> Result<Self, LoadFailed> {
        let mut workers = Vec::with_capacity(lines);
        for _ in 0..lines {
            let line = tokio::time::timeout(CONNECT_LIMIT, Line::open(target.clone(), reuse)).await;
            let line = line.map_err(|_| LoadFailed::ConnectTimedOut { endpoint: target.endpoint })??;
            workers.push(Worker::new(line, Timer::new().map_err(LoadFailed::Timer)?));
        }
        Ok(Self { workers, request: Arc::new(request) })
    }

    /// Closed loop: every line sends its next request as soon as the last is answered. Measures throughput only,
    /// for a closed loop waits politely while the server is slow and so knows nothing about latency.
    ///
    /// # Errors
    /// A connection that breaks, or an answer that is not HTTP.
    pub async fn saturate(&mut self, duration: Duration) -> Result<Measurement, LoadFailed> {
        let start = Instant::now();
        let recorder = Arc::new(Recorder::new()?);
        let request = Arc::clone(&self.request);
        let seen = Arc::clone(&recorder);
        self.each(duration, move |mut worker| {
            let (recorder, request) = (Arc::clone(&seen), Arc::clone(&request));
            async move {
                worker.saturate(&request, &recorder, start + duration).await?;
                Ok(worker)
            }
        })
        .await?;
        Ok(recorder.finish(duration))
    }

    /// Open loop: arrivals come at a constant rate whatever the server does, and latency counts from the moment an
    /// arrival was *due*. Arrivals that were still waiting at the end count with the time they have waited so far.
    ///
    /// # Errors
    /// As for [`Session::saturate`].
    pub async fn pace(&mut self, schedule: Schedule) -> Result<Measurement, LoadFailed> {
        let start = Instant::now();
        let recorder = Arc::new(Recorder::new()?);
        let arrivals = Arc::new(Arrivals::new(schedule, start));
        let (request, seen, due) = (Arc::clone(&self.request), Arc::clone(&recorder), Arc::clone(&arrivals));
        self.each(schedule.duration(), move |mut worker| {
            let (arrivals, recorder, request) = (Arc::clone(&due), Arc::clone(&seen), Arc::clone(&request));
            async move {
                worker.pace(&request, &recorder, &arrivals).await?;
                Ok(worker)
            }
        })
        .await?;
        let end = Instant::now();
        for intended in arrivals.unclaimed() {
            recorder.unfinished(end.saturating_duration_since(intended));
        }
        Ok(recorder.finish(end - start))
    }

    /// Runs `job` on every worker at once and takes the workers back; a phase that hangs is an error, not a wait.
    async fn each<F, J>(&mut self, duration: Duration, job: J) -> Result<(), LoadFailed>
    where
        F: Future<Output = Result<Worker, ExchangeFailed>> + Send + 'static,
        J: Fn(Worker) -> F,
    {
        let mut running: JoinSet<_> = self.workers.drain(..).map(job).collect();
        let all = async {
            while let Some(ended) = running.join_next().await {
                self.workers.push(ended.map_err(|_| LoadFailed::WorkerDied)??);
            }
            Ok(())
        };
        let limit = duration + DRAIN_LIMIT;
        tokio::time::timeout(limit, all).await.map_err(|_| LoadFailed::NoAnswer { waited: limit })?
    }
}

/// Why a phase has no measurement.
#[derive(Debug, thiserror::Error)]
pub enum LoadFailed {
    /// No connection in time.
    #[error("connecting to {endpoint} took more than {} s; is the server up?", CONNECT_LIMIT.as_secs())]
    ConnectTimedOut {
        /// Where to.
        endpoint: Endpoint,
    },
    /// A connection broke or carried something else than HTTP.
    #[error(transparent)]
    Exchange(#[from] ExchangeFailed),
    /// The histogram's bounds are not accepted.
    #[error("cannot create a histogram: {0}")]
    Histogram(#[from] hdrhistogram::CreationError),
    /// At least one request was never answered.
    #[error("requests were still unanswered after {waited:?}")]
    NoAnswer {
        /// How long the phase was waited for.
        waited: Duration,
    },
    /// The kernel gave no timer.
    #[error("cannot create a timer: {0}")]
    Timer(#[source] std::io::Error),
    /// A worker task ended without a result.
    #[error("a connection's task ended without a result")]
    WorkerDied,
}

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
