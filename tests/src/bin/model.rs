//! Searches the models of the protocols deeper than the tests do, and says how far it came; fails if anything is broken.

use std::{io::stdout, process::ExitCode, time::Duration};

use clap::Parser;
use countersign_tests::model::{self, link};

/// Searches the models of the protocols for a state that must not be.
#[derive(Parser)]
struct Arguments {
    /// Minutes for each model.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Steps from the beginning, at most.
    #[arg(long, default_value_t = 60)]
    depth: usize,
    /// Only models whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> std::io::Result<ExitCode> {
    let Arguments { minutes, depth, only } = Arguments::parse();
    let mut code = ExitCode::SUCCESS;
    for (name, model) in link::deep().into_iter().filter(|(name, _)| name.contains(&only)) {
        let mut told = Duration::ZERO;
        let found = model::search(model, depth, Duration::from_mins(minutes), |states, depth, took| {
            if took >= told {
                told = took + Duration::from_secs(10);
                println!("{name}: {states} states to depth {depth} after {:.0} s", took.as_secs_f64());
            }
        });
        found.write(name, &mut stdout())?;
        if !found.broken.is_empty() {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
