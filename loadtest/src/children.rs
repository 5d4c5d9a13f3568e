//! Ends what the suite has started when it must stop at once. It must not touch any process but its own children.

use std::fs;
use std::panic;
use std::process;

use rustix::process::{Pid, Signal, kill_process};

/// Makes a panic, which is how the test harness refuses, end the children and exit with a message. Release builds abort
/// on panic, so that nothing is dropped then and Envoys would go on for ever.
pub fn end_on_panic() {
    panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("a bug: panic without a message");
        eprintln!("error: {message}");
        end_all();
        process::exit(1);
    }));
}

/// Kills every child of this process.
pub fn end_all() {
    for child in children() {
        // It fails only if the child has ended already, which is what we want.
        let _ = kill_process(child, Signal::KILL);
    }
}

/// The children of all threads of this process, as the kernel lists them.
fn children() -> Vec<Pid> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let ids: Vec<i32> =
        lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect();
    ids.into_iter().filter_map(Pid::from_raw).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn children_are_found_while_they_live() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = Pid::from_child(&child);
        assert!(children().contains(&id));
        kill_process(id, Signal::KILL).unwrap();
        child.wait().unwrap();
        assert!(!children().contains(&id));
    }
}
