//! What a running sidecar answered, and beside it what policies here say; it asks nobody.

use std::{fmt, time::Duration};

use authz_core::{identity::SpiffeId, reason::Reason};
use serde::Serialize;

use super::asking::Certificate;
use crate::{
    grpc::asking::Answer,
    workbench::{Draft, Explanation, Issued, Workload, explanation_text, meaning},
};

/// An answer, and what policies here say to the same request.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Reply {
    #[serde(flatten)]
    pub answer: Answer,
    /// By the policies that the command line names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

/// The request that was asked about, as far as the answer tells who asked.
pub(super) fn known(answer: &Answer, draft: Draft, certificate: Option<&Certificate>) -> Draft {
    let id = answer.caller.as_deref().and_then(|id| SpiffeId::parse(id).ok());
    let validity = certificate.map(Certificate::validity);
    let caller = id.map(|id| Workload {
        issued: validity.map(|(not_before, _)| Issued::At(not_before)),
        lifetime: validity.map(|(from, until)| Duration::from_millis(until.millis_since(from))),
        ..Workload::new(id)
    });
    Draft { caller, unverified: answer.unverified.as_deref().and_then(Reason::parse), ..draft }
}

impl Reply {
    pub(super) fn new(answer: Answer, explanation: Option<Explanation>) -> Self {
        Self { answer, explanation }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { verdict, reason, policies, decision_id, source, caller, unverified, degraded, .. } = &self.answer;
        write!(f, "{verdict}: {reason}, says the sidecar")?;
        if let Some(reason) = Reason::parse(reason) {
            write!(f, "\n  {}", meaning(reason))?;
        }
        if !policies.is_empty() {
            write!(f, "\npolicies: {}", policies.join(", "))?;
        }
        match (caller, unverified) {
            (Some(caller), _) => write!(f, "\ncaller: {caller}")?,
            (None, Some(cause)) => write!(f, "\ncaller: proves nothing ({cause})")?,
            (None, None) => {}
        }
        if let Some(condition) = degraded {
            write!(f, "\ndegraded: {condition}; see `countersign status`")?;
        }
        write!(f, "\ndecision: {decision_id}, from its {source}; find it in the audit trail by that")?;
        let Some(explanation) = &self.explanation else { return Ok(()) };
        if (explanation.verdict, explanation.reason) == (verdict.as_str(), reason.as_str()) {
            return write!(f, "\nthe policies here say the same:\n{}", explanation_text(explanation));
        }
        let why = "the sidecar has other policies, or knows of revocations, risk, hops or the age of its view, which nobody does here";
        write!(f, "\nthe policies here say otherwise ({why}):\n{}", explanation_text(explanation))
    }
}
