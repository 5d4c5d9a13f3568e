//! The YAML of a map, with everything that is wrong in it and where; it knows the fields and compares no lines.

use authz_core::operations::Operation;

use super::{Line, MAX_LINES, UNMAPPED, resource::ResourceTemplate};
use crate::{
    config::tree::{Entry, Node, Value},
    policy::{
        problem::{Position, Problem},
        source::Source,
        vocabulary::CONNECTION,
    },
};

/// A map as it is written.
pub(super) struct Written {
    pub unmapped: Box<str>,
    pub unmapped_at: Position,
    pub lines: Vec<Line>,
}

/// Takes a map apart.
pub(super) struct Reader<'r> {
    source: &'r Source,
    problems: &'r mut Vec<Problem>,
}

const TOP: [&str; 2] = ["unmapped", "operations"];
const FIELDS: [&str; 5] = ["http", "grpc", "action", "resource", "groups"];

impl<'r> Reader<'r> {
    pub fn new(source: &'r Source, problems: &'r mut Vec<Problem>) -> Self {
        Self { source, problems }
    }

    /// All that is right in it; nothing, if it has not the form of a map.
    pub fn map(mut self, root: &Node) -> Option<Written> {
        self.check_fields(root, &TOP, "an operation map")?;
        let (unmapped, unmapped_at) = match given(root, "unmapped") {
            Some(node) => (self.action(node), place(node)),
            None => (Some(UNMAPPED.into()), Position { line: 1, column: 1 }),
        };
        let items = match given(root, "operations").map(|node| (&node.value, node)) {
            Some((Value::List(items), _)) if !items.is_empty() => items,
            Some((_, node)) => return self.nothing(node, "operations must be a list of one line at least"),
            None => return self.nothing(root, "operations is missing; write a list of lines with http and action"),
        };
        if items.len() > MAX_LINES {
            let message = format!("{} operations are more than the {MAX_LINES} of a map; use {{rest...}}", items.len());
            return self.nothing(root, &message);
        }
        let lines = items.iter().filter_map(|item| self.line(item)).collect();
        Some(Written { unmapped: unmapped?, unmapped_at, lines })
    }

    fn line(&mut self, item: &Node) -> Option<Line> {
        self.check_fields(item, &FIELDS, "a line")?;
        let operation = self.operation(item);
        let action = match given(item, "action") {
            Some(node) => self.action(node),
            None => self.nothing(item, "action is missing; write what these requests do, as action: viewOrder"),
        };
        let groups = given(item, "groups").map(|node| self.groups(node));
        let resource = given(item, "resource").map(|node| (node, self.text(node, "resource")));
        let operation = operation?;
        let resource = match resource {
            Some((node, text)) => Some(self.resource(node, &text?, &operation)?),
            None => None,
        };
        Some(Line { at: place(item), operation, action: action?, resource, groups: transposed(groups)? })
    }

    fn operation(&mut self, item: &Node) -> Option<Operation> {
        let (node, parsed) = match (given(item, "http"), given(item, "grpc")) {
            (Some(node), None) => (node, Operation::parse_http(&self.text(node, "http")?)),
            (None, Some(node)) => (node, Operation::parse_grpc(&self.text(node, "grpc")?)),
            (Some(_), Some(node)) => {
                return self.nothing(node, "http and grpc stand in one line; write two lines with one action");
            }
            (None, None) => {
                return self
                    .nothing(item, "http is missing (or grpc); write which requests, as http: GET /orders/{order}");
            }
        };
        parsed.map_err(|error| self.complain(node, error.to_string())).ok()
    }

    fn resource(&mut self, node: &Node, text: &str, operation: &Operation) -> Option<ResourceTemplate> {
        let parsed = ResourceTemplate::parse(text, operation);
        parsed.map_err(|what| self.complain(node, format!("resource {what}"))).ok()
    }

    fn groups(&mut self, node: &Node) -> Option<Vec<Box<str>>> {
        let Value::List(items) = &node.value else {
            return self.nothing(node, "groups must be a list, as [read]");
        };
        let groups: Vec<_> = items.iter().map(|item| self.text(item, "a group")).collect();
        let mut groups: Vec<Box<str>> = groups.into_iter().collect::<Option<_>>()?;
        groups.sort_unstable();
        groups.dedup();
        Some(groups)
    }

    fn action(&mut self, node: &Node) -> Option<Box<str>> {
        let action = self.text(node, "an action")?;
        if *action == *CONNECTION {
            return self.nothing(node, &format!("action {CONNECTION} is that of connections; name this one otherwise"));
        }
        Some(action)
    }

    fn text(&mut self, node: &Node, what: &str) -> Option<Box<str>> {
        match &node.value {
            Value::Text(text) if !text.is_empty() && !text.chars().any(char::is_control) => Some(text.as_str().into()),
            _ => self.nothing(node, &format!("{what} is {}; write text, in quotes if need be", node.describe())),
        }
    }

    /// Complains about fields that are unknown or repeated, which hides nothing else; or that there are none.
    fn check_fields(&mut self, node: &Node, known: &[&str], what: &str) -> Option<()> {
        let Value::Map(entries) = &node.value else {
            return self.nothing(node, &format!("{} stands for {what}; write {}", node.describe(), known.join(", ")));
        };
        for (position, Entry { line, column, key, .. }) in entries.iter().enumerate() {
            let message = if entries.iter().take(position).any(|earlier| earlier.key == *key) {
                format!("{key} is set twice; keep one of them")
            } else if known.contains(&key.as_str()) {
                continue;
            } else {
                format!("{key} is unknown; in {what} can be {}", known.join(", "))
            };
            self.problems.push(Problem::placed(self.source, position_of(*line, *column), message));
        }
        Some(())
    }

    fn nothing<T>(&mut self, node: &Node, message: &str) -> Option<T> {
        self.complain(node, message.to_owned());
        None
    }

    fn complain(&mut self, node: &Node, message: String) {
        self.problems.push(Problem::placed(self.source, place(node), message));
    }
}

/// What a field says, unless that is nothing.
fn given<'n>(node: &'n Node, field: &str) -> Option<&'n Node> {
    node.get(field).filter(|node| !node.is_null())
}

/// An absent field is right; one that could not be read is not.
#[expect(clippy::option_option, reason = "not there is not wrong")]
fn transposed<T>(field: Option<Option<T>>) -> Option<Option<T>> {
    field.map_or(Some(None), |value| value.map(Some))
}

fn place(node: &Node) -> Position {
    position_of(node.line, node.column)
}

fn position_of(line: u64, column: u64) -> Position {
    let number = |number| usize::try_from(number).unwrap_or(usize::MAX);
    Position { line: number(line), column: number(column) }
}
