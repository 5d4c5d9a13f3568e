//! What can go wrong with the log, and the way out of it.

use std::{io, path::Path, sync::Arc};

use super::Appended;

/// Why the log can't be opened, read or written. Cheap to clone: one failed flush answers many senders.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// Another process has it open.
    #[error("signal log {} is open in another process, stop that one or name another file", .path.display())]
    Busy {
        /// The file.
        path: Arc<Path>,
    },
    /// The ID belongs to another signal.
    #[error("id {id:?} already names another signal ({what}), send it again unchanged or choose another id")]
    Conflict {
        /// The ID.
        id: Arc<str>,
        /// The signal that has it.
        what: String,
    },
    /// The file was altered, is not a log, or its disk lies.
    #[error(
        "signal log {} is damaged: {why}; put back a copy of it, or move it away, start with an empty log and revoke \
         again what must stay revoked",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: Arc<Path>,
        /// What was found.
        why: String,
    },
    /// The file is of another format.
    #[error("signal log {} has format {found}, this version reads format 1: run the version that wrote it", .path.display())]
    Format {
        /// The file.
        path: Arc<Path>,
        /// Its format.
        found: u64,
    },
    /// The operating system refused.
    #[error(
        "signal log {} can't be used: {source}; check its directory, its owner and the free space, then start again",
        .path.display()
    )]
    Io {
        /// The file.
        path: Arc<Path>,
        /// Why.
        source: Arc<io::Error>,
    },
}

impl LogError {
    /// Damage that was found while reading.
    pub(super) fn damaged(why: impl Into<String>) -> Fault {
        Fault::Damaged(why.into())
    }

    /// The refusal of a second signal by the name of `first`.
    pub(super) fn conflict(first: &Appended) -> Self {
        let Appended { seq, signal, .. } = first;
        let what = format!("{seq}: {} {}", signal.action.as_str(), signal.scope);
        Self::Conflict { id: signal.id.clone(), what }
    }
}

/// An error that does not yet know its file.
#[derive(Debug)]
pub(super) enum Fault {
    Damaged(String),
    Format(u64),
    Store(Box<redb::Error>),
}

impl Fault {
    pub(super) fn at(self, path: &Path) -> LogError {
        let path: Arc<Path> = path.into();
        match self {
            Self::Damaged(why) => LogError::Damaged { path, why },
            Self::Format(found) => LogError::Format { path, found },
            Self::Store(error) => from_store(path, *error),
        }
    }
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Store(Box::new(error.into()))
    }
}

fn from_store(path: Arc<Path>, error: redb::Error) -> LogError {
    match error {
        redb::Error::DatabaseAlreadyOpen => LogError::Busy { path },
        // How the store says that the file is not one of its own.
        redb::Error::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
            LogError::Damaged { path, why: source.to_string() }
        }
        redb::Error::Io(source) => LogError::Io { path, source: Arc::new(source) },
        redb::Error::PreviousIo => {
            let source = io::Error::other("an earlier write failed, so nothing more is accepted");
            LogError::Io { path, source: Arc::new(source) }
        }
        other => LogError::Damaged { path, why: other.to_string() },
    }
}
