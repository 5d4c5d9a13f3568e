//! What was decided, why, and for how long it holds; it decides nothing itself.

use std::{fmt, sync::Arc};

use crate::{
    reason::{Class, Reason},
    time::Timestamp,
};

/// Names one evaluation; requests answered from a cache share it.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct DecisionId(pub u128);

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What happens to the request.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// It passes.
    Allow,
    /// It passes once the subject has proven more.
    Challenge,
    /// It does not pass.
    Deny,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: &[Self] = &[Self::Allow, Self::Challenge, Self::Deny];

    /// The name in metrics, audit and metadata.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Challenge => "challenge",
            Self::Deny => "deny",
        }
    }
}

/// The outcome of one evaluation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// Names this evaluation.
    pub id: DecisionId,
    /// What happens to the request.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// The policies that determined it, by `@id` or position.
    pub policies: Arc<[Arc<str>]>,
    /// The first moment at which it no longer holds.
    pub holds_until: Timestamp,
}

impl Decision {
    /// A permit that holds until `holds_until` (exclusive).
    pub fn allow(id: DecisionId, policies: Arc<[Arc<str>]>, holds_until: Timestamp) -> Self {
        Self { id, verdict: Verdict::Allow, reason: Reason::Permit, policies, holds_until }
    }

    /// A permit for a caller that proved nothing, never to be reused: nothing would take it back.
    pub fn allow_unverified(id: DecisionId, policies: Arc<[Arc<str>]>) -> Self {
        let (verdict, reason) = (Verdict::Allow, Reason::PermitUnverified);
        Self { id, verdict, reason, policies, holds_until: Timestamp::default() }
    }

    /// A denial by policy that holds until `holds_until` (exclusive). A reason that allows becomes [`Reason::Internal`].
    pub fn deny(id: DecisionId, reason: Reason, policies: Arc<[Arc<str>]>, holds_until: Timestamp) -> Self {
        let reason = if reason.class() == Class::Allow { Reason::Internal } else { reason };
        Self { id, verdict: Verdict::Deny, reason, policies, holds_until }
    }

    /// A denial that must not be reused.
    pub fn refuse(id: DecisionId, reason: Reason) -> Self {
        Self::deny(id, reason, Arc::from([]), Timestamp::default())
    }

    /// Whether it may still be given as an answer at `now`.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        now < self.holds_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_can_not_carry_an_allowing_reason() {
        let denial = Decision::refuse(DecisionId(1), Reason::Permit);
        assert_eq!((denial.verdict, denial.reason), (Verdict::Deny, Reason::Internal));
    }

    #[test]
    fn only_allow_allows_and_a_refusal_is_never_reused() {
        for reason in Reason::ALL {
            let denial = Decision::deny(DecisionId(1), *reason, Arc::from([]), Timestamp::NEVER);
            assert_eq!(denial.verdict, Verdict::Deny);
            assert_ne!(denial.reason.class(), Class::Allow);
            assert!(!Decision::refuse(DecisionId(1), *reason).holds_at(Timestamp::default()));
        }
        let allowed = Decision::allow(DecisionId(1), Arc::from([]), Timestamp::NEVER);
        assert_eq!((allowed.verdict, allowed.reason.class()), (Verdict::Allow, Class::Allow));
    }

    #[test]
    fn an_id_prints_as_32_hex_digits() {
        assert_eq!(DecisionId(0xab).to_string(), format!("{}ab", "0".repeat(30)));
    }

    #[test]
    fn a_decision_ends_at_the_moment_it_names() {
        let decision = Decision::allow(DecisionId(1), Arc::from([]), Timestamp::from_millis(10));
        assert!(decision.holds_at(Timestamp::from_millis(9)));
        assert!(!decision.holds_at(Timestamp::from_millis(10)));
    }
}
