//! A finding: a rule that is broken, and the place where. It prints nothing.

use serde::Serialize;

use super::{
    rule::{Rule, Severity},
    spot::Hole,
};

/// A hole in a configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// The name of the rule.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The line, from 1; none in JSON.
    pub line: Option<u64>,
    /// The path into the document, such as `static_resources.listeners[0].filter_chains[0]`; empty for the document as a whole.
    pub place: String,
    /// The names on the way there, such as `listener mesh, filter envoy.filters.http.ext_authz`; may be empty.
    pub within: String,
    /// What is there.
    pub what: String,
    /// What that means.
    pub why: &'static str,
    /// What to write instead.
    pub remedy: &'static str,
}

impl Finding {
    pub(super) fn new(rule: &'static Rule, hole: Hole) -> Self {
        let Hole { line, place, within, what } = hole;
        let Rule { name, severity, why, remedy, .. } = rule;
        Self { rule: name, severity: *severity, line, place, within, what, why, remedy }
    }
}
