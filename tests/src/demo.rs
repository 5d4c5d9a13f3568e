//! `make demo`: boots two hops, plays a scenario in which each step is checked, and stays up for the reader's own
//! hands; it has no other way into the product than operators have.

mod caller;
mod chain;
mod closing;
mod command;
mod hop;
mod keeper;
mod logs;
mod patience;
mod policies;
mod scenario;
mod seen;
mod show;
mod visit;

use std::env;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use tokio::sync::oneshot;

use chain::Chain;
use show::Show;

/// Without arguments: the demo. It runs itself a second time as its own child (see [`keeper`]) to do the work.
pub fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match arguments.as_slice() {
        [] => runtime.block_on(keeper::keep()),
        [stage, dir] if stage == keeper::STAGE => {
            let code = runtime.block_on(perform(Path::new(dir)));
            // The keeper does it too, unless it was killed.
            let _ = fs::remove_dir_all(dir);
            code
        }
        _ => {
            eprintln!("demo: takes no arguments; DEMO_EXIT=1 makes it leave after its scenario");
            ExitCode::from(2)
        }
    }
}

async fn perform(dir: &Path) -> ExitCode {
    let mut leave = told_to_leave();
    let mut show = Show::new();
    tokio::select! {
        biased;
        // Whatever was booted is dropped, and so killed, with the play.
        _ = &mut leave => ExitCode::from(INTERRUPTED),
        chain = play(dir, &mut show) => {
            if env::var_os("DEMO_EXIT").is_none_or(|value| value != "1") {
                closing::lines_to_paste(&chain, &show);
                let _ = leave.await;
            }
            show.exit_code()
        }
    }
}

async fn play(dir: &Path, show: &mut Show) -> Chain {
    let mut chain = Chain::boot(dir, show).await;
    scenario::play(&mut chain, show).await;
    closing::excerpts(&chain, show).await;
    if show.failed() > 0 {
        logs::print_tails(dir);
    }
    chain
}

/// Resolves when the keeper closes our standard input, on purpose or by its death.
fn told_to_leave() -> oneshot::Receiver<()> {
    let (told, leave) = oneshot::channel();
    // A thread of its own, as a runtime would wait for the read at its end.
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = told.send(());
    });
    leave
}

/// As shells say it: 128 + SIGINT.
const INTERRUPTED: u8 = 130;
