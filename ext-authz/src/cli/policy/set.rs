//! Which policies a command on the bench is about: those of a configuration, or files. It opens nothing but the configuration.

use std::path::PathBuf;

use clap::Args;

use crate::{
    cli::CliError,
    config::Config,
    policy::{PolicyFiles, TimeZone, inspect::Inspector},
    workbench::PolicySource,
};

/// A policy set.
#[derive(Clone, Debug, Default, Args)]
pub(in crate::cli) struct SetArgs {
    /// The policies that this configuration names
    #[arg(long, value_name = "FILE", conflicts_with_all = ["policies", "schema", "entities", "service", "time_zone"])]
    config: Option<PathBuf>,
    /// Policy files, or directories with *.cedar files
    #[arg(long, value_name = "FILE")]
    policies: Vec<PathBuf>,
    /// A Cedar schema in place of the built-in one
    #[arg(long, value_name = "FILE", requires = "policies")]
    schema: Option<PathBuf>,
    /// Cedar files that extend the schema
    #[arg(long = "schema-extension", value_name = "FILE", requires = "policies")]
    schema_extensions: Vec<PathBuf>,
    /// Entities in Cedar's JSON form
    #[arg(long, value_name = "FILE", requires = "policies")]
    entities: Option<PathBuf>,
    /// The service that the policies are for
    #[arg(long, value_name = "NAME", requires = "policies")]
    service: Option<String>,
    /// Where context.clock hangs, as in Europe/Berlin; else UTC
    #[arg(long, value_name = "ZONE", requires = "policies", value_parser = TimeZone::parse)]
    time_zone: Option<TimeZone>,
}

impl SetArgs {
    /// The set these name, if they name one.
    pub(in crate::cli) fn files(&self) -> Result<Option<PolicyFiles>, CliError> {
        let Self { config, policies, schema, schema_extensions, entities, service, time_zone } = self.clone();
        let source = match config {
            Some(config) => PolicySource::Config(config),
            None if policies.is_empty() => return Ok(None),
            None => PolicySource::Files {
                policies,
                schema,
                schema_extensions,
                entities,
                service,
                refuse_path_parameters: false,
                time_zone: time_zone.unwrap_or_else(TimeZone::utc),
            },
        };
        files_of(&source).map(Some)
    }
}

/// The set that a file of cases or the command line means.
pub(super) fn files_of(source: &PolicySource) -> Result<PolicyFiles, CliError> {
    match source {
        PolicySource::Config(config) => {
            let config = Config::load(config).map_err(|errors| CliError::Usage(errors.to_string()))?;
            Ok(config.policy_files())
        }
        PolicySource::Files {
            policies,
            schema,
            schema_extensions,
            entities,
            service,
            refuse_path_parameters,
            time_zone,
        } => {
            Ok(PolicyFiles {
                policies: policies.clone(),
                schema: schema.clone(),
                schema_extensions: schema_extensions.clone(),
                entities: entities.clone(),
                service: service.clone().unwrap_or_else(|| "service".to_owned()),
                // The defaults of policy.decision_ttl and policy.deny_ttl.
                limit_millis: 300_000,
                deny_limit_millis: 30_000,
                refuse_path_parameters: *refuse_path_parameters,
                time_zone: time_zone.clone(),
            })
        }
    }
}

/// Opens a set, or says everything that is wrong with it.
pub(in crate::cli) fn open(files: &PolicyFiles) -> Result<Inspector, CliError> {
    Inspector::load(files).map_err(|error| {
        CliError::Usage(format!("the policies can't be used, see also `countersign policy validate`:\n{error}"))
    })
}
