//! Makes sure that nothing of the demo outlives it: runs the stage in a process group of its own and ends the whole
//! group with it, however it ends; it boots nothing else itself.

use std::env;
use std::path::Path;
use std::process::{ExitCode, ExitStatus, Stdio};

use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::logs;

/// The argument that makes a process the stage; the directory follows.
pub const STAGE: &str = "--stage";

/// Runs the stage to its end, on Ctrl-C or SIGTERM to an early one.
pub async fn keep() -> ExitCode {
    // Short, because the path of a Unix socket may have 107 bytes only.
    let dir = tempfile::Builder::new().prefix("cs-demo-").rand_bytes(4).tempdir().expect("a directory for the demo");
    let mut signals = Signals::listen();
    let mut stage = run_stage(dir.path());
    let group = stage.id().expect("the stage runs");
    // When we die, even by SIGKILL, the stage sees the end of this pipe and leaves too.
    let leash = stage.stdin.take();
    let status = tokio::select! {
        status = stage.wait() => status,
        () = signals.any() => {
            drop(leash);
            tokio::select! {
                status = stage.wait() => status,
                () = signals.any() => { kill(group).await; stage.wait().await }
            }
        }
    };
    kill(group).await;
    let status = status.expect("the stage can be waited for");
    if status.code().is_none() {
        // Aborted by a panic: nothing was unwound, nobody has shown the logs yet.
        eprintln!("the demo itself broke ({status})");
        logs::print_tails(dir.path());
    }
    exit_code(status)
}

fn run_stage(dir: &Path) -> Child {
    let program = env::current_exe().expect("a path to the demo's binary");
    let mut command = Command::new(program);
    // All temporary files of the stage land in the directory, and so under our broom.
    command.arg(STAGE).arg(dir).env("TMPDIR", dir).stdin(Stdio::piped()).process_group(0).kill_on_drop(true);
    command.spawn().expect("the demo runs itself")
}

/// Kills what is left of the group; none left is as good.
async fn kill(group: u32) {
    // The shell's own `kill`: a small system has no program of that name.
    let mut command = Command::new("sh");
    command.args(["-c", &format!("kill -s KILL -- -{group}")]).stdout(Stdio::null()).stderr(Stdio::null());
    let _ = command.status().await;
}

fn exit_code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> Self {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Self(kinds.map(|kind| signal(kind).expect("signals can be listened to")))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {}, _ = hangup.recv() => {} }
    }
}
