//! The request path, free of any transport: identity, gate, cache, policy, in this order; it has no error to return.

use std::sync::Arc;

use authz_core::{
    decision::{Decision, DecisionId},
    facts::{Facts, Presented},
    gate::{Admitted, Denial, Principal},
    plan::PolicyDigest,
    reading::Reading,
    reason::Reason,
    scope::Scope,
    signal::Seq,
    time::Timestamp,
};
use uuid::Uuid;

use crate::{
    cache::{Answer, DecisionCache},
    degraded::{Conduct, Degraded, Standing},
    identity::{Identified, PresentedCertificate, Refusal, TrustDigest, Verifier},
    policy::Question,
    state::{Live, State},
};

/// Decides requests.
pub struct Checker {
    state: Arc<State>,
    verifier: Arc<Verifier>,
    cache: DecisionCache,
    degraded: Degraded,
}

/// One decided request.
#[derive(Clone)]
pub struct Outcome {
    /// What was decided.
    pub decision: Arc<Decision>,
    /// Where the decision came from.
    pub source: Source,
    /// The position in the log under which it was decided.
    pub seq: Seq,
    /// The policy set under which it was decided, if one was in force.
    pub policy: Option<PolicyDigest>,
    /// The action of its operation, if operations tell requests apart and it came as far as that.
    pub action: Option<Arc<str>>,
    /// How the facts became the key under which it may be kept, if they did.
    pub reading: Option<Arc<Reading>>,
    /// The revoked scope, where that is the reason.
    pub revoked: Option<Scope>,
    /// The state in which it was decided.
    pub standing: Standing,
}

/// Which part of the request path gave the answer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// Another request's evaluation.
    Cache,
    /// The gate, or what stands before it.
    Gate,
    /// Policies, evaluated for this request.
    Policy,
}

impl Source {
    /// Every source.
    pub const ALL: &[Self] = &[Self::Cache, Self::Gate, Self::Policy];

    /// The name in metrics and audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Gate => "gate",
            Self::Policy => "policy",
        }
    }
}

impl Checker {
    /// A checker over these parts.
    pub fn new(state: Arc<State>, verifier: Arc<Verifier>, cache: DecisionCache, degraded: Degraded) -> Self {
        Self { state, verifier, cache, degraded }
    }

    /// What is remembered.
    pub fn cache(&self) -> &DecisionCache {
        &self.cache
    }

    /// Who the connection proves to be on the other end and who stands behind, or why it proves nothing.
    pub fn identify(&self, certificate: &PresentedCertificate<'_>, now: Timestamp) -> Result<Identified, Refusal> {
        self.verifier.verify(certificate, now).inspect_err(|refusal| {
            tracing::debug!(reason = %refusal.reason(), detail = refusal.detail(), "certificate refused");
        })
    }

    /// The trust bundles in force, if any yet. Who asks before [`Checker::identify`] gets those, or older ones, that it used.
    pub fn trust(&self) -> Option<TrustDigest> {
        self.state.load().trust()
    }

    /// Decides one request.
    pub fn decide(&self, facts: &Facts<'_>, now: Timestamp) -> Outcome {
        let standing = self.standing();
        let snapshot = self.state.load();
        match snapshot.live() {
            Some(live) => self.judge(live, facts, now, standing),
            None => refused(Decision::refuse(fresh_id(), Reason::NotReady), None, standing),
        }
    }

    fn judge(&self, live: Live<'_>, facts: &Facts<'_>, now: Timestamp, standing: Standing) -> Outcome {
        match live.gate().admit(facts, now) {
            Ok(admitted) => {
                let question = live.policy().question(&admitted);
                let Some(Answer { decision, cached }) = self.answer(live, &admitted, &question, now, standing) else {
                    let decision = Decision::refuse(fresh_id(), standing.reason());
                    return refused(decision, Some(live), standing);
                };
                let source = if cached { Source::Cache } else { Source::Policy };
                let (seq, policy, reading) = (live.seq(), Some(live.digest()), Some(Arc::clone(question.reading())));
                let action = question.action().cloned();
                Outcome { decision, source, seq, policy, action, reading, revoked: None, standing }
            }
            Err(denial) => {
                let holds_until = revoked_until(live, &denial, facts, now);
                let decision = Decision { holds_until, ..Decision::refuse(fresh_id(), denial.reason) };
                Outcome { revoked: denial.scope, ..refused(decision, Some(live), standing) }
            }
        }
    }

    /// The decision remembered or made; nothing, if none may be given in the state that the sidecar is in.
    fn answer(
        &self,
        live: Live<'_>,
        admitted: &Admitted<'_>,
        question: &Question<'_>,
        now: Timestamp,
        standing: Standing,
    ) -> Option<Answer> {
        let view_age = standing.view_age_millis();
        let evaluate = || live.policy().answer(question, admitted, fresh_id(), now, view_age);
        let reading = question.reading();
        match (standing.conduct(), admitted.principal()) {
            (Some(Conduct::Deny), _) | (Some(Conduct::Cached), Principal::Unverified(_)) => None,
            (Some(Conduct::Cached), Principal::Workload(_)) => self.cache.get(admitted, reading, now),
            // Nobody's stranger can fill the cache, and neither can what depends on the age of the view.
            (Some(Conduct::Policy), _) | (None, Principal::Unverified(_)) => {
                Some(Answer { decision: Arc::new(evaluate()), cached: false })
            }
            (None, Principal::Workload(_)) => Some(self.cache.get_with(admitted, reading, now, evaluate)),
        }
    }

    /// The state that the sidecar is in.
    pub fn standing(&self) -> Standing {
        self.degraded.current()
    }

    /// How many decisions are cached, about.
    pub fn cached(&self) -> u64 {
        self.cache.len()
    }
}

/// Until when a caller is revoked if no signal comes, so that filters need not ask again before.
fn revoked_until(live: Live<'_>, denial: &Denial, facts: &Facts<'_>, now: Timestamp) -> Timestamp {
    let Denial { reason: Reason::Revoked, scope: Some(scope) } = denial else { return Timestamp::default() };
    let Presented::Verified(caller) = facts.caller else { return Timestamp::default() };
    let marks = live.revocations().marks(scope);
    let covering = marks.filter(|mark| mark.covers(caller.credential().not_before(), now));
    covering.map(|mark| mark.expires_at).max().unwrap_or_default()
}

/// A denial that nobody may reuse.
fn refused(decision: Decision, live: Option<Live<'_>>, standing: Standing) -> Outcome {
    Outcome {
        decision: Arc::new(decision),
        source: Source::Gate,
        standing,
        seq: live.map_or(Seq::default(), |live| live.seq()),
        policy: live.map(|live| live.digest()),
        action: None,
        reading: None,
        revoked: None,
    }
}

/// Ordered by time, so that audit can be searched by it.
fn fresh_id() -> DecisionId {
    DecisionId(Uuid::now_v7().as_u128())
}

#[cfg(test)]
mod tests;
