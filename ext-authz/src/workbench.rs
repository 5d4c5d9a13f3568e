//! The workbench: policies asked about made-up requests, by the same gate and the same policies as in production, and the answers
//! put in words. It serves no request and keeps no decision.
//!
//! Direction inside: `form → draft → case → file`, `draft → explanation → run, coverage → report, junit`.

mod case;
mod coverage;
mod draft;
mod explanation;
mod file;
mod form;
mod junit;
mod nearest;
mod report;
mod run;
mod words;

pub use self::{
    case::{Case, Expectation},
    coverage::{Coverage, Gap},
    draft::{Draft, Issued, MadeUp, Source, Workload},
    explanation::{Explanation, explain},
    file::{CaseFile, PolicySource, Unusable, load_request},
    junit::junit,
    report::{Report, Summary, explanation as explanation_text, failure, gap, summary},
    run::{Run, run},
};

#[cfg(test)]
mod tests;
