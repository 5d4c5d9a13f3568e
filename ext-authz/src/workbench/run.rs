//! Runs cases against the policies they are about; it reads and prints nothing.

use std::sync::Arc;

use serde::Serialize;

use super::{
    case::{Case, Expectation},
    coverage::Coverage,
    explanation::{Explanation, explain},
    file::CaseFile,
    form::meant,
};
use crate::policy::{Problem, inspect::Inspector};

/// What came of one case.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The file of the case.
    pub file: Arc<str>,
    /// Where it stands there, from 1.
    pub line: usize,
    /// Its name.
    pub case: String,
    /// Whether all that was expected came.
    pub passed: bool,
    /// Each thing that was expected and did not come, in words.
    pub failures: Vec<String>,
    /// What came, and why.
    pub explanation: Explanation,
}

/// Runs every case of a file, with `coverage` looking on.
///
/// # Errors
/// Policies that cases expect and that are not in the set.
pub fn run(inspector: &Inspector, file: &CaseFile, coverage: &mut Coverage) -> Result<Vec<Run>, Vec<Problem>> {
    let problems: Vec<Problem> =
        file.cases.iter().flat_map(|case| strangers(inspector, &case.expected, &file.name)).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(file.cases.iter().map(|case| run_case(inspector, case, &file.name, coverage)).collect())
}

fn run_case(inspector: &Inspector, case: &Case, file: &Arc<str>, coverage: &mut Coverage) -> Run {
    let explanation = explain(inspector, &case.request, |scene| coverage.watch(scene));
    let failures = failures(&case.expected, &explanation);
    Run {
        file: Arc::clone(file),
        line: case.at.line,
        case: case.name.clone(),
        passed: failures.is_empty(),
        failures,
        explanation,
    }
}

fn failures(expected: &Expectation, came: &Explanation) -> Vec<String> {
    let mut failures = Vec::new();
    let verdict = if expected.allow { "allow" } else { "deny" };
    if verdict != came.verdict {
        failures.push(format!("expected {verdict}, but it is {} ({})", came.verdict, came.reason));
    } else if let Some(reason) = expected.reason.filter(|reason| reason.as_str() != came.reason) {
        failures.push(format!("expected reason {reason}, but it is {}", came.reason));
    }
    if let Some(policies) = &expected.policies {
        let mut wanted: Vec<&str> = policies.iter().map(|(name, _)| name.as_str()).collect();
        let mut found: Vec<&str> = came.policies.iter().map(|note| note.policy.as_str()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        found.sort_unstable();
        if wanted != found {
            failures.push(format!("expected {}, but it is {}", by(&wanted), by(&found)));
        }
    }
    failures
}

fn by(policies: &[&str]) -> String {
    match policies {
        [] => "no policy to determine it".to_owned(),
        [only] => format!("policy {only} to determine it"),
        several => format!("policies {} to determine it", several.join(", ")),
    }
}

fn strangers(inspector: &Inspector, expected: &Expectation, file: &Arc<str>) -> Vec<Problem> {
    let unknown = expected.policies.iter().flatten().filter(|(name, _)| inspector.dossier(name).is_none());
    let problem = |(name, at): &(String, _)| {
        let known = inspector.dossiers().iter().map(|dossier| &*dossier.name);
        let remedy = match meant(name, known) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "a policy is called by its @id, or else FILE:LINE".to_owned(),
        };
        Problem { file: Arc::clone(file), at: Some(*at), message: format!("there is no policy {name:?}; {remedy}") }
    };
    unknown.map(problem).collect()
}
