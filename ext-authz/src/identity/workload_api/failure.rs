//! How a stream of the Workload API ends, told apart by what has to be done about it (SPIFFE Workload Endpoint §6). It decides no delay.

use spiffe::transport::TransportError;
use thiserror::Error;
use tonic::{Code, Status};

/// Why a stream ended or could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// We are entitled to nothing: what was given before is taken back.
    #[error("the agent says that this workload is entitled to none ({what}); see that a registration entry matches it")]
    Denied {
        /// What the agent said.
        what: String,
    },
    /// The agent is not there, or the stream was cut: what was given before still holds.
    #[error("the agent can't be heard ({what}); see that it runs and that we may open its socket")]
    Lost {
        /// What happened.
        what: String,
    },
    /// The agent does not take such calls, and will not take the next one.
    #[error("the agent refuses the call ({what}); see that the address is that of a Workload API that serves this")]
    Rejected {
        /// What the agent said.
        what: String,
    },
}

impl Failure {
    /// What a status says.
    pub(super) fn of(status: &Status) -> Self {
        let what = format!("{:?}: {}", status.code(), cut(status.message()));
        match status.code() {
            Code::PermissionDenied => Self::Denied { what },
            Code::InvalidArgument | Code::Unimplemented => Self::Rejected { what },
            _ => Self::Lost { what },
        }
    }

    /// There is no connection.
    pub(super) fn no_connection(error: &TransportError) -> Self {
        let mut what = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(deeper) = source {
            what = format!("{what}: {deeper}");
            source = deeper.source();
        }
        Self::Lost { what: cut(&what) }
    }

    /// The agent closed the stream without a word.
    pub(super) fn closed() -> Self {
        Self::Lost { what: "it closed the stream".to_owned() }
    }

    /// The agent took the call and gave nothing.
    pub(super) fn silent() -> Self {
        Self::Lost { what: "no first message came, which must be sent without delay".to_owned() }
    }

    /// Its name in metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "denied",
            Self::Lost { .. } => "lost",
            Self::Rejected { .. } => "rejected",
        }
    }
}

/// The agent's words go into our log: not as many as it likes.
fn cut(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(MAX_WORDS).collect()
}

const MAX_WORDS: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_apart_by_what_has_to_be_done() {
        let cases = [
            (Code::PermissionDenied, "denied"),
            (Code::InvalidArgument, "rejected"),
            (Code::Unimplemented, "rejected"),
            (Code::Unavailable, "lost"),
            (Code::Unknown, "lost"),
            (Code::Internal, "lost"),
            (Code::OutOfRange, "lost"),
            (Code::Unauthenticated, "lost"),
        ];
        for (code, expected) in cases {
            let failure = Failure::of(&Status::new(code, "some words"));
            assert_eq!(failure.as_str(), expected, "{code:?}");
            assert!(failure.to_string().contains("some words"), "{failure}");
        }
    }

    #[test]
    fn an_agent_does_not_fill_the_log() {
        let failure = Failure::of(&Status::unavailable("x\n".repeat(100_000)));
        assert!(failure.to_string().len() < 1000 && !failure.to_string().contains('\n'));
    }
}
