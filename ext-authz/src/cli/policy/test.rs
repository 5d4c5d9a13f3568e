//! `countersign policy test`: cases in YAML against policies; needs no running sidecar. What is decided is decided as in production.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;

use super::set::{SetArgs, files_of, open};
use crate::{
    cli::{CliError, Exit, Output, OutputArgs, output::Tone},
    policy::{PolicyFiles, Problem, inspect::Inspector},
    workbench::{self, CaseFile, Coverage, Report, Run},
};

/// Which cases.
#[derive(Debug, Args)]
pub(in crate::cli) struct TestArgs {
    /// Files of cases; each says which policies it is about, unless that is said here
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    set: SetArgs,
    /// Write what came of each case to this file as `JUnit` XML, for CI
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Exit code 1 if less than this of the policies is covered, in percent
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    min_coverage: Option<f64>,
    #[command(flatten)]
    output: OutputArgs,
}

/// A policy set, and what cases have shown of it.
struct Bench {
    files: PolicyFiles,
    inspector: Inspector,
    coverage: Coverage,
}

impl TestArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let cases = self.load()?;
        let mut benches: Vec<Bench> = Vec::new();
        let mut runs: Vec<Run> = Vec::new();
        let mut problems: Vec<Problem> = Vec::new();
        for file in &cases {
            let bench = self.bench(file, &mut benches)?;
            match workbench::run(&bench.inspector, file, &mut bench.coverage) {
                Ok(more) => runs.extend(more),
                Err(more) => problems.extend(more),
            }
        }
        if !problems.is_empty() {
            return Err(CliError::Usage(lines(&problems)));
        }
        if let Some(path) = &self.junit {
            let xml = workbench::junit(&runs);
            fs::write(path, xml).map_err(|error| CliError::Usage(format!("{}: {error}", path.display())))?;
        }
        let coverage: Vec<Coverage> = benches.into_iter().map(|bench| bench.coverage).collect();
        self.say(&Report::new(runs, &coverage), out)
    }

    /// Every file, or everything that is wrong with all of them.
    fn load(&self) -> Result<Vec<CaseFile>, CliError> {
        let mut wrong = Vec::new();
        let mut cases = Vec::new();
        for path in &self.files {
            match CaseFile::load(path) {
                Ok(file) => cases.push(file),
                Err(error) => wrong.push(error.to_string()),
            }
        }
        if wrong.is_empty() { Ok(cases) } else { Err(CliError::Usage(wrong.join("\n"))) }
    }

    /// The bench of a file; the same for files about the same policies.
    fn bench<'b>(&self, file: &CaseFile, benches: &'b mut Vec<Bench>) -> Result<&'b mut Bench, CliError> {
        let files = match (self.set.files()?, &file.policies) {
            (Some(files), _) => files,
            (None, Some(source)) => files_of(source)?,
            (None, None) => {
                let message = "does not say which policies it is about; write policies: [FILE, …] or config: FILE in it, or give \
                               --policies or --config";
                return Err(CliError::Usage(format!("{}: {message}", file.name)));
            }
        };
        let known = benches.iter().position(|bench| bench.files == files);
        let place = known.unwrap_or(benches.len());
        if known.is_none() {
            let inspector = open(&files)?;
            let coverage = Coverage::of(&inspector);
            benches.push(Bench { files, inspector, coverage });
        }
        benches.get_mut(place).ok_or_else(|| io::Error::other("a policy set was lost").into())
    }

    fn say(&self, report: &Report, out: &mut dyn Write) -> Result<Exit, CliError> {
        let mut output = Output::new(out, self.output.output);
        for run in &report.cases {
            if !run.passed {
                let text = workbench::failure(run);
                output.note(&format!("{} {text}", output.paint(Tone::Bad, "FAIL")))?;
            }
        }
        report.gaps.iter().try_for_each(|gap| output.note(&workbench::gap(gap)))?;
        output.say(report, |output| {
            let tone = if report.summary.failed == 0 { Tone::Good } else { Tone::Bad };
            output.paint(tone, &workbench::summary(&report.summary))
        })?;
        let least = self.min_coverage.unwrap_or(0.0);
        let is_covered = report.summary.coverage >= least;
        if !is_covered {
            output.note(&format!(
                "coverage is below the {least} % of --min-coverage: add cases for what is listed above"
            ))?;
        }
        Ok(if report.summary.failed == 0 && is_covered { Exit::Done } else { Exit::Refused })
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

fn parse_percent(text: &str) -> Result<f64, String> {
    let percent = text.trim_end_matches('%').parse().ok();
    percent.filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| "write a number from 0 to 100".to_owned())
}

pub(super) const EXAMPLES: &str = "\
A file of cases:
  policies: [../policies/*.cedar]       # paths from this file on; or config: FILE; also schema, entities, service
  defaults: { host: shop.test }         # what all cases have in common: anything a case or its request can say
  cases:
    - name: a reader may read
      caller: spiffe://demo.test/ns/shop/sa/web
      request: GET /orders/1?x=y
      expect: allow
      policies: [shop-reads]            # exactly these determine it; optional, as is reason:
    - name: nobody writes from outside
      caller: { id: spiffe://demo.test/ns/shop/sa/web, issued: 1h ago, lifetime: 12h }
      request: { method: POST, path: /orders, headers: { x-tenant: a } }
      source: 203.0.113.7
      hops: [spiffe://demo.test/edge]   # behind the caller, the nearest first; hops_complete: false if more was claimed
      at: 2026-03-02T09:30:00+01:00     # else a Monday at noon, 2026-01-05T12:00:00Z
      expect: deny
      reason: no_permit
    - name: no certificate, no entry
      unverified: certificate_missing   # in place of a caller, or beside one that is only claimed
      connection: {}                    # a TCP connection in place of a request
      destination: 10.0.0.1:5432
      sni: db.test
      expect: deny

Examples:
  countersign policy test cases/*.yaml
  countersign policy test --config countersign.yaml --junit report.xml --min-coverage 90 cases/*.yaml

Exit codes: 0 all cases passed, 1 one did not or too little is covered, 2 a file can't be used";
