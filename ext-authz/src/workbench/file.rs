//! A file of cases: which policies they are about, and the cases. It is the only part of the workbench that reads files.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use authz_core::time::Timestamp;

use super::{
    case::{self, Case},
    draft::{Draft, MadeUp},
    form::{Form, Section, place, position_of},
};
use crate::{
    config::{
        scalar,
        tree::{self, Node, Value},
    },
    policy::{Position, Problem, TimeZone},
};

/// Cases and what they are about.
#[derive(Clone, Debug)]
pub struct CaseFile {
    /// As it was named.
    pub name: Arc<str>,
    /// The policies, if the file says which.
    pub policies: Option<PolicySource>,
    /// At least one.
    pub cases: Vec<Case>,
}

/// Where policies are, as a file of cases says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PolicySource {
    /// Where this configuration says.
    Config(PathBuf),
    /// Here.
    Files {
        /// Files, directories or patterns; at least one.
        policies: Vec<PathBuf>,
        /// A schema in place of the built-in one.
        schema: Option<PathBuf>,
        /// What extends it.
        schema_extensions: Vec<PathBuf>,
        /// Entities in Cedar's JSON form.
        entities: Option<PathBuf>,
        /// Which service they are for.
        service: Option<String>,
        /// Whether paths with parameters are refused.
        refuse_path_parameters: bool,
        /// Where `context.clock` hangs.
        time_zone: TimeZone,
    },
}

/// Why there are no cases.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It says something wrong.
    #[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Problem>),
    /// It can't be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
}

const OF_FILE: [&str; 10] = [
    "config",
    "policies",
    "schema",
    "schema_extensions",
    "entities",
    "service",
    "path_parameters",
    "time_zone",
    "defaults",
    "cases",
];

/// The time of a request that says none: a Monday at noon, so that a case says the same every day.
pub(super) const THEN: Timestamp = Timestamp::from_secs(1_767_614_400);

impl CaseFile {
    /// Reads a file.
    ///
    /// # Errors
    /// That it can't be read, or everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, Unusable> {
        Self::parse(&read(path)?, path).map_err(Unusable::Invalid)
    }

    /// Reads a text; relative paths in it are relative to the directory of `path`, which itself is not opened.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Vec<Problem>> {
        let name: Arc<str> = path.display().to_string().into();
        let root = tree(text, &name)?;
        let form = Form::new(Arc::clone(&name));
        let read = form.section(&root, "a file of cases", &OF_FILE).map(|section| {
            let policies = policies(&section, path.parent().unwrap_or(Path::new("")));
            let defaults = section.get("defaults").map(|node| case::defaults(node, &form)).unwrap_or_default();
            (policies, cases(&section, &defaults, place(&root)))
        });
        match (read, form.into_problems()) {
            (Some((policies, cases)), problems) if problems.is_empty() => Ok(Self { name, policies, cases }),
            (_, problems) => Err(problems),
        }
    }
}

/// Reads a file with one request, written like a case; what is expected of it may stand there and does not count.
///
/// # Errors
/// As [`CaseFile::load`].
pub fn load_request(path: &Path, now: Timestamp) -> Result<MadeUp, Unusable> {
    let name: Arc<str> = path.display().to_string().into();
    let root = tree(&read(path)?, &name).map_err(Unusable::Invalid)?;
    let form = Form::new(name);
    let request = case::request_alone(&root, now, &form);
    match (request, form.into_problems()) {
        (Some(request), problems) if problems.is_empty() => Ok(request),
        (_, problems) => Err(Unusable::Invalid(problems)),
    }
}

fn read(path: &Path) -> Result<String, Unusable> {
    fs::read_to_string(path).map_err(|error| Unusable::Unreadable { path: path.to_path_buf(), error })
}

fn tree(text: &str, name: &Arc<str>) -> Result<Node, Vec<Problem>> {
    tree::read(text).map_err(|error| {
        let at = error.at.map(|(line, column)| position_of(line, column));
        vec![Problem { file: Arc::clone(name), at, message: error.what }]
    })
}

fn policies(section: &Section<'_, '_>, base: &Path) -> Option<PolicySource> {
    let form = section.form();
    let path = |node: &Node| scalar::text(node).map(|path| base.join(path));
    let config = section.read("config", path);
    let policies = section.list("policies", |node| form.parsed(node, "policies", path));
    let (schema, entities) = (section.read("schema", path), section.read("entities", path));
    let extensions = section.list("schema_extensions", |node| form.parsed(node, "schema_extensions", path));
    let schema_extensions = extensions.unwrap_or_default();
    let service = section.read("service", scalar::text);
    let refuse_path_parameters = section.read("path_parameters", path_parameters).unwrap_or(false);
    let time_zone = section.read("time_zone", time_zone).unwrap_or_else(TimeZone::utc);
    let of_files = ["policies", "schema", "schema_extensions", "entities", "service", "path_parameters", "time_zone"];
    let said = of_files.iter().find_map(|key| section.get(key).map(|node| (*key, node)));
    match (section.get("config"), said) {
        (Some(_), Some((key, node))) => {
            form.complain(place(node), format!("{key} stands beside config, which says it too; keep one of them"));
            None
        }
        (Some(_), None) => config.map(PolicySource::Config),
        (None, Some((key, node))) if section.get("policies").is_none() => {
            form.complain(place(node), format!("{key} stands without policies; write policies: [FILE, …]"));
            None
        }
        (None, Some(_)) => Some(PolicySource::Files {
            policies: policies?,
            schema,
            schema_extensions,
            entities,
            service,
            refuse_path_parameters,
            time_zone,
        }),
        (None, None) => None,
    }
}

fn time_zone(node: &Node) -> Result<TimeZone, String> {
    TimeZone::parse(&scalar::text(node)?).map_err(|unknown| unknown.to_string())
}

fn path_parameters(node: &Node) -> Result<bool, String> {
    match scalar::text(node).as_deref() {
        Ok("allow") => Ok(false),
        Ok("refuse") => Ok(true),
        _ => Err(format!("is {}; write allow or refuse", node.describe())),
    }
}

fn cases(section: &Section<'_, '_>, defaults: &Draft, at: Position) -> Vec<Case> {
    let form = section.form();
    let items = match section.get("cases").map(|node| (node, &node.value)) {
        Some((_, Value::List(items))) if !items.is_empty() => items,
        Some((node, _)) => {
            form.complain(place(node), format!("cases is {}; write a list with at least one case", node.describe()));
            return Vec::new();
        }
        None => {
            form.complain(at, "there are no cases; write cases: and a list of them".to_owned());
            return Vec::new();
        }
    };
    let cases: Vec<Case> = items.iter().filter_map(|node| case::case(node, defaults, THEN, form)).collect();
    let mut taken: HashMap<&str, Position> = HashMap::new();
    for case in &cases {
        if let Some(first) = taken.insert(&case.name, case.at) {
            let message = format!("case {:?} stands already in line {}; give it another name", case.name, first.line);
            form.complain(case.at, message);
        }
    }
    cases
}
