//! Any text as an Envoy configuration: it is refused, or linted to an end, and each finding is of a rule and has a place in the document.
#![no_main]

use countersign::envoy_lint::{Document, lint, rules};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(document) = Document::parse(text) else { return };
    // A carriage return alone ends a line, too (YAML 1.2 section 5.4), unlike in `str::lines`.
    let lines = text.split(['\n', '\r']).count() as u64;
    for finding in lint(&document) {
        assert!(rules().any(|rule| rule.name == finding.rule));
        assert!(finding.line.is_none_or(|line| line <= lines), "a line beyond the end");
        assert!(!finding.what.is_empty());
    }
});
