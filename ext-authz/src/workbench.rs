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
    case::{
        Case, Expectation, is_header_name, issued as parse_issued, length as parse_length, point as parse_point,
        source as parse_source, unverified as parse_cause,
    },
    coverage::{Coverage, Gap},
    draft::{Draft, Issued, MadeUp, Source, Workload},
    explanation::{Explanation, explain},
    file::{CaseFile, PolicySource, Unusable, load_request},
    junit::junit,
    report::{Report, Summary, explanation as explanation_text, failure, gap, summary},
    run::{Run, run},
    words::meaning,
};

#[cfg(test)]
mod tests;
