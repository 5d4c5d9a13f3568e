//! Measures what an authorization chain in a real Envoy costs. It must not load any other machine than its own.

mod children;
mod cli;
mod crowd;
mod endpoint;
mod generator;
mod machine;
mod noop;
mod process;
mod report;
mod revocation;
mod run;
mod statistics;
mod suite;

use std::error::Error;
use std::io::{IsTerminal, Write, stderr};
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Cli, Command, NoopArgs, Output, RevocationArgs, RunArgs, SuiteArgs};
use crate::report::table;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::NoopExtAuthz(args) => noop(&args),
        Command::Revocations(args) => one_thread(revocations(&args)),
        Command::Run(args) => one_thread(run(&args)),
        Command::Suite(args) => one_thread(suite(&args)),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// The generator runs on one thread: with two cores, every further one would be taken from Envoy.
fn one_thread(work: impl Future<Output = Result<ExitCode, Box<dyn Error>>>) -> Result<ExitCode, Box<dyn Error>> {
    Builder::new_current_thread().enable_all().build()?.block_on(work)
}

async fn run(args: &RunArgs) -> Result<ExitCode, Box<dyn Error>> {
    let finding = run::run(args).await?;
    println!("{}", finding.text);
    Ok(if finding.clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn revocations(args: &RevocationArgs) -> Result<ExitCode, Box<dyn Error>> {
    children::end_on_panic();
    let plan = args.plan();
    let found = tokio::select! {
        found = revocation::run(&plan, show_progress) => found?,
        () = asked_to_stop() => return Err("stopped by a signal".into()),
    };
    clear_progress();
    match args.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&found)?),
        Output::Table => {
            let mut text = String::new();
            table::revocations(&mut text, &found)?;
            print!("{text}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn suite(args: &SuiteArgs) -> Result<ExitCode, Box<dyn Error>> {
    children::end_on_panic();
    let plan = args.plan();
    let report = tokio::select! {
        report = suite::run(&plan, cli::modules_from_env(), show_progress) => report?,
        () = asked_to_stop() => return Err("stopped by a signal; nothing was written".into()),
    };
    clear_progress();
    report.write(&args.report)?;
    match args.output {
        Output::Json => println!("{}", report.to_json()?),
        Output::Table => print!("{}\nreport: {}\n", table::render(&report)?, args.report.display()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Threads as in any tonic server, our sidecar's included.
fn noop(args: &NoopArgs) -> Result<ExitCode, Box<dyn Error>> {
    Builder::new_multi_thread().enable_all().build()?.block_on(noop::serve(&args.socket))?;
    Ok(ExitCode::SUCCESS)
}

/// SIGINT or SIGTERM.
async fn asked_to_stop() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// On a terminal one line that is written over and over, elsewhere a line each.
fn show_progress(text: &str) {
    if stderr().is_terminal() {
        eprint!("{ERASE_LINE}{text}");
        let _ = stderr().flush();
    } else {
        eprintln!("{text}");
    }
}

fn clear_progress() {
    if stderr().is_terminal() {
        eprint!("{ERASE_LINE}");
    }
}

const ERASE_LINE: &str = "\r\x1b[2K";
