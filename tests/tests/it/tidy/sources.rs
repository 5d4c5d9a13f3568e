//! The sources as text, and the rules that hold for each of them alone.

use std::{fs, path::Path};

use countersign_tests::root;

/// One source file.
pub(super) struct Source {
    /// From the root of the repository, with `/`.
    pub(super) path: String,
    /// All of it.
    pub(super) text: String,
}

impl Source {
    /// What is compiled into the product: no tests and no comments.
    pub(super) fn product(&self) -> String {
        let is_test =
            self.path.split('/').any(|part| part == "tests" || part == "tests.rs" || part.starts_with("test_"));
        if is_test {
            return String::new();
        }
        let text = self.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        code.collect::<Vec<_>>().join("\n")
    }
}

/// Every Rust source of the repository, sorted.
pub(super) fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root(), &mut found);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(found.len() > 100, "only {} sources found below {}", found.len(), root().display());
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let relative = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            found.push(Source { path: relative, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

/// Longest file in lines: above it a file holds more than one thing.
const MAX_LINES: usize = 400;

#[track_caller]
fn none(what: &str, bad: &[String]) {
    assert!(bad.is_empty(), "{what}:\n{}", bad.join("\n"));
}

#[test]
fn every_source_opens_with_a_sentence_about_its_job() {
    let says = |text: &str| {
        text.strip_prefix("//! ").is_some_and(|rest| rest.lines().next().is_some_and(|line| line.len() > 20))
    };
    let bad = sources().into_iter().filter(|source| !says(&source.text)).map(|source| source.path);
    none("first line is no `//!` sentence", &bad.collect::<Vec<_>>());
}

#[test]
fn no_source_is_longer_than_the_limit() {
    let long = sources().into_iter().map(|source| (source.text.lines().count(), source.path));
    let bad = long.filter(|(lines, _)| *lines > MAX_LINES).map(|(lines, path)| format!("{path}: {lines} lines"));
    none("longer than 400 lines", &bad.collect::<Vec<_>>());
}

#[test]
fn modules_are_files_beside_their_folders() {
    let bad = sources().into_iter().map(|source| source.path).filter(|path| path.ends_with("/mod.rs"));
    none("foo.rs and foo/ instead of foo/mod.rs", &bad.filter(|path| !path.contains("/tests/")).collect::<Vec<_>>());
}
