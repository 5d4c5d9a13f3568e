//! Reading policy files; it is the only part of `policy` that touches the file system.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    compile::compile,
    compiled::CompiledPolicies,
    lifetime::TimeZone,
    problem::InvalidPolicies,
    source::{Source, Sources},
};

/// Where a policy set is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyFiles {
    /// Files, directories (their `*.cedar`), or a directory with a pattern for file names (`policies/shop-*.cedar`).
    pub policies: Vec<PathBuf>,
    /// A Cedar schema in place of the built-in one.
    pub schema: Option<PathBuf>,
    /// Entities in Cedar's JSON form.
    pub entities: Option<PathBuf>,
    /// The operation map, YAML.
    pub operations: Option<PathBuf>,
    /// Which `Service` this is.
    pub service: String,
    /// Longest time, in milliseconds, for which an allowing decision holds.
    pub limit_millis: u64,
    /// Longest time, in milliseconds, for which a denial holds.
    pub deny_limit_millis: u64,
    /// Whether paths with parameters (`;`) are refused.
    pub refuse_path_parameters: bool,
    /// Where `context.clock` hangs.
    pub time_zone: TimeZone,
}

/// Why there is no policy set.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The files say something wrong.
    #[error(transparent)]
    Invalid(#[from] InvalidPolicies),
    /// Files can't be read.
    #[error("{}", .0.iter().map(Unreadable::to_string).collect::<Vec<_>>().join("\n"))]
    Unreadable(Vec<Unreadable>),
}

/// A file or directory that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct Unreadable {
    /// What was to be read.
    pub path: PathBuf,
    /// Why it can't be.
    #[source]
    pub error: io::Error,
}

/// Longest file that is read, in bytes; a hundred thousand policies are shorter.
const MAX_FILE: u64 = 32 * 1024 * 1024;

/// Reads and compiles a policy set. Blocks, so not for async threads.
///
/// # Errors
/// Every file that can't be read; or, if all can, everything that is wrong with what they say.
pub fn load(files: &PolicyFiles) -> Result<CompiledPolicies, PolicyError> {
    Ok(compile(&read(files)?)?)
}

impl PolicyFiles {
    /// What to watch: the files and, for patterns, their directories.
    pub fn watched(&self) -> Vec<PathBuf> {
        let policies = self.policies.iter().map(|path| watched(path));
        let others = [&self.schema, &self.entities, &self.operations].into_iter().flatten().map(PathBuf::as_path);
        policies.chain(others).map(Path::to_path_buf).collect()
    }
}

/// What to watch for `path`: itself, or the directory of a pattern.
pub(super) fn watched(path: &Path) -> &Path {
    pattern(path).map_or(path, |(directory, _)| directory)
}

/// Reads policies alone; or says which can't be.
pub(super) fn read_policies(paths: &[PathBuf]) -> Result<Vec<Source>, Vec<Unreadable>> {
    let mut unreadable = Vec::new();
    let sources = expand_all(paths, &mut unreadable).iter().filter_map(|path| source(path, &mut unreadable)).collect();
    if unreadable.is_empty() { Ok(sources) } else { Err(unreadable) }
}

fn read(files: &PolicyFiles) -> Result<Sources, PolicyError> {
    let mut unreadable = Vec::new();
    let paths = expand_all(&files.policies, &mut unreadable);
    let mut source = |path: &PathBuf| source(path, &mut unreadable);
    let sources = Sources {
        policies: paths.iter().filter_map(&mut source).collect(),
        schema: files.schema.as_ref().and_then(&mut source),
        entities: files.entities.as_ref().and_then(&mut source),
        operations: files.operations.as_ref().and_then(&mut source),
        service: files.service.clone(),
        limit_millis: files.limit_millis,
        deny_limit_millis: files.deny_limit_millis,
        refuse_path_parameters: files.refuse_path_parameters,
        time_zone: files.time_zone.clone(),
    };
    if unreadable.is_empty() { Ok(sources) } else { Err(PolicyError::Unreadable(unreadable)) }
}

fn expand_all(paths: &[PathBuf], unreadable: &mut Vec<Unreadable>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        match expand(path) {
            Ok(more) => files.extend(more),
            Err(error) => unreadable.push(Unreadable { path: path.clone(), error }),
        }
    }
    files
}

fn source(path: &Path, unreadable: &mut Vec<Unreadable>) -> Option<Source> {
    match read_text(path) {
        Ok(text) => Some(Source { name: path.display().to_string(), text }),
        Err(error) => {
            unreadable.push(Unreadable { path: path.to_path_buf(), error });
            None
        }
    }
}

/// The files a path stands for, sorted by name.
fn expand(path: &Path) -> io::Result<Vec<PathBuf>> {
    if let Some((directory, pattern)) = pattern(path) {
        return entries(directory, pattern);
    }
    if fs::metadata(path)?.is_dir() {
        return entries(path, "*.cedar");
    }
    Ok(vec![path.to_path_buf()])
}

/// Directory and pattern, if the last component has a `*`.
fn pattern(path: &Path) -> Option<(&Path, &str)> {
    let name = path.file_name()?.to_str().filter(|name| name.contains('*'))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some((directory, name))
}

fn entries(directory: &Path, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let matches = entry.file_name().to_str().is_some_and(|name| !name.starts_with('.') && matches(pattern, name));
        if matches && fs::metadata(entry.path())?.is_file() {
            found.push(entry.path());
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Whether `name` is `pattern` with each `*` replaced by some text.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    // The earliest place for each middle part leaves the most for the rest.
    for part in parts {
        let Some((_, after)) = name.split_once(part) else { return false };
        name = after;
    }
    name.ends_with(end)
}

fn read_text(path: &Path) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no regular file"));
    }
    if metadata.len() > MAX_FILE {
        let message = format!("{} bytes are more than the {MAX_FILE} that are read; split the file", metadata.len());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    fs::read_to_string(path)
}

#[cfg(test)]
mod tests;
