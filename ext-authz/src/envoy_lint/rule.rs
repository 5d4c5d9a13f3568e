//! A rule: a hole that can be recognised, why it is one and how to close it. What it looks for is in `rules`.

use std::fmt;

use serde::Serialize;

use super::{finding::Finding, model::Model, spot::Hole};

/// One thing that an Envoy in front of Countersign must not do.
#[derive(Debug, Serialize)]
pub struct Rule {
    /// Its name, which never changes.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it means, in one sentence.
    pub why: &'static str,
    /// What to write instead.
    pub remedy: &'static str,
    #[serde(skip)]
    pub(super) check: Check,
}

/// How bad a finding is.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody can get past Countersign, or it is blind.
    Error,
    /// Doubtful: it is right only if something holds that the configuration does not show.
    Warning,
}

/// Finds every hole of one kind.
pub(super) type Check = fn(&Model<'_>) -> Vec<Hole>;

impl Rule {
    pub(super) fn findings(&'static self, model: &Model<'_>) -> Vec<Finding> {
        (self.check)(model).into_iter().map(|hole| Finding::new(self, hole)).collect()
    }
}

impl Severity {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
