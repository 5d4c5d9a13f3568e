//! A child process under test: its logs kept, its death certain; what it is and when it is ready is its owner's affair.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::eventually::eventually;

/// A running program; dropping it kills it, and shows its logs if the test is failing.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with stdout and stderr appended to `log`.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error} ({command:?})"));
        Self { name: name.to_owned(), child, log: log.to_path_buf() }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All it has written so far.
    pub fn logs(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Stops the test, with logs, if the process is gone.
    pub fn must_run(&mut self) {
        if let Some(status) = self.exited() {
            panic!("{} ended with {status}; its logs:\n{}", self.name, self.logs());
        }
    }

    /// Sends a signal by its name (`TERM`, `STOP`, `CONT`, `HUP`).
    pub fn signal(&self, name: &str) {
        // The shell's own `kill`: a small system has no program of that name.
        let kill = format!("kill -s {name} {}", self.id());
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success(), "kill -{name} {} ({}) failed", self.id(), self.name);
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for it to end by itself.
    pub async fn wait(&mut self) -> ExitStatus {
        let what = format!("end of {}", self.name);
        eventually(&what, async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("---- logs of {} ----\n{}---- end of {} ----", self.name, tail(&self.logs()), self.name);
        }
    }
}

/// The last lines: enough to see why, short enough to read.
fn tail(logs: &str) -> String {
    let lines: Vec<&str> = logs.lines().collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].iter().flat_map(|line| [line, "\n"]).collect()
}

const LINES_SHOWN: usize = 100;
