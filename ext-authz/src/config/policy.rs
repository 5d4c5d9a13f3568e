//! `policy`: what is allowed, and for how long an answer holds.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
    service::ServiceConfig,
    tree::Node,
};
use crate::policy::{PolicyFiles, TimeZone};

/// Policies and their answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyConfig {
    /// Cedar policies: files, directories, or a directory with a pattern; at least one.
    pub files: Vec<PathBuf>,
    /// A Cedar schema in place of the built-in one.
    pub schema: Option<PathBuf>,
    /// Entities, Cedar JSON.
    pub entities: Option<PathBuf>,
    /// The operation map, YAML.
    pub operations: Option<PathBuf>,
    /// Longest life of an allowing decision.
    pub decision_ttl: Duration,
    /// Longest life of a denial.
    pub deny_ttl: Duration,
    /// Whether paths with parameters are refused.
    pub refuse_path_parameters: bool,
    /// Where `context.clock` hangs.
    pub time_zone: TimeZone,
}

pub(super) const KNOBS: &[Knob] = &[
    Knob::new(
        "policy.files[]",
        KnobDefault::Required,
        "Cedar policies: a file, a directory, or a directory with a pattern such as policies/*.cedar; read again when they change.",
    ),
    Knob::new("policy.schema", KnobDefault::None, "A Cedar schema in place of the built-in one."),
    Knob::new("policy.entities", KnobDefault::None, "Entities that policies refer to, in Cedar's JSON form."),
    Knob::new(
        "policy.operations",
        KnobDefault::None,
        "The operation map: which requests are which action on which resource, in YAML; without one the action is the HTTP method.",
    ),
    Knob::new(
        "policy.decision_ttl",
        KnobDefault::Value("5m"),
        "Longest time for which an allowing decision is reused.",
    ),
    Knob::new("policy.deny_ttl", KnobDefault::Value("30s"), "Longest time for which a denial is reused; 0s for none."),
    Knob::new(
        "policy.path_parameters",
        KnobDefault::Value("allow"),
        "Paths with a `;`: allow, or refuse where the service cuts parameters off before it looks for the resource.",
    ),
    Knob::new(
        "policy.time_zone",
        KnobDefault::Value("UTC"),
        "The time zone of context.clock, by its IANA name, such as Europe/Berlin.",
    ),
];

impl PolicyConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        let files = reader.values("policy.files", scalar::path);
        let (schema, entities) =
            (reader.optional("policy.schema", scalar::path), reader.optional("policy.entities", scalar::path));
        let operations = reader.optional("policy.operations", scalar::path);
        let (decision_ttl, deny_ttl) =
            (reader.value("policy.decision_ttl", ttl), reader.value("policy.deny_ttl", deny_ttl));
        let path_parameters = reader.value("policy.path_parameters", path_parameters);
        let time_zone = reader.value("policy.time_zone", time_zone);
        Some(Self {
            files: files?.iter().map(|file| reader.located(file)).collect(),
            schema: schema?.map(|file| reader.located(file)),
            entities: entities?.map(|file| reader.located(file)),
            operations: operations?.map(|file| reader.located(file)),
            decision_ttl: decision_ttl?,
            deny_ttl: deny_ttl?,
            refuse_path_parameters: path_parameters?,
            time_zone: time_zone?,
        })
    }

    pub(super) fn files_for(&self, service: &ServiceConfig) -> PolicyFiles {
        PolicyFiles {
            policies: self.files.clone(),
            schema: self.schema.as_deref().map(Path::to_path_buf),
            entities: self.entities.as_deref().map(Path::to_path_buf),
            operations: self.operations.as_deref().map(Path::to_path_buf),
            service: service.name.clone(),
            limit_millis: millis(self.decision_ttl),
            deny_limit_millis: millis(self.deny_ttl),
            refuse_path_parameters: self.refuse_path_parameters,
            time_zone: self.time_zone.clone(),
        }
    }
}

fn path_parameters(node: &Node) -> Result<bool, String> {
    match scalar::text(node).as_deref() {
        Ok("allow") => Ok(false),
        Ok("refuse") => Ok(true),
        _ => Err(format!("is {}; write allow or refuse", node.describe())),
    }
}

fn time_zone(node: &Node) -> Result<TimeZone, String> {
    TimeZone::parse(&scalar::text(node)?).map_err(|unknown| unknown.to_string())
}

fn ttl(node: &Node) -> Result<Duration, String> {
    scalar::duration(node, Duration::from_millis(1), LONGEST)
}

fn deny_ttl(node: &Node) -> Result<Duration, String> {
    scalar::duration(node, Duration::ZERO, LONGEST)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A day: no credential we should rest on lives longer.
const LONGEST: Duration = Duration::from_hours(24);
