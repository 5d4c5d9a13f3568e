//! The ways in which editors, Kubernetes and operators change files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{fs, os::unix::fs::symlink, path::Path};

use tempfile::TempDir;
use tokio::runtime::Builder;

use super::*;

/// Longer than the poll, so that a machine without notifications passes too.
const LONG: Duration = Duration::from_secs(20);

/// Watches `name` in a directory made by `prepare` and asserts that `change` is noticed.
fn notices(name: &str, prepare: impl Fn(&Path), change: impl Fn(&Path)) {
    let directory = TempDir::new().unwrap();
    prepare(directory.path());
    runtime().block_on(async {
        let mut watch = watch(vec![directory.path().join(name)]).unwrap();
        change(directory.path());
        timeout(LONG, watch.changed()).await.expect("change not noticed");
    });
}

fn runtime() -> tokio::runtime::Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_file_rewritten_in_place_is_noticed() {
    notices("a", |dir| fs::write(dir.join("a"), "1").unwrap(), |dir| fs::write(dir.join("a"), "2").unwrap());
}

#[test]
fn a_file_replaced_by_rename_is_noticed() {
    let replace = |dir: &Path| {
        fs::write(dir.join(".a.swp"), "2").unwrap();
        fs::rename(dir.join(".a.swp"), dir.join("a")).unwrap();
    };
    notices("a", |dir| fs::write(dir.join("a"), "1").unwrap(), replace);
}

#[test]
fn a_file_that_appears_or_vanishes_is_noticed() {
    notices("a", |_| {}, |dir| fs::write(dir.join("a"), "1").unwrap());
    notices("a", |dir| fs::write(dir.join("a"), "1").unwrap(), |dir| fs::remove_file(dir.join("a")).unwrap());
}

#[test]
fn a_config_map_swapped_by_its_data_link_is_noticed() {
    let prepare = |dir: &Path| {
        for (version, text) in [("..1", "old"), ("..2", "new")] {
            fs::create_dir(dir.join(version)).unwrap();
            fs::write(dir.join(version).join("a"), text).unwrap();
        }
        symlink("..1", dir.join("..data")).unwrap();
        symlink("..data/a", dir.join("a")).unwrap();
    };
    let swap = |dir: &Path| {
        symlink("..2", dir.join("..data_tmp")).unwrap();
        fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    };
    notices("a", prepare, swap);
}

#[test]
fn a_file_written_through_a_link_into_another_directory_is_noticed() {
    let prepare = |dir: &Path| {
        fs::create_dir(dir.join("real")).unwrap();
        fs::write(dir.join("real/a"), "1").unwrap();
        fs::create_dir(dir.join("links")).unwrap();
        symlink("../real/a", dir.join("links/a")).unwrap();
    };
    notices("links/a", prepare, |dir| fs::write(dir.join("real/a"), "2").unwrap());
}

#[test]
fn a_new_entry_of_a_directory_is_noticed() {
    notices("d", |dir| fs::create_dir(dir.join("d")).unwrap(), |dir| fs::write(dir.join("d/new"), "1").unwrap());
}

#[test]
fn a_directory_that_was_replaced_is_noticed_again_and_again() {
    let directory = TempDir::new().unwrap();
    let home = directory.path().join("d");
    fs::create_dir(&home).unwrap();
    runtime().block_on(async {
        let mut watch = watch(vec![home.join("a")]).unwrap();
        for round in ["1", "2", "3"] {
            fs::remove_dir_all(&home).unwrap();
            fs::create_dir(&home).unwrap();
            fs::write(home.join("a"), round).unwrap();
            timeout(LONG, watch.changed()).await.expect("change not noticed");
        }
    });
}

#[test]
fn rewriting_the_same_bytes_is_no_change_and_a_change_is_told_once() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("a");
    fs::write(&file, "1").unwrap();
    runtime().block_on(async {
        let mut watch = watch(vec![file.clone()]).unwrap();
        fs::write(&file, "1").unwrap();
        assert!(timeout(QUIET * 5, watch.changed()).await.is_err(), "same bytes");
        fs::write(&file, "2").unwrap();
        timeout(LONG, watch.changed()).await.expect("change not noticed");
        assert!(timeout(QUIET * 5, watch.changed()).await.is_err(), "told twice");
    });
}

#[test]
fn a_change_is_not_lost_when_waiting_is_given_up_in_between() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("a");
    fs::write(&file, "1").unwrap();
    runtime().block_on(async {
        let mut watch = watch(vec![file.clone()]).unwrap();
        fs::write(&file, "2").unwrap();
        let impatient = async { while timeout(QUIET / 2, watch.changed()).await.is_err() {} };
        // Each attempt is shorter than the quiet time, but what was heard is kept.
        let gave_up = timeout(QUIET * 5, impatient).await.is_err();
        if gave_up {
            timeout(LONG, watch.changed()).await.expect("change lost");
        }
    });
}

#[test]
fn an_empty_path_is_refused() {
    assert!(watch(vec![PathBuf::new()]).is_err());
}
