//! The last lines of the logs of sidecars and Envoys, for when something did not show what it should; it judges none.

use std::fs;
use std::path::{Path, PathBuf};

/// Prints the end of the log of each process that runs one level below `dir` to standard error.
pub fn print_tails(dir: &Path) {
    for log in logs_below(dir) {
        let text = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        eprintln!("---- the last lines of {} ----", log.display());
        for line in &lines[lines.len().saturating_sub(LINES)..] {
            eprintln!("{line}");
        }
    }
}

/// Symbolic links (the names for readers) are left out: each file once.
fn logs_below(dir: &Path) -> Vec<PathBuf> {
    let list = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
    let is_dir = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut logs: Vec<PathBuf> = list(dir)
        .filter(is_dir)
        .flat_map(|entry| list(&entry.path()))
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name == "countersign.log" || name == "envoy.log"))
        .collect();
    logs.sort();
    logs
}

const LINES: usize = 8;
