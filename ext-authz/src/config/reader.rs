//! Takes values out of the tree by the path of their knob, falls back to the knob's default, and collects what is wrong. It knows no section.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use super::{
    environment::Environment,
    error::ConfigError,
    knob::{Knob, KnobDefault},
    knobs,
    tree::{self, Node, Value},
};

/// A configuration in the reading.
pub(super) struct Reader<'a> {
    root: &'a Node,
    base: PathBuf,
    environment: &'a Environment,
    errors: RefCell<Vec<ConfigError>>,
}

/// Makes a value of a node, or says what is wrong with it in words that follow its path.
pub(super) type Parse<T> = fn(&Node) -> Result<T, String>;

impl<'a> Reader<'a> {
    /// Reads `root`; relative paths in it are below `base`.
    pub(super) fn new(root: &'a Node, base: PathBuf, environment: &'a Environment) -> Self {
        Self { root, base, environment, errors: RefCell::default() }
    }

    /// What the file may leave to the environment.
    pub(super) fn environment(&self) -> &'a Environment {
        self.environment
    }

    /// What was wrong.
    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        self.errors.into_inner()
    }

    /// Notes that something is wrong.
    pub(super) fn complain(&self, line: Option<u64>, path: &str, what: String) {
        self.errors.borrow_mut().push(ConfigError { line, path: path.to_owned(), what });
    }

    /// The value of a knob that is required or has a default; `None` is an error that was noted.
    pub(super) fn value<T>(&self, knob: &str, parse: Parse<T>) -> Option<T> {
        match (self.set(knob), default_of(knob)) {
            (Some(node), _) => self.parsed(node, knob, parse),
            (None, KnobDefault::Value(text)) => tree::parse(text).ok().and_then(|node| self.parsed(&node, knob, parse)),
            (None, _) => {
                self.missing(knob);
                None
            }
        }
    }

    /// The value of a knob that need not be set; `Some(None)` if it is not, `None` for an error that was noted.
    #[expect(clippy::option_option, reason = "not set is not wrong")]
    pub(super) fn optional<T>(&self, knob: &str, parse: Parse<T>) -> Option<Option<T>> {
        match self.set(knob) {
            Some(node) => self.parsed(node, knob, parse).map(Some),
            None => Some(None),
        }
    }

    /// The items of a list of values that must not be empty.
    pub(super) fn values<T>(&self, list: &str, parse: Parse<T>) -> Option<Vec<T>> {
        let items = self.items(list)?;
        // All of them first, so that the errors of all are found.
        let values: Vec<Option<T>> = items.iter().map(|(path, node)| self.parsed(node, path, parse)).collect();
        values.into_iter().collect()
    }

    /// The items of a list that must not be empty, each with its path.
    pub(super) fn items(&self, list: &str) -> Option<Vec<(String, &'a Node)>> {
        match self.set(list).map(|node| (node, &node.value)) {
            Some((node, Value::List(items))) => {
                if items.is_empty() {
                    self.complain(Some(node.line), list, "is empty; it needs one item at least".to_owned());
                }
                Some(items.iter().enumerate().map(|(position, item)| (format!("{list}[{position}]"), item)).collect())
            }
            // Something else was noted as the wrong shape.
            Some(_) => None,
            None => {
                self.missing(list);
                None
            }
        }
    }

    /// A key of an item of a list, which must be there.
    pub(super) fn field<T>(&self, (path, item): &(String, &'a Node), key: &str, parse: Parse<T>) -> Option<T> {
        let path = format!("{path}.{key}");
        match (&item.value, item.get(key).filter(|node| !node.is_null())) {
            (_, Some(node)) => self.parsed(node, &path, parse),
            (Value::Map(_) | Value::Null, None) => {
                self.complain(Some(item.line), &path, "is missing".to_owned());
                None
            }
            _ => None,
        }
    }

    /// A key of an item of a list that need not be there; `Some(None)` if it is not, `None` for an error that was noted.
    #[expect(clippy::option_option, reason = "not set is not wrong")]
    pub(super) fn optional_field<T>(
        &self,
        (path, item): &(String, &'a Node),
        key: &str,
        parse: Parse<T>,
    ) -> Option<Option<T>> {
        match item.get(key).filter(|node| !node.is_null()) {
            Some(node) => self.parsed(node, &format!("{path}.{key}"), parse).map(Some),
            None => Some(None),
        }
    }

    /// The items of a list that may be absent, each with its path; none, if it is.
    pub(super) fn optional_items(&self, list: &str) -> Option<Vec<(String, &'a Node)>> {
        if self.set(list).is_some() { self.items(list) } else { Some(Vec::new()) }
    }

    /// `path` below the directory of the configuration, unless it is absolute.
    pub(super) fn located(&self, path: impl AsRef<Path>) -> PathBuf {
        self.base.join(path)
    }

    /// Whether the file itself says something about the knob, and what.
    pub(super) fn set(&self, knob: &str) -> Option<&'a Node> {
        let node = knob.split('.').try_fold(self.root, |node, key| node.get(key));
        node.filter(|node| !node.is_null())
    }

    fn parsed<T>(&self, node: &Node, path: &str, parse: Parse<T>) -> Option<T> {
        parse(node).map_err(|what| self.complain(Some(node.line), path, what)).ok()
    }

    fn missing(&self, knob: &str) {
        self.missing_because(knob, format!("is missing: {}", meaning_of(knob)));
    }

    /// Notes that something is not set that has to be, in words that follow its path.
    pub(super) fn missing_because(&self, knob: &str, what: String) {
        // A section that is none was noted as such; what is then missing in it would only distract.
        let section = knob.rsplit_once('.').and_then(|(section, _)| self.set(section));
        if matches!(section.unwrap_or(self.root).value, Value::Map(_) | Value::Null) {
            self.complain(section.map(|node| node.line), knob, what);
        }
    }
}

fn knob_at(path: &str) -> Option<&'static Knob> {
    // A list is known by what is in it.
    knobs().find(|knob| knob.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with("[]")))
}

fn default_of(path: &str) -> KnobDefault {
    knob_at(path).map_or(KnobDefault::Required, |knob| knob.default)
}

fn meaning_of(path: &str) -> &'static str {
    knob_at(path).map_or("it must be set", |knob| knob.meaning)
}
