//! Searches the models of the protocols deeper than the tests do, and says how far it came; fails if anything is broken.

use std::{fmt::Debug, hash::Hash, io::stdout, process::ExitCode, time::Duration};

use clap::Parser;
use countersign_tests::model::{self, Limited, link, replicas};

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
    /// Instead, make the mistakes that the tests make on purpose, and show how each is found.
    #[arg(long)]
    seeded: bool,
}

fn main() -> std::io::Result<ExitCode> {
    let Arguments { minutes, depth, only, seeded } = Arguments::parse();
    if seeded {
        return seeds();
    }
    let mut code = ExitCode::SUCCESS;
    for (name, model, _) in replicas::models().into_iter().filter(|(name, ..)| name.contains(&only)) {
        code = deeper(name, model, depth, minutes, code)?;
    }
    for (name, model, _) in link::models().into_iter().filter(|(name, ..)| name.contains(&only)) {
        code = deeper(name, model, depth, minutes, code)?;
    }
    Ok(code)
}

/// Searches one model; returns `code`, or failure.
fn deeper<M>(name: &str, model: M, depth: usize, minutes: u64, code: ExitCode) -> std::io::Result<ExitCode>
where
    M: Limited + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let mut told = Duration::ZERO;
    let found = model::search(model, depth, Duration::from_mins(minutes), |states, depth, took| {
        if took >= told {
            told = took + Duration::from_secs(10);
            println!("{name}: {states} states to depth {depth} after {:.0} s", took.as_secs_f64());
        }
    });
    found.write(name, &mut stdout())?;
    Ok(if found.broken.is_empty() { code } else { ExitCode::FAILURE })
}

fn seeds() -> std::io::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for (model, depth) in link::seeded() {
        let seed = format!("{:?}", model.seed);
        let found = model::search(model, depth, Duration::from_hours(1), |_, _, _| ());
        found.write(&seed, &mut stdout())?;
        if found.broken.is_empty() {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
