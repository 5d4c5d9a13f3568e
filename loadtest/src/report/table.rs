//! The report as text for a person at a terminal. It must not compute: what it shows is what the report holds.

use std::fmt::{self, Write};

use super::Report;
use crate::revocation::Enforced;

/// Lays `report` out in columns.
///
/// # Errors
/// Never in practice: writing to memory does not fail.
pub fn render(report: &Report) -> Result<String, fmt::Error> {
    let mut text = String::new();
    head(&mut text, report)?;
    scenarios(&mut text, report)?;
    ratios(&mut text, report)?;
    revocations(&mut text, &report.revocations)?;
    Ok(text)
}

fn head(text: &mut String, report: &Report) -> fmt::Result {
    let (machine, settings) = (&report.machine, &report.settings);
    writeln!(text, "{} cores, {}, {}, Envoy {}", machine.cores, machine.processor, machine.system, machine.envoy)?;
    writeln!(
        text,
        "{} interleaved rounds of {} s saturation and {} s at {} requests/s, {} mTLS connections, Envoy concurrency 1
first_request_*: a new connection for each request, at a tenth of the constant rate\n",
        settings.rounds, settings.phase_seconds, settings.phase_seconds, settings.rate, settings.connections
    )
}

fn scenarios(text: &mut String, report: &Report) -> fmt::Result {
    let titles = ["requests/s", "min", "max", "Envoy CPU µs", "authorizer", "p50 µs", "p99 µs"];
    row(text, "scenario", &titles.map(str::to_owned))?;
    for name in &report.order {
        let Some(summary) = report.scenarios.get(name) else { continue };
        let rate = summary.requests_per_second;
        let cells = [rate.median, rate.min, rate.max].map(|value| format!("{value:.0}")).into_iter();
        let envoy = format!("{:.1}", summary.envoy_cpu_us.median);
        let authorizer = summary.authorizer_cpu_us.map_or_else(String::new, |spread| format!("{:.1}", spread.median));
        let latencies = [summary.p50_us, summary.p99_us].map(|value| format!("{value:.0}"));
        row(text, name, &cells.chain([envoy, authorizer]).chain(latencies).collect::<Vec<_>>())?;
        if summary.unfinished > 0 {
            let sent = "arrivals were never sent: this scenario can't do the constant rate";
            writeln!(text, "  {} {sent}", summary.unfinished)?;
        }
    }
    Ok(())
}

fn ratios(text: &mut String, report: &Report) -> fmt::Result {
    if report.compared.is_empty() {
        return Ok(());
    }
    writeln!(text)?;
    row(text, "ratio of requests/s", &["median", "min", "max", "goal", ""].map(str::to_owned))?;
    for ratio in &report.compared {
        let spread = [ratio.spread.median, ratio.spread.min, ratio.spread.max].map(|value| format!("{value:.2}"));
        let goal = ratio.goal.map_or_else(String::new, |goal| format!("≥ {goal}"));
        let verdict = match ratio.goal {
            Some(goal) if ratio.spread.median >= goal => "met",
            Some(_) => "missed",
            None => "",
        };
        row(text, &ratio.name, &spread.into_iter().chain([goal, verdict.to_owned()]).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Lays `enforced` out in columns.
///
/// # Errors
/// Never in practice: writing to memory does not fail.
pub fn revocations(text: &mut String, enforced: &[Enforced]) -> fmt::Result {
    if enforced.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n{ABOUT_REVOCATIONS}")?;
    let titles = ["log", "p50 ms", "p99 ms", "goal", "", "last ack p50", "p99 ms", "burst ms", "CPU µs"];
    row(text, "filters (live revocations)", &titles.map(str::to_owned))?;
    for it in enforced {
        let goal = it.goal_ms().map_or_else(String::new, |goal| format!("≤ {goal}"));
        let verdict = match it.goal_ms() {
            Some(goal) if it.revocation_p99_ms <= goal => "met",
            Some(_) => "missed",
            None => "",
        };
        let times = |times: &[f64]| times.iter().map(|time| format!("{time:.2}")).collect::<Vec<_>>();
        let whole = times(&[it.revocation_p50_ms, it.revocation_p99_ms]);
        let rest = [it.last_acknowledgement_p50_ms, it.last_acknowledgement_p99_ms, it.burst_ms, it.sidecar_cpu_us];
        let cells = [it.log.as_str().to_owned()].into_iter().chain(whole).chain([goal, verdict.to_owned()]);
        let name = if it.live > 0 { format!("{} ({})", it.filters, it.live) } else { it.filters.to_string() };
        row(text, &name, &cells.chain(times(&rest)).collect::<Vec<_>>())?;
    }
    for it in enforced.iter().filter(|it| it.live > 0) {
        writeln!(
            text,
            "{} live revocations, {} log: ready after {:.1} s, {:.0} MiB resident, filters after {:.1} s, List after {:.2} s",
            it.live,
            it.log.as_str(),
            it.ready_s,
            it.resident_mib,
            it.gathered_s,
            it.listed_s
        )?;
    }
    Ok(())
}

fn row(text: &mut String, name: &str, cells: &[String]) -> fmt::Result {
    let mut line = format!("{name:<NAME$}");
    for cell in cells {
        write!(line, "{cell:>CELL$}")?;
    }
    writeln!(text, "{}", line.trim_end())
}

const ABOUT_REVOCATIONS: &str = "\
revocation: from sending it until it is in force in every filter, one after another; then as many at once (burst)
filters are the product's own without an Envoy, all in one process: they share the cores with the sidecar";

const NAME: usize = 32;
const CELL: usize = 13;
