//! Finds the holes in an Envoy configuration through which a request gets past Countersign, or Countersign goes blind; a document in, findings out, no IO.

mod document;
mod finding;
mod model;
mod rule;
mod rules;
mod spot;

pub use document::{Document, NotEnvoy};
pub use finding::Finding;
pub use rule::{Rule, Severity};

use model::Model;

/// Every finding in `document`, from its first line to its last; where lines are not known, in the order of the rules.
pub fn lint(document: &Document) -> Vec<Finding> {
    let model = Model::of(document.root());
    let mut findings: Vec<Finding> = rules().flat_map(|rule| rule.findings(&model)).collect();
    findings.sort_by_key(|finding| finding.line);
    findings
}

/// Every rule there is, in the order of the table in `envoy/README.md`.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [
        rules::chain::RULES,
        rules::failure::RULES,
        rules::ext_authz::RULES,
        rules::wasm::RULES,
        rules::connections::RULES,
        rules::routes::RULES,
        rules::tls::RULES,
        rules::xfcc::RULES,
        rules::request::RULES,
        rules::proxy::RULES,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests;
