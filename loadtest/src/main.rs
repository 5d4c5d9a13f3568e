//! Measures what an authorization chain in a real Envoy costs. It must not load any other machine than its own.

mod cli;
mod endpoint;
mod generator;
mod machine;
mod noop;
mod report;
mod run;
mod statistics;
mod suite;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => match run::run(&args).await {
            Ok(finding) => {
                println!("{}", finding.text);
                if finding.clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            }
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
        Command::NoopExtAuthz(args) => {
            noop::serve(&args.socket).await.ok();
            ExitCode::SUCCESS
        }
        Command::Suite(_) => ExitCode::SUCCESS,
    }
}
