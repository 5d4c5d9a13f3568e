//! What a running sidecar answered, read out of the form it has for Envoy, and beside it what policies here say; it asks nobody.

use std::{fmt, time::Duration};

use authz_core::{identity::SpiffeId, reason::Reason};
use envoy_types::pb::{
    envoy::service::auth::v3::CheckResponse,
    google::protobuf::{Struct, Value, value::Kind},
};
use serde::Serialize;

use super::asking::Certificate;
use crate::workbench::{Draft, Explanation, Issued, Workload, explanation_text, meaning};

/// An answer.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Answer {
    /// `allow` or `deny`.
    pub verdict: String,
    /// The reason, as audit and metrics name it.
    pub reason: String,
    /// The policies that determined it.
    pub policies: Vec<String>,
    /// By this the audit trail finds it.
    pub decision_id: String,
    /// Which part of the sidecar gave it: `gate`, `cache` or `policy`.
    pub source: String,
    /// Whom the certificate proves, if it does.
    pub caller: Option<String>,
    /// Why it proves nothing, if so.
    pub unverified: Option<String>,
    /// How old the sidecar's knowledge of revocations is, in milliseconds, if it has any.
    pub view_age_ms: Option<f64>,
    /// What is wrong with that knowledge.
    pub degraded: Option<String>,
}

/// An answer, and what policies here say to the same request.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Reply {
    #[serde(flatten)]
    pub answer: Answer,
    /// By the policies that the command line names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

impl Answer {
    /// Nothing, if it is not of a Countersign.
    pub(super) fn of(response: &CheckResponse) -> Option<Self> {
        let fields = response.dynamic_metadata.as_ref()?;
        Some(Self {
            verdict: text(fields, "verdict")?,
            reason: text(fields, "reason")?,
            policies: match kind(fields, "policies") {
                Some(Kind::ListValue(list)) => list.values.iter().filter_map(as_text).collect(),
                _ => Vec::new(),
            },
            decision_id: text(fields, "decision_id")?,
            source: text(fields, "source")?,
            caller: text(fields, "caller"),
            unverified: text(fields, "unverified"),
            view_age_ms: if let Some(Kind::NumberValue(age)) = kind(fields, "view_age_ms") { Some(*age) } else { None },
            degraded: text(fields, "degraded"),
        })
    }

    /// The request that was asked about, as far as the answer tells who asked.
    pub(super) fn known(&self, draft: Draft, certificate: Option<&Certificate>) -> Draft {
        let id = self.caller.as_deref().and_then(|id| SpiffeId::parse(id).ok());
        let validity = certificate.map(Certificate::validity);
        let caller = id.map(|id| Workload {
            issued: validity.map(|(not_before, _)| Issued::At(not_before)),
            lifetime: validity.map(|(from, until)| Duration::from_millis(until.millis_since(from))),
            ..Workload::new(id)
        });
        Draft { caller, unverified: self.unverified.as_deref().and_then(Reason::parse), ..draft }
    }
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

fn kind<'s>(fields: &'s Struct, name: &str) -> Option<&'s Kind> {
    fields.fields.get(name)?.kind.as_ref()
}

fn text(fields: &Struct, name: &str) -> Option<String> {
    as_text(fields.fields.get(name)?)
}

fn as_text(value: &Value) -> Option<String> {
    if let Some(Kind::StringValue(text)) = &value.kind { Some(text.clone()) } else { None }
}
