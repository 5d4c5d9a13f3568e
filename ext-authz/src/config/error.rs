//! What is wrong with a configuration, all of it, with the line where it is and the way to mend it. It finds nothing itself.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The line it is in, from 1, if it is anywhere.
    pub line: Option<u64>,
    /// The knob, such as `policy.files[0]`; empty for the file as a whole.
    pub path: String,
    /// What is wrong and what to write instead.
    pub what: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if self.path.is_empty() { f.write_str(&self.what) } else { write!(f, "{} {}", self.path, self.what) }
    }
}

/// Everything that is wrong with a configuration file; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    file: PathBuf,
    errors: Vec<ConfigError>,
}

impl ConfigErrors {
    pub(super) fn new(file: &Path, mut errors: Vec<ConfigError>) -> Self {
        // What is missing has no line and comes last.
        errors.sort_by_key(|error| error.line.unwrap_or(u64::MAX));
        Self { file: file.to_owned(), errors }
    }

    pub(super) fn unreadable(file: &Path, error: &io::Error) -> Self {
        Self::new(file, vec![ConfigError { line: None, path: String::new(), what: format!("can't be read: {error}") }])
    }

    /// Each of them, by line.
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match self.errors.as_slice() {
            [only] => write!(f, "configuration {file}: {only}"),
            errors => {
                write!(f, "configuration {file} has {} errors", errors.len())?;
                errors.iter().try_for_each(|error| write!(f, "\n  {error}"))
            }
        }
    }
}

impl std::error::Error for ConfigErrors {}
