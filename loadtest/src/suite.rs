//! Runs scenarios in short interleaved rounds and sums them up. It must not accept a round it has no proof for.

mod candidate;
mod chain;
mod hops;
pub mod log;
pub mod peer;
pub mod policies;
mod proof;
mod scenario;
pub mod sidecar;
pub mod stage;

use std::io;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use self::candidate::Candidate;
use self::peer::Peer;
use self::proof::{Believed, Unproven};
use self::scenario::{REVOCATION, Scenario, UnknownScenario};
use self::stage::Stage;
use crate::endpoint::InvalidEndpoint;
use crate::generator::LoadFailed;
use crate::generator::request::InvalidRequest;
use crate::generator::tls::InvalidTls;
use crate::machine::Machine;
use crate::report::{Report, Series, Settings};
use crate::revocation::{self, RevocationFailed};

/// How to compare what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Rounds per scenario.
    pub rounds: usize,
    /// Length of each of the two phases of a round.
    pub phase: Duration,
    /// Connections at once per scenario.
    pub connections: usize,
    /// Arrivals per second in the constant-rate phase; a tenth of it where each opens a connection.
    pub rate: NonZeroU32,
    /// Others to compare with.
    pub peers: Vec<Peer>,
    /// Names of the scenarios to run; empty for all.
    pub only: Vec<String>,
    /// How to measure revocations ([`REVOCATION`]).
    pub revocations: revocation::Plan,
}

/// The wasm modules the suite loads; Envoy and sidecar are found as in the tests.
#[derive(Clone, Debug)]
pub struct Modules {
    /// The filter that does nothing.
    pub empty: PathBuf,
    /// Ours.
    pub product: PathBuf,
}

/// Runs `plan`, telling `progress` what is going on.
///
/// # Errors
/// Something can't be booted, an answer is not 200, or a scenario is not what it says.
pub async fn run(plan: &Plan, modules: Modules, progress: impl Fn(&str)) -> Result<Report, SuiteFailed> {
    let scenarios = Scenario::select(&plan.peers, &plan.only)?;
    let mut stage = Stage::new(modules)?;
    let mut candidates = Vec::new();
    for scenario in scenarios {
        progress(&format!("starting {}", scenario.name));
        candidates.push(Candidate::boot(&mut stage, scenario, plan.connections).await?);
    }
    let series = rounds(plan, &mut candidates, &progress).await?;
    let settings = Settings {
        rounds: plan.rounds,
        phase_seconds: plan.phase.as_secs_f64(),
        connections: plan.connections,
        rate: plan.rate.get(),
    };
    let peers: Vec<_> = plan.peers.iter().map(|peer| peer.name.clone()).collect();
    drop(candidates);
    drop(stage);
    let wanted = plan.only.is_empty() || plan.only.iter().any(|name| name == REVOCATION);
    let enforced = if wanted { revocation::run(&plan.revocations, progress).await? } else { Vec::new() };
    let report = Report::new(Machine::look(&countersign_tests::envoy::binary()), settings, &series, &peers);
    Ok(report.with_revocations(enforced))
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum SuiteFailed {
    /// A chain that was not looked at.
    #[error("{scenario}: {source}")]
    Believed {
        /// In which scenario.
        scenario: String,
        /// What was believed.
        source: Believed,
    },
    /// The sidecar is not what is shipped.
    #[error("the sidecar {0} is a debug build; run `make bench`, or set COUNTERSIGN_BIN to a release build")]
    DebugBuild(String),
    /// Envoy listens elsewhere.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    /// A temporary file.
    #[error("cannot prepare the suite's files: {0}")]
    Files(#[source] io::Error),
    /// The generator.
    #[error("{scenario}: {source}")]
    Load {
        /// In which scenario.
        scenario: String,
        /// What.
        source: LoadFailed,
    },
    /// A wasm module is not there.
    #[error("there is no wasm module at {0}; `make bench` builds it")]
    NoModule(String),
    /// Somebody was refused.
    #[error("{scenario}: not every answer was 200: {statuses}")]
    NotAllowed {
        /// In which scenario.
        scenario: String,
        /// How many of what.
        statuses: String,
    },
    /// The path of a scenario.
    #[error(transparent)]
    Request(#[from] InvalidRequest),
    /// Nothing came back.
    #[error("{scenario}: no answer at all within {phase:?}")]
    Silent {
        /// In which scenario.
        scenario: String,
        /// How long it had.
        phase: Duration,
    },
    /// Revocations.
    #[error("revocation: {0}")]
    Revocation(#[from] RevocationFailed),
    /// The generator's certificates.
    #[error(transparent)]
    Tls(#[from] InvalidTls),
    /// An invented name.
    #[error(transparent)]
    Unknown(#[from] UnknownScenario),
    /// A hit that was none.
    #[error("{scenario}: {source}")]
    Unproven {
        /// In which scenario.
        scenario: String,
        /// What was counted.
        source: Unproven,
    },
}

/// One round of every candidate after the other, each time beginning with the next one: what slows the machine down for
/// a while, or follows from the neighbour, hits all alike.
async fn rounds(
    plan: &Plan,
    candidates: &mut [Candidate],
    progress: impl Fn(&str),
) -> Result<Vec<Series>, SuiteFailed> {
    let mut series: Vec<_> =
        candidates.iter().map(|candidate| Series { name: candidate.name().to_owned(), rounds: Vec::new() }).collect();
    let count = candidates.len();
    for round in 0..plan.rounds {
        for turn in 0..count {
            let index = (round + turn) % count;
            let (Some(candidate), Some(series)) = (candidates.get_mut(index), series.get_mut(index)) else { continue };
            progress(&format!("round {} of {}: {}", round + 1, plan.rounds, candidate.name()));
            series.rounds.push(candidate.round(plan.phase, plan.rate).await?);
        }
    }
    Ok(series)
}

#[cfg(test)]
mod tests;
