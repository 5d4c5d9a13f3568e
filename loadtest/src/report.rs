//! What a suite found, as data: scenarios, and the ratios between them. It must not measure or print anything.

mod ratio;
pub mod table;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use self::ratio::Ratio;
use crate::machine::Machine;
use crate::revocation::Enforced;
use crate::statistics::Spread;

/// One round of one scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    /// Answers per second with every connection busy.
    pub requests_per_second: f64,
    /// Microseconds of processor time Envoy took per request meanwhile.
    pub envoy_cpu_us: f64,
    /// Microseconds of processor time the authorizer took per request meanwhile; none where nobody is asked, or where we
    /// did not start whoever is.
    pub authorizer_cpu_us: Option<f64>,
    /// Median latency at the constant arrival rate, in microseconds.
    pub p50_us: f64,
    /// 99th percentile of the latency at the constant arrival rate, in microseconds.
    pub p99_us: f64,
    /// Arrivals that Envoy did not get to at the constant rate.
    pub unfinished: u64,
}

/// A scenario and its rounds, in the order they were run.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The scenario's name, a key of the report.
    pub name: String,
    /// Its rounds.
    pub rounds: Vec<Round>,
}

/// How the suite was run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Settings {
    /// Rounds per scenario.
    pub rounds: usize,
    /// Seconds of each of the two phases of a round.
    pub phase_seconds: f64,
    /// Connections at once per scenario.
    pub connections: usize,
    /// Arrivals per second in the open-loop phase; a tenth of it where each opens a connection.
    pub rate: u32,
}

/// Everything a suite found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The machine it ran on.
    pub machine: Machine,
    /// How it ran.
    pub settings: Settings,
    /// What each scenario did.
    pub scenarios: BTreeMap<String, Summary>,
    /// Requests per second of one scenario over another's: medians of the ratios of each round.
    pub ratios: BTreeMap<String, f64>,
    /// The lowest and highest round of each ratio.
    pub ratio_spreads: BTreeMap<String, Spread>,
    /// How long revocations took to be in force in every filter.
    pub revocations: Vec<Enforced>,
    #[serde(skip)]
    order: Vec<String>,
    #[serde(skip)]
    compared: Vec<Ratio>,
}

/// What the rounds of one scenario say together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Answers per second with every connection busy.
    pub requests_per_second: Spread,
    /// Microseconds of processor time in Envoy per request; the steadiest number here.
    pub envoy_cpu_us: Spread,
    /// The same in the sidecar or no-op server that was asked, or that a filter reports to; null where there is none.
    pub authorizer_cpu_us: Option<Spread>,
    /// Median latency at the constant arrival rate; median of the rounds.
    pub p50_us: f64,
    /// 99th percentile of the latency at the constant arrival rate; median of the rounds.
    pub p99_us: f64,
    /// How many rounds there were.
    pub rounds: usize,
    /// Arrivals, in all rounds, that were due but never sent. Not zero: the rate is beyond what this scenario can do.
    pub unfinished: u64,
}

impl Report {
    /// Sums up `series`; a series without rounds is left out.
    pub fn new(machine: Machine, settings: Settings, series: &[Series], peers: &[String]) -> Self {
        let order = series.iter().map(|series| series.name.clone()).collect();
        let scenarios = series.iter().filter_map(|series| Some((series.name.clone(), Summary::of(&series.rounds)?)));
        let compared = ratio::all(series, peers);
        Self {
            machine,
            settings,
            scenarios: scenarios.collect(),
            ratios: compared.iter().map(|ratio| (ratio.name.clone(), ratio.spread.median)).collect(),
            ratio_spreads: compared.iter().map(|ratio| (ratio.name.clone(), ratio.spread)).collect(),
            revocations: Vec::new(),
            order,
            compared,
        }
    }

    /// The same report, with what was measured of revocations.
    pub fn with_revocations(self, revocations: Vec<Enforced>) -> Self {
        Self { revocations, ..self }
    }

    /// The report as indented JSON.
    ///
    /// # Errors
    /// Never in practice: every number in it is finite.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// Writes the report to `path`, whole or not at all.
    ///
    /// # Errors
    /// The directory or the file can't be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let json = self.to_json().map_err(io::Error::other)?;
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let unfinished = path.with_extension("json.new");
        fs::write(&unfinished, json + "\n")?;
        fs::rename(unfinished, path)
    }
}

impl Summary {
    fn of(rounds: &[Round]) -> Option<Self> {
        let each = |value: fn(&Round) -> f64| Spread::of(&rounds.iter().map(value).collect::<Vec<_>>());
        Some(Self {
            requests_per_second: each(|round| round.requests_per_second)?,
            envoy_cpu_us: each(|round| round.envoy_cpu_us)?,
            authorizer_cpu_us: each(|round| round.authorizer_cpu_us.unwrap_or(f64::NAN)),
            p50_us: each(|round| round.p50_us)?.median,
            p99_us: each(|round| round.p99_us)?.median,
            rounds: rounds.len(),
            unfinished: rounds.iter().map(|round| round.unfinished).sum(),
        })
    }
}

#[cfg(test)]
mod tests;
