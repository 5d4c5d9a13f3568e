//! What can go wrong with the log, and the way out of it.

use std::{io, path::Path, sync::Arc};

use authz_core::signal::Seq;

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
    #[error("signal log {} has format {found}, this version reads formats 1 and 2: run the version that wrote it", .path.display())]
    Format {
        /// The file.
        path: Arc<Path>,
        /// Its format.
        found: u64,
    },
    /// Entries that do not follow the end of the log.
    #[error("signal {found} does not follow the end of the log, which takes {expected}: start again from a snapshot")]
    Gap {
        /// The position that would be taken.
        expected: Seq,
        /// The position that came.
        found: Seq,
    },
    /// The operating system refused.
    #[error("{} can't be used: {source}; {}", .path.display(), remedy(.source))]
    Io {
        /// The file.
        path: Arc<Path>,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The file belongs to somebody else, who could change it.
    #[error("signal log {} belongs to uid {owner}, the sidecar runs as uid {own}: chown it, or run as its owner", .path.display())]
    Owner {
        /// The file.
        path: Arc<Path>,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        own: u32,
    },
    /// A snapshot can't be written, or what came is none, or none for this log.
    #[error("snapshot of the signal log: {0}")]
    Snapshot(String),
    /// The log lacks what was acknowledged: an old copy, another log, or none where there was one.
    #[error(
        "signal log {} is not the one that was here last: {why}; put that one back, or, to go on without what this one \
         lacks, remove {} and start again",
        .path.display(), .witness.display()
    )]
    Stale {
        /// The file.
        path: Arc<Path>,
        /// The file that knows better.
        witness: Arc<Path>,
        /// In what they differ.
        why: String,
    },
    /// The witness is unreadable.
    #[error(
        "{} is damaged: {why}; make sure that the signal log beside it is the one that was here last, then remove {} \
         and start again",
        .path.display(), .path.display()
    )]
    Witness {
        /// The witness.
        path: Arc<Path>,
        /// What was found.
        why: String,
    },
}

impl LogError {
    /// Damage that was found while reading.
    pub(super) fn damaged(why: impl Into<String>) -> Fault {
        Fault::Damaged(why.into())
    }

    /// The operating system's refusal to do something with `path`.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.into(), source: Arc::new(source) }
    }

    /// The refusal of a second signal by the name of `first`.
    pub(in crate::signals) fn conflict(first: &Appended) -> Self {
        let Appended { seq, signal, .. } = first;
        let what = format!("{seq}: {} {}", signal.action.as_str(), signal.scope);
        Self::Conflict { id: signal.id.clone(), what }
    }
}

/// What to do about it.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded | io::ErrorKind::StorageFull => {
            "make room for it, then signals are taken again without a restart"
        }
        io::ErrorKind::IsADirectory => "move away what is there, or name a file in signals.log",
        io::ErrorKind::NotFound => "create its directory, writable for the sidecar's user",
        io::ErrorKind::PermissionDenied => "the file and its directory must be writable for the sidecar's user",
        io::ErrorKind::ReadOnlyFilesystem => "mount its file system writable, or name a file elsewhere in signals.log",
        _ => "check its directory, its owner, the disk and the free space",
    }
}

/// An error that does not yet know its file.
#[derive(Debug)]
pub(super) enum Fault {
    Damaged(String),
    Format(u64),
    /// An error that needs no file, or has one.
    Known(LogError),
    Store(Box<redb::Error>),
}

impl Fault {
    pub(super) fn at(self, path: &Path) -> LogError {
        let path: Arc<Path> = path.into();
        match self {
            Self::Damaged(why) => LogError::Damaged { path, why },
            Self::Format(found) => LogError::Format { path, found },
            Self::Known(error) => error,
            Self::Store(error) => from_store(path, *error),
        }
    }
}

impl From<LogError> for Fault {
    fn from(error: LogError) -> Self {
        Self::Known(error)
    }
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        Self::Store(Box::new(error))
    }
}

macro_rules! store_faults {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for Fault {
            fn from(error: redb::$error) -> Self {
                redb::Error::from(error).into()
            }
        })*
    };
}

store_faults!(CommitError, DatabaseError, SetDurabilityError, StorageError, TableError, TransactionError);

fn from_store(path: Arc<Path>, error: redb::Error) -> LogError {
    match error {
        redb::Error::DatabaseAlreadyOpen => LogError::Busy { path },
        // How the store says that the file is not one of its own, or ends too early.
        redb::Error::Io(source)
            if matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            LogError::Damaged { path, why: source.to_string() }
        }
        redb::Error::Io(source) => LogError::Io { path, source: Arc::new(source) },
        redb::Error::PreviousIo => LogError::io(&path, closed()),
        other => LogError::Damaged { path, why: other.to_string() },
    }
}

/// What readers and writers hear between a failed write and the next opening.
pub(super) fn closed() -> io::Error {
    io::Error::other("an earlier write failed, and the log could not be opened again since")
}
