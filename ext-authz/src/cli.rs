//! The command line: what may be asked, and the exit code of the answer. Work is done in the modules below or in the sidecar.

mod client;
mod dry_run;
mod envoy;
mod exit;
mod lines;
mod output;
mod policy;
mod remote;
mod revoke;
mod scope;
mod send;
mod serve;
mod signals;
mod standing;
mod status;
mod token;
mod wait;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

pub use exit::{CliError, Exit};
pub use output::{Format, Output};

use crate::moment;

/// Authorizes every hop of an Envoy mesh, and takes back what it allowed.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the sidecar
    Serve(serve::ServeArgs),
    /// Take back what was allowed to a workload, a certificate, a token, a device or a whole trust domain
    #[command(after_help = revoke::REVOKE_EXAMPLES)]
    Revoke(revoke::RevokeArgs),
    /// Lift every revocation of a scope
    #[command(after_help = revoke::RESTORE_EXAMPLES)]
    Restore(revoke::RestoreArgs),
    /// Say how risky something is
    #[command(after_help = standing::RISK_EXAMPLES)]
    Risk(standing::RiskArgs),
    /// Say what state a device or workload is in
    #[command(after_help = standing::POSTURE_EXAMPLES)]
    Posture(standing::PostureArgs),
    /// Read the log of signals
    #[command(subcommand)]
    Signals(signals::SignalsCommand),
    /// Say whether a sidecar is fine, and if not, why and what to do
    Status(status::StatusArgs),
    /// Check policies
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Check Envoy configurations
    #[command(subcommand)]
    Envoy(envoy::EnvoyCommand),
    /// Print the version
    Version,
}

/// How a sidecar is reached and how answers look.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    control: client::ControlArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct OutputArgs {
    /// How answers look; json is one object a line
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    output: Format,
}

/// Runs the command of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut stdout = io::stdout();
    let outcome = cli.run(&mut stdout).and_then(|exit| stdout.flush().map(|()| exit).map_err(CliError::from));
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            if let Some(text) = error.text() {
                // Standard error may be closed; then the exit code has to do.
                let _ = writeln!(io::stderr(), "countersign: {text}");
            }
            error.exit().into()
        }
    }
}

impl Cli {
    /// Runs the command, printing to `out`.
    ///
    /// # Errors
    /// What went wrong, with its exit code.
    pub fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        match self.command {
            Command::Serve(args) => args.run(),
            Command::Revoke(args) => wait_for(args.run(out)),
            Command::Restore(args) => wait_for(args.run(out)),
            Command::Risk(args) => wait_for(args.run(out)),
            Command::Posture(args) => wait_for(args.run(out)),
            Command::Signals(command) => wait_for(command.run(out)),
            Command::Status(args) => wait_for(args.run(out)),
            Command::Policy(command) => command.run(out),
            Command::Envoy(command) => command.run(out),
            Command::Version => {
                writeln!(out, "countersign {}", env!("CARGO_PKG_VERSION"))?;
                Ok(Exit::Done)
            }
        }
    }
}

/// Default of `--socket`: where a sidecar with default configuration listens.
fn default_socket() -> PathBuf {
    PathBuf::from("/run/countersign/control.sock")
}

fn wait_for(work: impl Future<Output = Result<Exit, CliError>>) -> Result<Exit, CliError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

const AFTER_HELP: &str = "\
Exit codes:
  0  done; with --wait: in force everywhere; status: fine
  1  refused, or the sidecar can't be reached: the message says what to do; status: not fine
  2  the command line, or a file it names, can't be used: nothing was sent
  3  accepted and durable, but not yet in force everywhere: the answer says where and until when";

#[cfg(test)]
mod tests;
