//! What `countersign policy validate` says about a policy set; it prints nothing itself.

use std::{fmt, sync::Arc};

use serde::Serialize;

use super::{
    compiled::CompiledPolicies,
    control::ControlFiles,
    files::{PolicyError, PolicyFiles, load},
    problem::Problem,
};

/// The result of checking policy files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// Whether the set would be accepted.
    pub valid: bool,
    /// What is wrong, with its place.
    pub errors: Vec<Problem>,
    /// What is doubtful but accepted.
    pub warnings: Vec<Problem>,
    /// What the set would be.
    pub summary: Option<Summary>,
    /// What a set of control policies would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlSummary>,
}

/// An accepted set of control policies.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ControlSummary {
    /// All policies.
    pub policies: usize,
}

/// An accepted set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Summary {
    /// All policies.
    pub policies: usize,
    /// Those that can match a request to this service.
    pub applicable: usize,
    /// Facts that enter the cache key, besides caller and method.
    pub reads: Vec<String>,
    /// Comparisons of facts of time: a decision holds until one of those that can match it comes out otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lifetime_bounds: Vec<LifetimeBound>,
    /// SHA-256 of everything that can change a decision, in hexadecimal.
    pub digest: String,
}

/// What bounds the lifetime of decisions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LifetimeBound {
    /// The policy.
    pub policy: String,
    /// The comparison in it.
    pub test: String,
}

/// Checks policy files as `serve` would load them. Blocks, so not for async threads.
pub fn report(files: &PolicyFiles) -> Report {
    match load(files) {
        Ok(compiled) => {
            let summary = Summary {
                policies: compiled.len(),
                applicable: compiled.applicable(),
                reads: compiled.plan().reads().iter().map(ToString::to_string).collect(),
                lifetime_bounds: lifetime_bounds(&compiled),
                digest: compiled.digest().to_string(),
            };
            Report {
                valid: true,
                errors: vec![],
                warnings: compiled.warnings().to_vec(),
                summary: Some(summary),
                control: None,
            }
        }
        Err(error) => refused(error),
    }
}

/// Checks control policy files as `serve` would load them. Blocks, so not for async threads.
pub fn report_control(files: &ControlFiles) -> Report {
    match files.load() {
        Ok(compiled) => Report {
            valid: true,
            errors: vec![],
            warnings: compiled.warnings().to_vec(),
            summary: None,
            control: Some(ControlSummary { policies: compiled.len() }),
        },
        Err(error) => refused(error),
    }
}

fn lifetime_bounds(compiled: &CompiledPolicies) -> Vec<LifetimeBound> {
    let bound =
        |(policy, test): (Arc<str>, Arc<str>)| LifetimeBound { policy: policy.to_string(), test: test.to_string() };
    compiled.lifetime_bounds().into_iter().map(bound).collect()
}

fn refused(error: PolicyError) -> Report {
    Report { valid: false, errors: problems(error), warnings: vec![], summary: None, control: None }
}

fn problems(error: PolicyError) -> Vec<Problem> {
    match error {
        PolicyError::Invalid(invalid) => invalid.problems,
        PolicyError::Unreadable(unreadable) => {
            let problem = |one: super::files::Unreadable| Problem {
                file: one.path.display().to_string().into(),
                at: None,
                message: one.error.to_string(),
            };
            unreadable.into_iter().map(problem).collect()
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.errors.iter().try_for_each(|problem| writeln!(f, "error: {problem}"))?;
        self.warnings.iter().try_for_each(|problem| writeln!(f, "warning: {problem}"))?;
        match (&self.summary, &self.control) {
            (None, None) => write!(f, "invalid: {} to correct", self.errors.len()),
            (Some(summary), _) => summary.fmt(f),
            (None, Some(control)) => write!(f, "valid: {} control policies", control.policies),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reads = if self.reads.is_empty() { "nothing".to_owned() } else { self.reads.join(", ") };
        writeln!(f, "valid: {} policies, {} of them for this service", self.policies, self.applicable)?;
        writeln!(f, "reads, besides caller and method: {reads}")?;
        for LifetimeBound { policy, test } in &self.lifetime_bounds {
            writeln!(f, "decisions end when `{test}` changes (policy {policy:?})")?;
        }
        write!(f, "digest: {}", self.digest)
    }
}
