//! `countersign policy`: what the policy part says about files; needs no running sidecar.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use super::{CliError, Exit, Output, OutputArgs};
use crate::{
    config::Config,
    policy::{
        self, BUILT_IN_SCHEMA, PolicyFiles, TimeZone,
        control::{CONTROL_DEFAULT, CONTROL_SCHEMA, ControlFiles},
    },
};

/// What can be done with policies.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Check policy files as `serve` would load them (exit code 1 if it would refuse them)
    Validate(ValidateArgs),
    /// Print the built-in Cedar schema, against which policies are checked
    Schema(SchemaArgs),
    /// Print the control policy that holds while control.policy names none: who may signal what
    Control,
}

/// Which schema.
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// That of control policies: who may signal what
    #[arg(long)]
    control: bool,
}

/// Which files.
#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// Policy files, or directories with *.cedar files
    #[arg(value_name = "FILE", required_unless_present = "config")]
    files: Vec<PathBuf>,
    /// Check the files that this configuration names
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "schema", "entities", "operations", "service"])]
    config: Option<PathBuf>,
    /// A Cedar schema in place of the built-in one
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Entities in Cedar's JSON form
    #[arg(long, value_name = "FILE")]
    entities: Option<PathBuf>,
    /// An operation map: which requests are which action on which resource
    #[arg(long, value_name = "FILE")]
    operations: Option<PathBuf>,
    /// They are control policies: who may signal what (with --config, those of control.policy)
    #[arg(long, conflicts_with_all = ["schema", "entities", "operations"])]
    control: bool,
    /// The service that the policies are for
    #[arg(long, value_name = "NAME", default_value = "service")]
    service: String,
    #[command(flatten)]
    output: OutputArgs,
}

impl PolicyCommand {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        match self {
            Self::Validate(args) => args.run(out),
            Self::Schema(args) => print(if args.control { CONTROL_SCHEMA } else { BUILT_IN_SCHEMA }, out),
            Self::Control => print(CONTROL_DEFAULT, out),
        }
    }
}

impl ValidateArgs {
    fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let format = self.output.output;
        let report = if self.control {
            policy::report_control(&self.into_control_files()?)
        } else {
            policy::report(&self.into_files()?)
        };
        Output::new(out, format).say(&report, |_| report.to_string())?;
        Ok(if report.valid { Exit::Done } else { Exit::Refused })
    }

    fn into_control_files(self) -> Result<ControlFiles, CliError> {
        match self.config {
            Some(config) => Ok(load(&config)?.control_files()),
            None => Ok(ControlFiles { policies: self.files, service: self.service }),
        }
    }

    fn into_files(self) -> Result<PolicyFiles, CliError> {
        let Self { files, config, schema, entities, operations, service, .. } = self;
        if let Some(config) = config {
            return Ok(load(&config)?.policy_files());
        }
        // Limits change how long a decision holds, not whether a policy is valid.
        let (limit_millis, deny_limit_millis, refuse_path_parameters) = (1, 1, false);
        let (policies, time_zone) = (files, TimeZone::utc());
        Ok(PolicyFiles {
            policies,
            schema,
            entities,
            operations,
            service,
            limit_millis,
            deny_limit_millis,
            refuse_path_parameters,
            time_zone,
        })
    }
}

fn load(config: &Path) -> Result<Config, CliError> {
    Config::load(config).map_err(|errors| CliError::Usage(errors.to_string()))
}

fn print(text: &str, out: &mut dyn Write) -> Result<Exit, CliError> {
    write!(out, "{text}")?;
    Ok(Exit::Done)
}
