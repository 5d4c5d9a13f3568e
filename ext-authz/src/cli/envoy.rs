//! `countersign envoy`: what is wrong with Envoy configurations; it reads files and needs no running sidecar. What is wrong is decided in `envoy_lint`.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Read as _, Write},
    str::FromStr,
};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{CliError, Exit, Output, OutputArgs, output::Tone};
use crate::envoy_lint::{self, Document, Finding, Rule, Severity};

/// What can be done with Envoy configurations.
#[derive(Debug, Subcommand)]
pub(super) enum EnvoyCommand {
    /// Name every hole through which a request gets past Countersign (exit code 1 if there is one)
    #[command(after_help = EXAMPLES)]
    Lint(LintArgs),
    /// Print what `lint` looks for, and why
    Rules(OutputArgs),
}

/// What to look at.
#[derive(Debug, Args)]
pub(super) struct LintArgs {
    /// Envoy configurations in YAML or JSON: bootstrap files (placeholders ${NAME} need not be filled), xDS files,
    /// dumps of the admin API; - reads standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Exit code 1 for warnings, too
    #[arg(long)]
    strict: bool,
    /// Leave out what is so on purpose: a rule, or a rule where WORDS are in the place or its names
    #[arg(long, value_name = "RULE[:WORDS]")]
    except: Vec<Exception>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Findings that somebody knows and means.
#[derive(Clone, Debug)]
struct Exception {
    rule: &'static str,
    words: String,
}

/// A finding with its file.
#[derive(Debug, Serialize)]
struct Located<'a> {
    file: &'a str,
    #[serde(flatten)]
    finding: &'a Finding,
}

/// The last line.
#[derive(Debug, Default, Serialize)]
struct Summary {
    files: usize,
    errors: usize,
    warnings: usize,
    excepted: usize,
}

impl EnvoyCommand {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        match self {
            Self::Lint(args) => args.run(out),
            Self::Rules(args) => {
                let mut output = Output::new(out, args.output);
                envoy_lint::rules().try_for_each(|rule| output.say(rule, |output| rule_for_people(output, rule)))?;
                Ok(Exit::Done)
            }
        }
    }
}

impl LintArgs {
    fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let documents: Vec<_> = self.files.iter().map(|file| read(file)).collect::<Result<_, _>>()?;
        let mut output = Output::new(out, self.output.output);
        let mut summary = Summary::default();
        for (file, document) in self.files.iter().zip(&documents) {
            let (excepted, findings): (Vec<_>, Vec<_>) =
                envoy_lint::lint(document).into_iter().partition(|it| self.except.iter().any(|one| one.covers(it)));
            summary.count(&findings, excepted.len());
            for finding in &findings {
                output.say(&Located { file, finding }, |output| for_people(output, file, finding))?;
            }
        }
        output.say(&summary, |output| summary.for_people(output))?;
        let refused = summary.errors > 0 || (self.strict && summary.warnings > 0);
        Ok(if refused { Exit::Refused } else { Exit::Done })
    }
}

impl Summary {
    fn count(&mut self, findings: &[Finding], excepted: usize) {
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        self.files += 1;
        self.excepted += excepted;
        self.errors += errors;
        self.warnings += findings.len() - errors;
    }

    fn for_people(&self, output: &Output<'_>) -> String {
        let tone = match (self.errors, self.warnings) {
            (0, 0) => Tone::Good,
            (0, _) => Tone::Warn,
            _ => Tone::Bad,
        };
        let count = |number, word| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
        let found = format!("{}, {}", count(self.errors, "error"), count(self.warnings, "warning"));
        let excepted = if self.excepted > 0 { format!(", {} left out", self.excepted) } else { String::new() };
        format!("{}: {}{excepted}", count(self.files, "file"), output.paint(tone, &found))
    }
}

impl FromStr for Exception {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, words) = text.split_once(':').unwrap_or((text, ""));
        let rule = envoy_lint::rules().find(|rule| rule.name == name);
        let unknown = || format!("there is no rule {name:?}; `countersign envoy rules` lists them");
        Ok(Self { rule: rule.ok_or_else(unknown)?.name, words: words.to_owned() })
    }
}

impl Exception {
    fn covers(&self, finding: &Finding) -> bool {
        let said = finding.place.contains(&self.words) || finding.within.contains(&self.words);
        self.rule == finding.rule && said
    }
}

fn read(file: &str) -> Result<Document, CliError> {
    let bytes = if file == "-" {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    let refuse = |what: &dyn std::fmt::Display| CliError::Usage(format!("{file}: {what}"));
    let bytes = bytes.map_err(|error| refuse(&format_args!("can't be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| refuse(&format_args!("is no text: {error}")))?;
    Document::parse(&text).map_err(|error| refuse(&error))
}

/// As compilers say it, so that editors find the line.
fn for_people(output: &Output<'_>, file: &str, finding: &Finding) -> String {
    let Finding { rule, severity, line, place, within, what, why, remedy } = finding;
    let line = line.map(|line| format!("{line}:")).unwrap_or_default();
    let severity = output.paint(tone(*severity), severity.as_str());
    let mut text = format!("{file}:{line} {severity}: {what} [{rule}]\n");
    let place = if place.is_empty() { "the document as a whole" } else { place };
    let within = if within.is_empty() { String::new() } else { format!(" ({within})") };
    let dim = |label| output.paint(Tone::Dim, label);
    // Writing to a String does not fail.
    let _ = write!(text, "  {} {place}{within}\n  {} {why}\n  {} {remedy}", dim("at "), dim("why"), dim("fix"));
    text
}

fn rule_for_people(output: &Output<'_>, rule: &Rule) -> String {
    let Rule { name, severity, why, remedy, .. } = rule;
    let severity = output.paint(tone(*severity), severity.as_str());
    let dim = |label| output.paint(Tone::Dim, label);
    format!("{name} ({severity})\n  {} {why}\n  {} {remedy}", dim("why"), dim("fix"))
}

fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Warn,
    }
}

const EXAMPLES: &str = "\
Examples:
  countersign envoy lint envoy/filter.yaml                      # before it is deployed
  countersign envoy lint --strict --output json envoy/*.yaml    # in CI: one object a line, the last one is the summary
  curl -s --unix-socket ADMIN.sock 'http://envoy/config_dump?include_eds' | countersign envoy lint -   # what is in force
  countersign envoy lint --except 'no-countersign:listener stats' envoy.yaml   # a listener that is open on purpose
  countersign envoy rules                                       # what it looks for

Exit codes:
  0  no error (with --strict: no warning either)
  1  there is a hole
  2  a file can't be read, or is no Envoy configuration: nothing was judged";

#[cfg(test)]
mod tests;
