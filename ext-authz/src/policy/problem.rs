//! What is wrong with policies, and where: file, line and column. It finds nothing itself.

use std::{error::Error, fmt, sync::Arc};

use miette::Diagnostic;

use super::source::Source;

/// Everything that is wrong with a policy set.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", lines(.problems))]
pub struct InvalidPolicies {
    /// At least one problem, by file and position.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong, or doubtful.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Problem {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// Where in the file, if it can be told.
    pub at: Option<Position>,
    /// What is wrong and what to do.
    pub message: String,
}

/// A place in a text.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl Problem {
    /// A problem at a byte offset of a source.
    pub(super) fn at(source: &Source, offset: usize, message: impl Into<String>) -> Self {
        let at = Some(Position::of(&source.text, offset));
        Self { file: source.name.as_str().into(), at, message: message.into() }
    }

    /// A problem at a place of a source.
    pub(super) fn placed(source: &Source, at: Position, message: impl Into<String>) -> Self {
        Self { file: source.name.as_str().into(), at: Some(at), message: message.into() }
    }

    /// A problem of a source as a whole.
    pub(super) fn whole(source: &Source, message: impl Into<String>) -> Self {
        Self { file: source.name.as_str().into(), at: None, message: message.into() }
    }

    /// A problem at the first mention of `word`, or of the source as a whole.
    pub(super) fn mention(source: &Source, word: &str, message: impl Into<String>) -> Self {
        match source.text.find(word) {
            Some(offset) => Self::at(source, offset, message),
            None => Self::whole(source, message),
        }
    }

    /// What Cedar says about a part of `source` that begins at `base`.
    pub(super) fn diagnosed(source: &Source, base: usize, diagnostic: &dyn Diagnostic) -> Self {
        let label = diagnostic.labels().and_then(|mut labels| labels.next());
        let mut message = diagnostic.to_string();
        if let Some(text) = label.as_ref().and_then(|label| label.label()).filter(|text| !message.contains(*text)) {
            message = format!("{message}: {text}");
        }
        if let Some(help) = diagnostic.help() {
            message = format!("{message}; {help}");
        }
        Self::at(source, base + label.map_or(0, |label| label.offset()), message)
    }
}

impl Position {
    /// The position of a byte offset; an offset past the end is the end.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(Position { line, column }) => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// What Cedar refuses although all of it was checked before: a fault of ours.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unexpected(String);

impl Unexpected {
    /// In words of our own.
    pub fn new(what: &str) -> Self {
        Self(what.to_owned())
    }

    /// From what Cedar says.
    pub fn of(error: impl Error) -> Self {
        Self(with_causes(&error))
    }
}

/// An error with everything beneath it, each said once.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let cases = [("", 0, (1, 1)), ("ab", 1, (1, 2)), ("é b", 3, (1, 3)), ("a\nbc", 3, (2, 2)), ("a\n", 9, (2, 1))];
        for (text, offset, (line, column)) in cases {
            assert_eq!(Position::of(text, offset), Position { line, column }, "{text:?} at {offset}");
        }
    }
}
