//! How a command ends, as the caller's script sees it.

use std::{io, process::ExitCode};

/// The documented exit codes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done.
    Done,
    /// Refused, or nobody there.
    Refused,
    /// The command line, or a file it names, can't be used.
    Usage,
    /// Accepted, not yet in force everywhere.
    NotYet,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::NotYet => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not get to an answer.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Refused, or nobody there.
    #[error("{0}")]
    Refused(String),
    /// The command line, or a file it names, can't be used.
    #[error("{0}")]
    Usage(String),
    /// The answer can't be printed, or the system does not let us work.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl CliError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Io(_) | Self::Refused(_) => Exit::Refused,
            Self::Usage(_) => Exit::Usage,
        }
    }

    /// What to tell, if anything: a reader that has seen enough is no error.
    pub fn text(&self) -> Option<String> {
        (self.exit() != Exit::Done).then(|| self.to_string())
    }
}
