//! Reads a YAML tree section by section and collects everything that is wrong, with line and column; it knows no section.

use std::{cell::RefCell, sync::Arc};

use crate::{
    config::{
        shape::distance,
        tree::{Entry, Node, Value},
    },
    policy::{Position, Problem},
};

/// A file in the reading.
pub(super) struct Form {
    file: Arc<str>,
    problems: RefCell<Vec<Problem>>,
}

/// A part of it that has keys.
pub(super) struct Section<'n, 'f> {
    form: &'f Form,
    entries: &'n [Entry],
}

impl Form {
    pub(super) fn new(file: Arc<str>) -> Self {
        Self { file, problems: RefCell::default() }
    }

    /// What was wrong, in the order of the file.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.at);
        problems
    }

    pub(super) fn complain(&self, at: Position, message: String) {
        self.problems.borrow_mut().push(Problem { file: Arc::clone(&self.file), at: Some(at), message });
    }

    /// `node` as a section in which only these keys may stand, each once; `what` names it.
    pub(super) fn section<'n>(&self, node: &'n Node, what: &str, keys: &[&str]) -> Option<Section<'n, '_>> {
        let Value::Map(entries) = &node.value else {
            self.complain(
                place(node),
                format!("{what} is {}; write a section with {}", node.describe(), keys.join(", ")),
            );
            return None;
        };
        for (position, Entry { line, column, key, .. }) in entries.iter().enumerate() {
            let at = position_of(*line, *column);
            if entries.iter().take(position).any(|earlier| earlier.key == *key) {
                self.complain(at, format!("{key} is set twice; keep one of them"));
            } else if !keys.contains(&key.as_str()) {
                self.complain(at, unknown(key, what, keys));
            }
        }
        Some(Section { form: self, entries })
    }

    /// The value that `parse` makes of `node`, or a complaint that begins with `what`.
    pub(super) fn parsed<T>(
        &self,
        node: &Node,
        what: &str,
        parse: impl FnOnce(&Node) -> Result<T, String>,
    ) -> Option<T> {
        parse(node).map_err(|wrong| self.complain(place(node), format!("{what} {wrong}"))).ok()
    }
}

impl<'n> Section<'n, '_> {
    pub(super) fn form(&self) -> &Form {
        self.form
    }

    /// What a key is set to, if it is.
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(&entry.node).filter(|node| !node.is_null())
    }

    /// What `parse` makes of a key, if it is set and good.
    pub(super) fn read<T>(&self, key: &str, parse: impl FnOnce(&Node) -> Result<T, String>) -> Option<T> {
        self.form.parsed(self.get(key)?, key, parse)
    }

    /// What `parse` makes of each item of a list, if that is set and good; one that stands alone needs no list.
    pub(super) fn list<T>(&self, key: &str, mut parse: impl FnMut(&'n Node) -> Option<T>) -> Option<Vec<T>> {
        let node = self.get(key)?;
        match &node.value {
            Value::List(items) => items.iter().map(&mut parse).collect::<Vec<_>>().into_iter().collect(),
            _ => parse(node).map(|item| vec![item]),
        }
    }
}

/// Where a value stands.
pub(super) fn place(node: &Node) -> Position {
    position_of(node.line, node.column)
}

/// A place of the YAML reader in our terms.
pub(super) fn position_of(line: u64, column: u64) -> Position {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Position { line: number(line), column: number(column) }
}

/// The one of `known` that `word` was meant to be, if it is near enough.
pub(super) fn meant<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let nearest = known.into_iter().map(|name| (distance(word, name), name)).min();
    nearest.filter(|(distance, _)| *distance <= word.len().div_ceil(3)).map(|(_, name)| name)
}

fn unknown(key: &str, what: &str, keys: &[&str]) -> String {
    match meant(key, keys.iter().copied()) {
        Some(name) => format!("{key} is unknown in {what}; did you mean {name}?"),
        None => format!("{key} is unknown in {what}; here can be {}", keys.join(", ")),
    }
}
