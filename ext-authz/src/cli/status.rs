//! `countersign status`: whether a sidecar is fine, and if not, why and what to do. It asks once and changes nothing.

use std::io::Write;

use clap::Args;

use super::{CliError, Common, Exit, Output, client::refusal};
use crate::wire::control::StatusRequest;

mod json;
mod screen;

/// How to ask.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    common: Common,
}

impl StatusArgs {
    pub(super) async fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let mut out = Output::new(out, self.common.output.output);
        let mut client = self.common.control.connect().await?;
        let status = client.status(StatusRequest {}).await.map_err(|status| refusal(&status))?.into_inner();
        out.say(&json::view(&status), |out| screen::show(&status, out))?;
        Ok(if status.problems.is_empty() { Exit::Done } else { Exit::Refused })
    }
}
