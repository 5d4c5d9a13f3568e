//! The command line and the environment, read once. It must not start anything.

use std::env;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::endpoint::Endpoint;
use crate::revocation::{self, Log};
use crate::suite::peer::Peer;
use crate::suite::{Modules, Plan};

/// Measures what an authorization chain in a real Envoy costs.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare authorization chains in short interleaved rounds on one machine
    #[command(after_help = SUITE_EXAMPLES)]
    Suite(SuiteArgs),
    /// Measure how long a revocation takes until every filter of a sidecar has it in force
    #[command(after_help = REVOCATIONS_EXAMPLES)]
    Revocations(RevocationArgs),
    /// Load one server on this machine
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Serve `ext_authz` that allows everything: the floor any external check stands on
    NoopExtAuthz(NoopArgs),
}

/// How to compare.
#[derive(Args, Clone, Debug)]
pub struct SuiteArgs {
    /// Rounds per scenario [default: 7, with --quick: 2]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub rounds: Option<u16>,
    /// Length of each of the two phases of a round, saturation and constant rate [default: 1s, with --quick: 300ms]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub phase: Option<Duration>,
    /// Connections at once per scenario
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=MAX_CONNECTIONS))]
    pub connections: u16,
    /// Arrivals per second in the constant-rate phase; a tenth of it where each opens a connection
    #[arg(long, default_value = "1000", value_parser = rate)]
    pub rate: NonZeroU32,
    /// Another `ext_authz` gRPC server to compare with: loopback IP:PORT or the path of a Unix socket; may be repeated
    #[arg(long = "peer", value_name = "NAME=ADDRESS")]
    pub peers: Vec<Peer>,
    /// Run these scenarios, or `revocation`, and the peers only; names separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Few and short rounds: shows that everything works, not how fast
    #[arg(long)]
    pub quick: bool,
    /// What to print
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Where to write the report
    #[arg(long, value_name = "FILE", default_value = "target/bench/report.json")]
    pub report: PathBuf,
}

/// How many filters and revocations.
#[derive(Args, Clone, Debug)]
pub struct RevocationArgs {
    /// Numbers of filters, separated by commas
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', default_value = "1,10,100,1000",
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub filters: Vec<u16>,
    /// Revocations one after another, and as many again at once
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub revocations: u16,
    /// Numbers of revocations in force before, measured with 10 filters; separated by commas
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    pub live: Vec<u32>,
    /// What to print
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Who orders the signals
    #[arg(long = "log", value_enum, value_delimiter = ',', default_value = "embedded,nats")]
    pub logs: Vec<Log>,
}

/// What to load and how.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Loopback IP:PORT of the server
    #[arg(value_name = "ADDRESS")]
    pub target: Endpoint,
    /// Path to GET; {n} in it becomes a running number
    #[arg(long, default_value = "/")]
    pub path: String,
    /// Host header [default: the address]
    #[arg(long)]
    pub host: Option<String>,
    /// Arrivals per second, constant whatever the server does; latency counts from the moment a request was due
    #[arg(long, default_value = "1000", value_parser = rate, conflicts_with = "saturate")]
    pub rate: NonZeroU32,
    /// As fast as the connections go; measures throughput only
    #[arg(long)]
    pub saturate: bool,
    /// How long
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub duration: Duration,
    /// Connections at once, kept alive unless --new-connections is given
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=MAX_CONNECTIONS))]
    pub connections: u16,
    /// Open a connection for each request and close it afterwards, so that each request pays for the handshake
    #[arg(long)]
    pub new_connections: bool,
    /// PEM of the client's chain; with --key and --ca, speaks mTLS
    #[arg(long, value_name = "FILE", requires_all = ["key", "ca"])]
    pub cert: Option<PathBuf>,
    /// PEM of the client's key
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// PEM of the roots the server's certificate may end in
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub ca: Option<PathBuf>,
    /// Name the server's certificate must have
    #[arg(long, default_value = "localhost", requires = "cert")]
    pub server_name: String,
    /// What to print
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// Where to serve.
#[derive(Args, Clone, Debug)]
pub struct NoopArgs {
    /// Unix socket to create
    #[arg(long, value_name = "PATH")]
    pub socket: PathBuf,
}

/// What to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One JSON document
    Json,
    /// A table
    Table,
}

/// The wasm modules, where the environment says they are, or where `make bench` puts them.
pub fn modules_from_env() -> Modules {
    let at = |name, default| env::var_os(name).map_or_else(|| countersign_tests::root().join(default), PathBuf::from);
    Modules {
        empty: at("COUNTERSIGN_EMPTY_WASM", "target/wasm/empty.wasm"),
        product: at("COUNTERSIGN_WASM", "target/wasm/countersign.wasm"),
    }
}

impl RevocationArgs {
    /// What to run.
    pub fn plan(&self) -> revocation::Plan {
        revocation::Plan {
            logs: self.logs.clone(),
            filters: self.filters.iter().copied().map(usize::from).collect(),
            revocations: usize::from(self.revocations),
            live: self.live.clone(),
        }
    }
}

impl SuiteArgs {
    fn revocations(&self) -> revocation::Plan {
        let (filters, revocations, live) = if self.quick {
            (vec![1, 10], 10, Vec::new())
        } else {
            (vec![1, 10, 100, 1_000], 200, vec![100_000, 1_000_000])
        };
        revocation::Plan { logs: Log::value_variants().to_vec(), filters, revocations, live }
    }

    /// What to run, with `--quick` where nothing else was said.
    pub fn plan(&self) -> Plan {
        let (rounds, phase) = if self.quick { (2, Duration::from_millis(300)) } else { (7, Duration::from_secs(1)) };
        Plan {
            rounds: self.rounds.map_or(rounds, usize::from),
            phase: self.phase.unwrap_or(phase),
            connections: usize::from(self.connections),
            rate: self.rate,
            peers: self.peers.clone(),
            only: self.only.clone(),
            revocations: self.revocations(),
        }
    }
}

/// `250ms`, `1s` or `1.5s`, up to an hour.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s').unwrap_or(""), 1.0),
    };
    let seconds = number.parse::<f64>().ok().map(|number| number * unit);
    match seconds.filter(|seconds| (1e-3..=3_600.0).contains(seconds)) {
        Some(seconds) => Ok(Duration::from_secs_f64(seconds)),
        None => Err("not a duration between 1ms and 3600s; write 250ms or 1.5s".to_owned()),
    }
}

fn rate(text: &str) -> Result<NonZeroU32, String> {
    let rate = text.parse().ok().filter(|rate: &NonZeroU32| rate.get() <= MAX_RATE);
    rate.ok_or_else(|| format!("not a number of requests per second between 1 and {MAX_RATE}"))
}

const MAX_CONNECTIONS: i64 = 1_024;
const MAX_RATE: u32 = 1_000_000;

const EXAMPLES: &str = "\
Examples:
  make bench                                        build everything, run the suite
  loadtest suite --quick                            a look at whether it all works
  loadtest suite --peer opa=127.0.0.1:9191          with another ext_authz server in the same rounds
  loadtest run 127.0.0.1:8080 --rate 5000           latency at 5,000 requests/s";

const SUITE_EXAMPLES: &str = "\
Examples:
  loadtest suite
  loadtest suite --rounds 15 --only no_filter,empty_wasm,filter_hit
  loadtest suite --only check_hit,check_hit_three_hops
  loadtest suite --peer opa=127.0.0.1:9191 --peer other=/run/other.sock --output json

A peer must allow GET /x with host bench from spiffe://bench.test/client.
Every answer must be 200, and a hit must be counted as one by whoever claims it, or the suite fails. So it does if one
of the scenarios *_three_hops lets in a chain that is not the one its policy asks for. Requests of the scenarios
first_request_* come each on a connection of its own.
COUNTERSIGN_ENVOY, COUNTERSIGN_BIN, COUNTERSIGN_WASM and COUNTERSIGN_EMPTY_WASM say where the programs are.

Exit codes: 0 measured, 1 failed, 2 wrong usage.";

const REVOCATIONS_EXAMPLES: &str = "\
Examples:
  loadtest revocations
  loadtest revocations --filters 1000 --revocations 50
  loadtest revocations --filters 10 --live 100000,1000000

The filters are the product's own, without an Envoy around them, all in this one process: with few cores they take the
processor from the sidecar that is measured. COUNTERSIGN_BIN and COUNTERSIGN_NATS say where the programs are.

Exit codes: 0 measured, 1 failed, 2 wrong usage.";

const RUN_EXAMPLES: &str = "\
Examples:
  loadtest run 127.0.0.1:8080 --rate 5000 --duration 30s
  loadtest run 127.0.0.1:8080 --saturate --connections 64
  loadtest run 127.0.0.1:8080 --new-connections --rate 100
  loadtest run 127.0.0.1:8443 --cert client.pem --key client.key --ca ca.pem --path '/orders/{n}'

Exit codes: 0 every answer was 200, 1 some were not or the run broke, 2 wrong usage.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_read_with_their_unit() {
        for (text, expected) in [("250ms", 250), ("1s", 1_000), ("1.5s", 1_500), ("3600s", 3_600_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(expected)), "{text}");
        }
        for text in ["", "1", "0s", "-1s", "3601s", "NaNs", "infs", "1m"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn load_on_another_machine_is_refused_with_a_reason() {
        let error = Cli::try_parse_from(["loadtest", "run", "192.0.2.7:80"]).unwrap_err().to_string();
        assert!(error.contains("`192.0.2.7:80` is not a loopback address"), "{error}");
    }
}
