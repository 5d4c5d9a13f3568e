//! Runs the real `countersign` command as an operator would, and keeps what it said; it never parses that.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::sidecar::binary;

/// What the command did.
pub struct Ran {
    /// Whether its exit code was 0: with `--wait`, in force everywhere.
    pub succeeded: bool,
    /// From its start to its end.
    pub took: Duration,
    /// Its standard output, then its standard error.
    pub said: String,
}

/// Runs `countersign` with `arguments` against the control socket in `dir`.
pub async fn countersign<A: AsRef<OsStr>>(dir: &Path, arguments: &[A]) -> Ran {
    let mut command = Command::new(binary());
    command.args(arguments).arg("--socket").arg(dir.join("control.sock")).stdin(Stdio::null()).kill_on_drop(true);
    let start = Instant::now();
    match command.output().await {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).trim_end().to_owned();
            Ran { succeeded: output.status.success(), took: start.elapsed(), said }
        }
        Err(error) => Ran { succeeded: false, took: start.elapsed(), said: format!("countersign: {error}") },
    }
}
