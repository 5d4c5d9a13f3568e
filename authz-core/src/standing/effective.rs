//! What is said of a workload by all that it rests on, taken together at one moment. It changes nothing that was said.

use std::{collections::BTreeMap, sync::Arc};

use super::{RiskScore, Said, Standing, Standings};
use crate::{
    facts::Caller,
    scope::{Scope, ScopeKind},
    time::Timestamp,
};

/// The risk and the posture of one workload at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effective {
    /// The highest risk that is said of anything it rests on; none if nothing is said.
    pub risk: Option<RiskScore>,
    /// Whether all that speaks of posture says that it complies; none if nothing does.
    pub compliant: Option<bool>,
    /// Attributes of its postures, by name; of two that which is said of less.
    pub attributes: BTreeMap<Arc<str>, Arc<str>>,
    /// The first moment at which one of these ends.
    pub until: Timestamp,
}

impl Default for Effective {
    fn default() -> Self {
        Self { risk: None, compliant: None, attributes: BTreeMap::new(), until: Timestamp::NEVER }
    }
}

impl Standings {
    /// The highest risk that counts of `caller` at `now`, as in [`Standings::effective`]; allocates nothing.
    pub fn risk(&self, caller: &Caller, now: Timestamp) -> Option<RiskScore> {
        if self.is_empty() {
            return None;
        }
        let said = caller.scopes().iter().filter(|scope| rank(scope).is_some()).filter_map(|scope| self.of(scope));
        said.filter_map(|standing| standing.risk.as_ref())
            .filter(|said| said.counts_at(now))
            .map(|said| said.value)
            .max()
    }

    /// What counts of `caller` at `now`: signals speak of its ID, or of a path or trust domain that it is in.
    ///
    /// INVARIANT: what is said of single certificates does not count, so it is the same for all that an ID has; a filter answers
    /// from memory by ID.
    pub fn effective(&self, caller: &Caller, now: Timestamp) -> Effective {
        self.effective_of(caller.scopes().iter(), now)
    }

    fn effective_of<'s>(&self, scopes: impl Iterator<Item = &'s Scope>, now: Timestamp) -> Effective {
        let mut found = Effective::default();
        if self.is_empty() {
            return found;
        }
        let mut postures = Vec::new();
        for (scope, rank) in scopes.filter_map(|scope| Some((scope, rank(scope)?))) {
            let Some(Standing { risk, posture }) = self.of(scope) else { continue };
            if let Some(said) = risk.as_ref().filter(|said| said.counts_at(now)) {
                found.risk = found.risk.max(Some(said.value));
                found.until = found.until.min(said.expires_at);
            }
            postures.extend(posture.as_ref().filter(|said| said.counts_at(now)).map(|said| (rank, said)));
        }
        postures.sort_by_key(|(rank, _)| *rank);
        for (_, said) in postures {
            found.compliant = Some(found.compliant.unwrap_or(true) && said.value.is_compliant());
            found.until = found.until.min(said.expires_at);
            found.attributes.extend(said.value.attributes().iter().cloned());
        }
        found
    }
}

/// The wider comes first; nothing for what is no statement about a workload.
fn rank(scope: &Scope) -> Option<(u8, usize)> {
    match scope.kind() {
        ScopeKind::TrustDomain => Some((0, 0)),
        ScopeKind::PathPrefix => Some((1, scope.value().len())),
        ScopeKind::SpiffeId => Some((2, 0)),
        ScopeKind::Agent
        | ScopeKind::Certificate
        | ScopeKind::Device
        | ScopeKind::IssuerSerial
        | ScopeKind::Session
        | ScopeKind::Subject
        | ScopeKind::Token => None,
    }
}

impl<V> Said<V> {
    fn counts_at(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        signal::{Action, Seq, Signal},
        standing::Posture,
    };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn scopes() -> Vec<Scope> {
        let certificate = format!("certificate:{}", "01".repeat(32));
        let of_id = [
            "spiffe-id:spiffe://td/a/b",
            "path-prefix:spiffe://td/a/b",
            "path-prefix:spiffe://td/a",
            "trust-domain:td",
        ];
        of_id.into_iter().chain([&*certificate]).map(|text| text.parse().unwrap()).collect()
    }

    fn posture(compliant: bool, attributes: &[(&str, &str)], ends: u64) -> Action {
        let attributes = attributes.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Action::Posture(Arc::new(Posture::new(compliant, attributes).unwrap()), at(ends))
    }

    fn said(signals: &[(usize, Action)]) -> Standings {
        let mut standings = Standings::default();
        let text = || Arc::<str>::from("");
        for (seq, (scope, action)) in (1..).zip(signals) {
            let (scope, action) = (scopes()[*scope].clone(), action.clone());
            let (who, why, source) = (text(), text(), text());
            let signal = Signal { id: text(), scope, action, who, why, source, at: at(1), event_at: None };
            standings.apply(Seq(seq), &signal);
        }
        standings
    }

    #[test]
    fn the_highest_risk_counts_until_it_ends() {
        let risk = |score, ends| Action::Risk(RiskScore::new(score).unwrap(), at(ends));
        let standings = said(&[(0, risk(10, 100)), (3, risk(80, 50)), (4, risk(99, 100))]);
        let seen = |now: u64| {
            let found = standings.effective_of(scopes().iter(), at(now));
            (found.risk.map(RiskScore::get), found.until)
        };
        assert_eq!([seen(10), seen(49)], [(Some(80), at(50)); 2]);
        assert_eq!([seen(50), seen(100)], [(Some(10), at(100)), (None, Timestamp::NEVER)]);
    }

    #[test]
    fn one_that_does_not_comply_is_enough_and_the_nearest_word_on_an_attribute_counts() {
        let near = posture(true, &[("os", "new"), ("managed", "yes")], 100);
        let far = posture(false, &[("os", "old"), ("patched", "no")], 90);
        let farthest = posture(true, &[("os", "oldest"), ("patched", "never")], 100);
        let said = said(&[(0, near), (3, farthest), (1, far)]);
        let found = said.effective_of(scopes().iter(), at(30));
        assert_eq!((found.compliant, found.until), (Some(false), at(90)));
        let attributes: Vec<_> = found.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(attributes, ["managed=yes", "os=new", "patched=no"]);
    }

    #[test]
    fn of_others_nothing_counts() {
        let standings = said(&[(0, posture(false, &[], 100)), (4, posture(false, &[], 100))]);
        assert_eq!(standings.effective_of(scopes()[1..].iter(), at(2)), Effective::default());
    }
}
