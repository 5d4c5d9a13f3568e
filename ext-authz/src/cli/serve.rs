//! `countersign serve`: configuration in, sidecar out; the sidecar itself is in `sidecar`.

use std::{io, path::PathBuf};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{CliError, Exit};
use crate::{config::Config, logging, sidecar};

/// What `serve` takes.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The configuration, YAML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl ServeArgs {
    /// Runs a sidecar until SIGTERM or SIGINT, then drains it.
    pub(super) fn run(&self) -> Result<Exit, CliError> {
        let config = Config::load(&self.config).map_err(|errors| CliError::Usage(errors.to_string()))?;
        logging::start(&config.log).map_err(|error| CliError::Usage(format!("log.level: {error}")))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let stop = asked_to_stop()?;
            sidecar::run(config, stop).await.map_err(|error| CliError::Refused(error.to_string()))
        })?;
        Ok(Exit::Done)
    }
}

/// Ends at the first SIGTERM or SIGINT; both are caught from now on.
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
