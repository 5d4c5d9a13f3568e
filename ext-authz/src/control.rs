//! Who uses the control API, and whether they may: asks the control policies, counts and audits each use. It knows no transport.

use std::sync::Arc;

use arc_swap::ArcSwap;
use authz_core::signal::Seq;

use crate::{
    audit::{Audit, ControlRecord, Record},
    clock,
    metrics::Metrics,
    policy::control::{Asked, ControlPolicies, ControlVerdict, Principal, Ruling},
};

mod siblings;
mod tally;

pub use self::{
    siblings::{Others, Siblings},
    tally::{BATCH, Tally},
};

/// Stands before everything that the control API does.
pub struct Guard {
    policies: ArcSwap<ControlPolicies>,
    metrics: Arc<Metrics>,
    audit: Audit,
}

/// What became of a use; closed, for metrics and audit.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum UseResult {
    /// It was permitted and done.
    Allowed,
    /// Nothing permits it, or something forbids it.
    Denied,
    /// A policy could not be evaluated: denied.
    Error,
    /// It was permitted, and could not be done.
    Failed,
    /// It could not be understood, so nobody was asked.
    Invalid,
}

/// A use that is not permitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{who} may not {what}; what control.policy permits is up to whoever runs this sidecar, its audit trail has more"
)]
pub struct NotPermitted {
    /// Who asked.
    who: String,
    /// The action and its scope.
    what: String,
}

/// A permitted use that is under way: say what became of it.
#[must_use]
pub struct Pass<'g> {
    guard: &'g Guard,
    // Until it was said.
    record: Option<ControlRecord>,
}

impl Guard {
    /// Asks `policies`.
    pub fn new(policies: ControlPolicies, metrics: Arc<Metrics>, audit: Audit) -> Self {
        Self { policies: ArcSwap::from_pointee(policies), metrics, audit }
    }

    /// Asks other policies from now on.
    pub fn replace(&self, policies: ControlPolicies) {
        self.policies.store(Arc::new(policies));
    }

    /// Lets `who` do what is `asked`, if it may; if not, that is counted and audited.
    ///
    /// # Errors
    /// That it may not.
    pub fn admit(&self, who: &Principal, asked: &Asked<'_>) -> Result<Pass<'_>, NotPermitted> {
        let ruling = self.judge(who, asked);
        match ruling.verdict {
            ControlVerdict::Allow => Ok(Pass { guard: self, record: Some(record(who, asked, ruling)) }),
            ControlVerdict::Deny | ControlVerdict::Error(_) => Err(self.turn_away(who, asked, ruling)),
        }
    }

    /// What the policies in force say; neither counted nor audited.
    pub fn judge(&self, who: &Principal, asked: &Asked<'_>) -> Ruling {
        self.policies.load().rule(who, asked)
    }

    /// Notes that `who` was not let do what is `asked`.
    pub fn turn_away(&self, who: &Principal, asked: &Asked<'_>, ruling: Ruling) -> NotPermitted {
        let (result, detail) = match &ruling.verdict {
            ControlVerdict::Error(words) => (UseResult::Error, words.clone()),
            ControlVerdict::Allow | ControlVerdict::Deny => (UseResult::Denied, String::new()),
        };
        self.note(ControlRecord { result: result.as_str(), detail, ..record(who, asked, ruling) });
        let scope = asked.scope().map(|scope| format!(" {scope}")).unwrap_or_default();
        NotPermitted { who: who.to_string(), what: format!("{}{scope}", asked.action().as_str()) }
    }

    /// Notes that `who` sent something that could not be understood.
    pub fn misunderstood(&self, who: &str, detail: String) {
        let result = UseResult::Invalid.as_str();
        self.note(ControlRecord {
            at: clock::now(),
            who: who.to_owned(),
            action: UNKNOWN,
            result,
            detail,
            ..ControlRecord::default()
        });
    }

    /// Counts a use without a line of its own in the trail: its batch gets one.
    fn count(&self, action: &str, result: UseResult) {
        self.metrics.control_requests.with_label_values(&[action, result.as_str()]).inc();
    }

    fn note(&self, record: ControlRecord) {
        self.metrics.control_requests.with_label_values(&[record.action, record.result]).inc();
        self.audit.record(Record::Control(record));
    }
}

impl Pass<'_> {
    /// It was done.
    pub fn done(mut self) {
        self.settle(UseResult::Allowed, None, String::new());
    }

    /// It was done and stands at `seq` in the log.
    pub fn done_at(mut self, seq: Seq) {
        self.settle(UseResult::Allowed, Some(seq), String::new());
    }

    /// It could not be done.
    pub fn failed(mut self, why: &str) {
        self.settle(UseResult::Failed, None, why.to_owned());
    }

    fn settle(&mut self, result: UseResult, seq: Option<Seq>, detail: String) {
        if let Some(record) = self.record.take() {
            self.guard.note(ControlRecord { result: result.as_str(), seq, detail, ..record });
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.settle(UseResult::Allowed, None, "whoever asked left before the answer".to_owned());
    }
}

impl UseResult {
    /// Every result.
    pub const ALL: &[Self] = &[Self::Allowed, Self::Denied, Self::Error, Self::Failed, Self::Invalid];

    /// The name in metrics and audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Error => "error",
            Self::Failed => "failed",
            Self::Invalid => "invalid",
        }
    }
}

/// A record of a use whose result is still to be said.
fn record(who: &Principal, asked: &Asked<'_>, ruling: Ruling) -> ControlRecord {
    let record = ControlRecord {
        at: clock::now(),
        who: who.to_string(),
        action: asked.action().as_str(),
        scope: asked.scope().map(ToString::to_string),
        policies: ruling.policies,
        ..ControlRecord::default()
    };
    match asked {
        // It says who it is beside what is proven.
        Asked::Signal { signal, .. } => ControlRecord {
            who: signal.who.to_string(),
            id: Some(signal.id.to_string()),
            why: signal.why.to_string(),
            ..record
        },
        Asked::Await | Asked::DryRun(_) | Asked::List | Asked::Status | Asked::Tail => record,
    }
}

/// The action of what could not be understood.
pub const UNKNOWN: &str = "unknown";

#[cfg(test)]
mod tests;
