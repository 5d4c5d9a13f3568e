//! One scenario, booted and connected, measured round by round. It must not average: that is the report's business.

use std::num::NonZeroU32;
use std::time::Duration;

use countersign_tests::envoy::Envoy;

use super::SuiteFailed;
use super::hops::{Hops, XFCC};
use super::policies::{PREFIX, SERVICE};
use super::proof::{self, Witness};
use super::scenario::{Approach, Kind, Scenario};
use super::stage::{Booted, Stage};
use crate::endpoint::Endpoint;
use crate::generator::arrivals::Schedule;
use crate::generator::line::{Reuse, Target};
use crate::generator::measurement::Measurement;
use crate::generator::request::{InvalidRequest, NUMBER, Request};
use crate::generator::{LoadFailed, Session};
use crate::process::processor_time;
use crate::report::Round;

/// A scenario that is ready to be measured.
pub struct Candidate {
    name: String,
    envoy: Envoy,
    process: u32,
    authorizer: Option<u32>,
    session: Session,
    approach: Approach,
    proof: Proof,
}

/// What has been answered since the start, and what was counted before it. Counters may be flushed late, so a round alone
/// can't be compared: it would get the hits of its own warm-up.
struct Proof {
    witnesses: Vec<Witness>,
    baseline: Vec<f64>,
    answers: u64,
    /// So many first requests may go to the sidecar at once, one on each connection.
    misses: u64,
}

impl Candidate {
    /// Boots `scenario` and connects to it.
    pub async fn boot(stage: &mut Stage, scenario: Scenario, connections: usize) -> Result<Self, SuiteFailed> {
        let Scenario { name, kind, approach } = scenario;
        let Booted { mut envoy, witnesses, authorizer } = stage.boot(&kind, approach).await?;
        let target = Target { endpoint: Endpoint::try_from(envoy.address())?, tls: Some(stage.tls()?) };
        if approach == Approach::ThreeHops && authorizer.is_some() {
            let refused = proof::refuses_wrong_chains(&target, stage.hops()).await;
            refused.map_err(|source| SuiteFailed::Believed { scenario: name.clone(), source })?;
        }
        let request = request(&kind, approach, stage.hops())?;
        let reuse = if approach == Approach::FirstOnConnection { Reuse::Once } else { Reuse::Kept };
        let session = Session::connect(&target, reuse, connections, request).await;
        let session = session.map_err(|source| SuiteFailed::Load { scenario: name.clone(), source })?;
        let process = envoy.process().id();
        let mut baseline = Vec::new();
        for witness in &witnesses {
            baseline.push(witness.count(&envoy).await);
        }
        let proof = Proof { witnesses, baseline, answers: 0, misses: connections as u64 };
        Ok(Self { name, envoy, process, authorizer, session, approach, proof })
    }

    /// The scenario's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Warms up, measures throughput, then latency, then asks for proof.
    pub async fn round(&mut self, phase: Duration, rate: NonZeroU32) -> Result<Round, SuiteFailed> {
        let warm = self.session.saturate(WARM_UP).await;
        let warm = self.all_allowed(warm)?;
        let started = self.processor_times();
        let saturated = self.session.saturate(phase).await;
        let saturated = self.all_allowed(saturated)?;
        if saturated.answers() == 0 {
            return Err(SuiteFailed::Silent { scenario: self.name.clone(), phase });
        }
        let ended = self.processor_times();
        let paced = self.session.pace(Schedule::new(self.approach.rate(rate), phase)).await;
        let paced = self.all_allowed(paced)?;
        self.proof.answers += warm.answers() + saturated.answers() + paced.answers();
        self.confirm().await?;
        let cpu_us = |part: fn(&Times) -> Duration| {
            part(&ended).saturating_sub(part(&started)).as_secs_f64() * 1e6 / as_f64(saturated.answers())
        };
        let micros = |percent| paced.percentile(percent).unwrap_or_default().as_secs_f64() * 1e6;
        Ok(Round {
            requests_per_second: saturated.rate(),
            envoy_cpu_us: cpu_us(|times| times.envoy),
            authorizer_cpu_us: self.authorizer.map(|_| cpu_us(|times| times.authorizer)),
            p50_us: micros(50.0),
            p99_us: micros(99.0),
            unfinished: paced.unfinished,
        })
    }

    /// A warm-up may be too short for an answer on a busy machine; an answer that is not 200 fails any phase.
    fn all_allowed(&self, measured: Result<Measurement, LoadFailed>) -> Result<Measurement, SuiteFailed> {
        let measured = measured.map_err(|source| SuiteFailed::Load { scenario: self.name.clone(), source })?;
        if measured.failures() == 0 {
            return Ok(measured);
        }
        let statuses = measured.statuses.iter().map(|(status, count)| format!("{count} x {status}"));
        let statuses = statuses.collect::<Vec<_>>().join(", ");
        Err(SuiteFailed::NotAllowed { scenario: self.name.clone(), statuses })
    }

    fn processor_times(&self) -> Times {
        let authorizer = self.authorizer.map(processor_time).unwrap_or_default();
        Times { envoy: processor_time(self.process), authorizer }
    }

    async fn confirm(&self) -> Result<(), SuiteFailed> {
        let Proof { witnesses, baseline, answers, misses } = &self.proof;
        for (witness, before) in witnesses.iter().zip(baseline) {
            let confirmed = witness.confirm(&self.envoy, *before, as_f64(answers.saturating_sub(*misses))).await;
            confirmed.map_err(|source| SuiteFailed::Unproven { scenario: self.name.clone(), source })?;
        }
        Ok(())
    }
}

/// What is sent. A miss is a request that differs in what the policy reads.
fn request(kind: &Kind, approach: Approach, hops: &Hops) -> Result<Request, InvalidRequest> {
    let path = if *kind == Kind::CheckMiss { format!("{PREFIX}{NUMBER}") } else { PREFIX.to_owned() };
    if approach == Approach::ThreeHops {
        Request::with_headers(SERVICE, &path, &[(XFCC, &hops.chain())])
    } else {
        Request::get(SERVICE, &path)
    }
}

/// Processor time used so far.
struct Times {
    envoy: Duration,
    authorizer: Duration,
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

const WARM_UP: Duration = Duration::from_millis(100);
