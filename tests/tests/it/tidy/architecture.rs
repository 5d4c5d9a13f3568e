//! ARCHITECTURE.md names files that exist, and every package.

use std::{collections::BTreeSet, fs};

use countersign_tests::root;

fn text() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is at the root")
}

/// What stands in backticks and can only be meant as a path: it has a slash inside or a known ending, or opens a row of a table.
fn paths(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let spans = line.split('`').skip(1).step_by(2);
        let opens_row = line.starts_with("| `");
        for (position, span) in spans.enumerate() {
            let written =
                span.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c)) && !span.starts_with('/');
            let ending = [".rs", ".md", ".toml", ".yaml", ".proto", ".sh"].iter().any(|ending| span.ends_with(ending));
            if written && (ending || span.contains('/') || (opens_row && position == 0)) {
                found.insert(span.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_path_it_names_exists() {
    let paths = paths(&text());
    assert!(paths.len() > 15, "only {paths:?} look like paths");
    let missing: Vec<_> = paths.into_iter().filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names {missing:?}; write paths from the root of the repository");
}

#[test]
fn every_member_of_the_workspace_is_on_its_map() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = workspace.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    let paths = paths(&text());
    for member in members.split('"').skip(1).step_by(2) {
        let named = paths.iter().any(|path| path.split('/').next() == Some(member));
        assert!(named, "{member} is missing");
    }
}

#[test]
fn what_is_no_path_is_not_taken_for_one() {
    let text = "| `tests` | `Check` |\n`a/b` and `c.rs`, `/metrics`, `wasm → core`, `Watch`, `spiffe://td/a`, `x.509`";
    assert_eq!(paths(text).into_iter().collect::<Vec<_>>(), ["a/b", "c.rs", "tests"]);
}
