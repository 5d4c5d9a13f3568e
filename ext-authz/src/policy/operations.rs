//! The operation map: which requests are which action on which resource, as its file says. It reads no file and sees no schema.

use std::collections::BTreeMap;

use authz_core::operations::{self, Fault, Operation, Operations};

use cedar_policy::EntityTypeName;

use self::{
    reader::{Reader, Written},
    resource::ResourceTemplate,
};
use super::{
    problem::{Position, Problem},
    source::Source,
};
use crate::config::tree::{self, Node};

mod reader;
mod resource;

/// An operation map.
#[derive(Debug)]
pub(super) struct OperationMap {
    /// Which requests are which line.
    pub operations: Operations,
    /// The lines, by number.
    pub lines: Vec<Line>,
    /// Every action that a line names, and what the lines say of it.
    pub actions: BTreeMap<Box<str>, MappedAction>,
    /// The action of requests that no line matches.
    pub unmapped: Box<str>,
    /// Where that stands; the top of the file, if it is not said.
    pub unmapped_at: Position,
}

/// One line of a map.
#[derive(Debug)]
pub(super) struct Line {
    /// Where it stands.
    pub at: Position,
    /// Its requests, as in the file.
    pub operation: Operation,
    /// What they are asked as.
    pub action: Box<str>,
    /// What they are about; the service, if nothing is said.
    pub resource: Option<ResourceTemplate>,
    /// Groups of its action, if the line says which.
    pub groups: Option<Vec<Box<str>>>,
}

/// What lines say of an action.
#[derive(Debug)]
pub(super) struct MappedAction {
    /// Where it is named first.
    pub at: Position,
    /// The action groups it is in.
    pub groups: Vec<Box<str>>,
    /// The types of its resources and where each is named first; none is the service.
    pub resources: BTreeMap<Option<EntityTypeName>, Position>,
}

/// Longest map that is read, in bytes.
pub(super) const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Most lines of a map.
pub(super) const MAX_LINES: usize = 20_000;
/// The action of requests that no line matches, unless the map names another.
pub(super) const UNMAPPED: &str = "unmapped";

/// What a map is judged with.
#[derive(Copy, Clone)]
pub(super) struct Circumstances {
    /// Paths with parameters (`;`) are refused before anybody looks for their operation.
    pub refuse_path_parameters: bool,
}

impl OperationMap {
    /// Reads a map; what is wrong goes to `problems`, what is doubtful to `warnings`.
    pub fn parse(
        source: &Source,
        circumstances: Circumstances,
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<Problem>,
    ) -> Option<Self> {
        let before = problems.len();
        let root = root(source, problems)?;
        let reader = Reader::new(source, problems);
        let Written { unmapped, unmapped_at, lines } = reader.map(&root)?;
        let operations = check(source, &lines, circumstances, problems);
        let actions = actions(source, &lines, &unmapped, problems);
        warnings.extend(lines.iter().filter(|line| line.operation.is_everything()).map(|line| {
            let message = format!("takes every request with a path, so none is left for action {unmapped:?}");
            Problem::placed(source, line.at, message)
        }));
        let operations = operations.filter(|_| problems.len() == before)?;
        Some(Self { operations, lines, actions, unmapped, unmapped_at })
    }
}

fn root(source: &Source, problems: &mut Vec<Problem>) -> Option<Node> {
    if source.text.len() > MAX_BYTES {
        let message = format!("{} bytes are more than the {MAX_BYTES} of an operation map", source.text.len());
        problems.push(Problem::whole(source, message));
        return None;
    }
    let parsed = tree::parse(&source.text).map_err(|error| {
        let at = error.line.and_then(|line| Some(Position { line: usize::try_from(line).ok()?, column: 1 }));
        let message = format!("{}; text that begins with * or {{ needs quotes", error.what);
        problems.push(Problem { at, ..Problem::whole(source, message) });
    });
    parsed.ok()
}

/// The lines as operations, unless they contradict each other.
fn check(
    source: &Source,
    lines: &[Line],
    circumstances: Circumstances,
    problems: &mut Vec<Problem>,
) -> Option<Operations> {
    for line in lines.iter().filter(|line| circumstances.refuse_path_parameters && has_path_parameters(line)) {
        let message = format!(
            "{} is never found: policy.path_parameters refuses every path with a `;`; remove the line, or allow them",
            line.operation
        );
        problems.push(Problem::placed(source, line.at, message));
    }
    let core = |line: &Line| {
        let id = line.resource.as_ref().map(|resource| resource.id.clone());
        operations::Line::new(line.operation.clone(), id)
    };
    let list = lines.iter().map(core).collect();
    let faults = match Operations::new(list) {
        Ok(operations) => return Some(operations),
        Err(faults) => faults,
    };
    problems.extend(faults.into_iter().filter_map(|fault| {
        let (line, message) = match fault {
            Fault::Conflict { operation, other } => {
                let (line, other) = (lines.get(operation)?, lines.get(other)?);
                (line, conflict(line, other))
            }
            Fault::Dead { operation } => {
                let line = lines.get(operation)?;
                let operation = &line.operation;
                (line, format!("{operation} is never found: more specific lines take all its requests; remove it"))
            }
        };
        Some(Problem::placed(source, line.at, message))
    }));
    None
}

fn has_path_parameters(line: &Line) -> bool {
    matches!(&line.operation, Operation::Http { template, .. } if template.has_path_parameters())
}

fn conflict(line: &Line, other: &Line) -> String {
    let (operation, earlier, at) = (&line.operation, &other.operation, other.at.line);
    if operation == earlier {
        format!("{operation} stands already in line {at}; keep one of them")
    } else {
        format!("{operation} matches exactly the requests of {earlier} in line {at}; keep one of them")
    }
}

/// The actions of all lines, which must agree about each.
fn actions(
    source: &Source,
    lines: &[Line],
    unmapped: &str,
    problems: &mut Vec<Problem>,
) -> BTreeMap<Box<str>, MappedAction> {
    let mut actions: BTreeMap<Box<str>, MappedAction> = BTreeMap::new();
    let mut grouped: BTreeMap<&str, (&[Box<str>], Position)> = BTreeMap::new();
    for line in lines {
        if *line.action == *unmapped {
            let message = format!(
                "action {unmapped:?} is that of requests which no line matches; name this one otherwise, or that one by `unmapped:`"
            );
            problems.push(Problem::placed(source, line.at, message));
        }
        let new = || MappedAction { at: line.at, groups: Vec::new(), resources: BTreeMap::new() };
        let action = actions.entry(line.action.clone()).or_insert_with(new);
        let resource = line.resource.as_ref().map(|resource| resource.kind.clone());
        action.resources.entry(resource).or_insert(line.at);
        let Some(groups) = &line.groups else { continue };
        let (first, at) = *grouped.entry(&line.action).or_insert((groups, line.at));
        if first != groups.as_slice() {
            let message = format!(
                "action {:?} is in other groups in line {}; write the same, or write groups in one line only",
                line.action, at.line
            );
            problems.push(Problem::placed(source, line.at, message));
        }
        action.groups = first.to_vec();
    }
    actions
}

#[cfg(test)]
mod tests;
