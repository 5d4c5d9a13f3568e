//! What the filter answers to one request and what is noted of it; it sends nothing.

use std::{fmt, sync::Arc};

use authz_core::{
    decision::{DecisionId, Verdict},
    facts::Caller,
    reason::Reason,
};

/// What happens to a request now.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It passes, made by this caller; by nobody known where a policy lets such in.
    Allow(Option<Arc<Caller>>, Note),
    /// It is refused.
    Deny(Note),
}

/// What happens to a request after the sidecar's answer.
#[derive(Clone, Debug)]
pub enum Next {
    /// It is answered.
    Answer(Answer),
    /// The sidecar is asked again with this message: what it answered was overtaken.
    Ask(Vec<u8>),
    /// The request is gone.
    Nothing,
}

/// The decision as the access log sees it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// Names the evaluation; an answer from memory has the ID of the decision it repeats.
    pub id: DecisionId,
    /// What happens to the request.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Who said so.
    pub source: Source,
}

/// Where an answer came from.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// From the filter, by memory or because nobody else could be asked.
    Filter,
    /// From the sidecar, for this request.
    Sidecar,
}

impl Note {
    /// The body of a refusal. It names no reason: what a policy looks at is not the client's business.
    pub fn refusal(&self) -> String {
        format!(r#"{{"error":"denied","decision_id":"{}"}}"#, self.id)
    }

    /// The HTTP status of a refusal; `to_grpc` says that the client speaks gRPC.
    pub fn status(&self, to_grpc: bool) -> u16 {
        let status = if to_grpc { self.reason.http_status_for_grpc() } else { self.reason.http_status() };
        // A challenge or denial can't have a reason that allows; should it ever, it must not read as success.
        if status < 400 { 403 } else { status }
    }
}

/// Compact JSON; no part of it needs escaping.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, verdict, reason, source } = self;
        let (verdict, source) = (verdict.as_str(), source.as_str());
        write!(f, r#"{{"verdict":"{verdict}","reason":"{reason}","decision_id":"{id}","source":"{source}"}}"#)
    }
}

impl Source {
    /// The name in the access log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Sidecar => "sidecar",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_json_and_a_refusal_names_no_reason() {
        let note = Note { id: DecisionId(5), verdict: Verdict::Deny, reason: Reason::Forbid, source: Source::Filter };
        let json: serde_json::Value = serde_json::from_str(&note.to_string()).unwrap();
        assert_eq!(
            (&json["verdict"], &json["reason"], &json["source"]),
            (&"deny".into(), &"forbid".into(), &"filter".into())
        );
        let refusal: serde_json::Value = serde_json::from_str(&note.refusal()).unwrap();
        assert_eq!(refusal["decision_id"], json["decision_id"]);
        assert!(!note.refusal().contains("forbid"));
        assert_eq!(note.status(false), 403);
    }

    #[test]
    fn no_reason_makes_a_refusal_a_success() {
        for reason in Reason::ALL {
            let note = Note { id: DecisionId(5), verdict: Verdict::Deny, reason: *reason, source: Source::Filter };
            assert!(note.status(false) >= 400, "{reason}");
            assert!(matches!(note.status(true), 401 | 403), "{reason}: a gRPC client would retry");
        }
    }
}
