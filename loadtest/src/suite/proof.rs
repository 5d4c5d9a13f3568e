//! Proof that a scenario did what its name says: counters of whoever did it. It must not believe a status code alone.

use std::rc::Rc;
use std::time::{Duration, Instant};

use countersign_tests::envoy::Envoy;
use countersign_tests::sidecar::Sidecar;

use super::hops::{Hops, Wrong, XFCC};
use super::policies::{PREFIX, SERVICE};
use crate::generator::connection::{Connection, ExchangeFailed};
use crate::generator::line::Target;
use crate::generator::request::{InvalidRequest, Request};

/// A counter that grows by one with each request of a scenario.
#[derive(Clone)]
pub enum Witness {
    /// One of Envoy's, by its whole name.
    Envoy(&'static str),
    /// The sidecar's.
    Sidecar(Rc<Sidecar>, Counter),
}

/// A metric of the sidecar, by name and labels.
#[derive(Clone, Copy, Debug)]
pub struct Counter(pub &'static str, pub &'static [&'static str]);

impl Counter {
    /// The metric of `sidecar`.
    pub fn of(self, sidecar: Rc<Sidecar>) -> Witness {
        Witness::Sidecar(sidecar, self)
    }
}

impl Witness {
    /// Its value now.
    pub async fn count(&self, envoy: &Envoy) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
            Self::Envoy(name) => envoy.stats(name).await as f64,
            Self::Sidecar(sidecar, Counter(name, labels)) => sidecar.metric(name, labels).await,
        }
    }

    /// Waits until the counter has grown by `answers` since it was `before`; counters may be flushed late.
    ///
    /// # Errors
    /// It has not after some seconds: the scenario measured something else than it says.
    pub async fn confirm(&self, envoy: &Envoy, before: f64, answers: f64) -> Result<(), Unproven> {
        let start = Instant::now();
        loop {
            let counted = self.count(envoy).await - before;
            if counted >= answers {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(Unproven { counter: self.name(), counted, answers });
            }
            tokio::time::sleep(BETWEEN_PROBES).await;
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Envoy(name) => format!("Envoy's {name}"),
            Self::Sidecar(_, Counter(name, labels)) => format!("the sidecar's {name}{{{}}}", labels.join(",")),
        }
    }
}

/// A counter that should have counted every request has not.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{answers} requests were answered, but {counter} grew by {counted}: not what this scenario is to measure")]
pub struct Unproven {
    counter: String,
    counted: f64,
    answers: f64,
}

/// Asks `target` with every wrong chain once. Where one is allowed, nobody looks at chains, and answering fast is no merit.
///
/// # Errors
/// One that was answered with another status than 403, or not at all.
pub async fn refuses_wrong_chains(target: &Target, hops: &Hops) -> Result<(), Believed> {
    let mut bytes = Vec::new();
    for Wrong { what, chain } in hops.wrong() {
        let header: Vec<_> = chain.iter().map(|chain| (XFCC, chain.as_str())).collect();
        Request::with_headers(SERVICE, PREFIX, &header)?.write(&mut bytes);
        let status = Connection::open(target).await?.exchange_last(&bytes).await?;
        if status != FORBIDDEN {
            return Err(Believed::Answer { what, status });
        }
    }
    Ok(())
}

/// Why it is not shown that chains are verified.
#[derive(Debug, thiserror::Error)]
pub enum Believed {
    /// Allowed, or failed.
    #[error("{what} was answered with {status}, not {FORBIDDEN}: chains are not verified here")]
    Answer {
        /// What was wrong with the request.
        what: &'static str,
        /// How it was answered.
        status: u16,
    },
    /// Not answered.
    #[error(transparent)]
    Exchange(#[from] ExchangeFailed),
    /// Not even sent.
    #[error(transparent)]
    Request(#[from] InvalidRequest),
}

const FORBIDDEN: u16 = 403;
const PATIENCE: Duration = Duration::from_secs(5);
const BETWEEN_PROBES: Duration = Duration::from_millis(20);
