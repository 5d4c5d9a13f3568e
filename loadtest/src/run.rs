//! `loadtest run`: one phase against one server. It must not call a run with a refused request a success.

use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

use serde::Serialize;

use crate::cli::{Output, RunArgs};
use crate::generator::arrivals::Schedule;
use crate::generator::line::{Reuse, Target};
use crate::generator::measurement::Measurement;
use crate::generator::request::{InvalidRequest, Request};
use crate::generator::tls::{ClientPem, InvalidTls, Tls};
use crate::generator::{LoadFailed, Session};

/// What a run found, ready to print.
#[derive(Debug)]
pub struct Finding {
    /// The text for standard output.
    pub text: String,
    /// Whether every arrival was sent and answered with 200.
    pub clean: bool,
}

/// Runs the load that `args` describe.
///
/// # Errors
/// Files that can't be read, a server that can't be reached, or a connection that breaks.
pub async fn run(args: &RunArgs) -> Result<Finding, RunFailed> {
    let host = args.host.clone().unwrap_or_else(|| args.target.to_string());
    let request = Request::get(&host, &args.path)?;
    let target = Target { endpoint: args.target, tls: tls(args)? };
    let reuse = if args.new_connections { Reuse::Once } else { Reuse::Kept };
    let mut session = Session::connect(&target, reuse, usize::from(args.connections), request).await?;
    let measured = if args.saturate {
        session.saturate(args.duration).await?
    } else {
        session.pace(Schedule::new(args.rate, args.duration)).await?
    };
    let clean = measured.failures() == 0 && measured.unfinished == 0 && measured.answers() > 0;
    Ok(Finding { text: show(&Summary::of(&measured), args.output)?, clean })
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum RunFailed {
    /// A PEM file.
    #[error("cannot read {path}: {source}")]
    File {
        /// Which one.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The load itself.
    #[error(transparent)]
    Load(#[from] LoadFailed),
    /// The result can't be shown.
    #[error("cannot show the result: {0}")]
    Output(#[from] serde_json::Error),
    /// The path or host.
    #[error(transparent)]
    Request(#[from] InvalidRequest),
    /// The certificates.
    #[error(transparent)]
    Tls(#[from] InvalidTls),
}

#[derive(Serialize)]
struct Summary {
    seconds: f64,
    requests: u64,
    requests_per_second: f64,
    statuses: std::collections::BTreeMap<u16, u64>,
    unfinished: u64,
    latency_us: Option<Latency>,
}

#[derive(Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Summary {
    fn of(measured: &Measurement) -> Self {
        Self {
            seconds: measured.elapsed.as_secs_f64(),
            requests: measured.answers(),
            requests_per_second: measured.rate(),
            statuses: measured.statuses.clone(),
            unfinished: measured.unfinished,
            latency_us: Latency::of(measured),
        }
    }
}

impl Latency {
    fn of(measured: &Measurement) -> Option<Self> {
        let micros = |percent| measured.percentile(percent).map(|latency| latency.as_secs_f64() * 1e6);
        Some(Self {
            p50: micros(50.0)?,
            p90: micros(90.0)?,
            p99: micros(99.0)?,
            p999: micros(99.9)?,
            max: micros(100.0)?,
        })
    }
}

fn show(summary: &Summary, output: Output) -> Result<String, serde_json::Error> {
    if output == Output::Json {
        return serde_json::to_string_pretty(summary);
    }
    let mut text = format!(
        "{} requests in {:.1} s: {:.0} requests/s",
        summary.requests, summary.seconds, summary.requests_per_second
    );
    for (status, count) in &summary.statuses {
        let _ = write!(text, "\nstatus {status}: {count}");
    }
    if summary.unfinished > 0 {
        let _ = write!(text, "\nnever sent: {} (the server did not keep up)", summary.unfinished);
    }
    if let Some(Latency { p50, p90, p99, p999, max }) = summary.latency_us {
        let _ = write!(text, "\nlatency µs: p50 {p50:.0}  p90 {p90:.0}  p99 {p99:.0}  p99.9 {p999:.0}  max {max:.0}");
    }
    Ok(text)
}

fn tls(args: &RunArgs) -> Result<Option<Tls>, RunFailed> {
    let (Some(cert), Some(key), Some(ca)) = (&args.cert, &args.key, &args.ca) else { return Ok(None) };
    let (chain, key, roots) = (read(cert)?, read(key)?, read(ca)?);
    Ok(Some(Tls::new(ClientPem { roots: &roots, chain: &chain, key: &key }, &args.server_name)?))
}

fn read(path: &Path) -> Result<Vec<u8>, RunFailed> {
    fs::read(path).map_err(|source| RunFailed::File { path: path.display().to_string(), source })
}
