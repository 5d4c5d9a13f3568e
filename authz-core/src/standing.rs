//! What signals say of a scope besides revocation: its risk and its posture. It keeps the latest by event time and decides nothing.

mod effective;

use std::sync::Arc;

use thiserror::Error;

use crate::{
    scope::Scope,
    scope_map::{Ends, ScopeMap},
    signal::{Action, Moment, Outcome, Seq, Signal},
    time::Timestamp,
};

pub use self::effective::Effective;

/// How risky something is, from 0 (no risk known) to 100.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RiskScore(u8);

/// A number that is no risk score.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Error)]
#[error("risk {0} is above 100, give a number from 0 to 100")]
pub struct InvalidRisk(pub u32);

impl RiskScore {
    /// From a number of at most 100.
    pub fn new(score: u32) -> Result<Self, InvalidRisk> {
        u8::try_from(score).ok().filter(|score| *score <= 100).map(Self).ok_or(InvalidRisk(score))
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// The state a device or workload is in.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Posture {
    compliant: bool,
    // INVARIANT: by name, each once.
    attributes: Vec<(Arc<str>, Arc<str>)>,
}

/// Attributes that can't be kept.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum InvalidPosture {
    /// One is there twice.
    #[error("attribute {0:?} is given twice, give it once")]
    Twice(Arc<str>),
    /// There are too many.
    #[error("{0} attributes are too many, give at most {MAX_ATTRIBUTES}")]
    TooMany(usize),
}

/// Most attributes of one posture.
pub const MAX_ATTRIBUTES: usize = 32;

impl Posture {
    /// Whether it complies, and what else is known; attributes are sorted by name.
    pub fn new(compliant: bool, mut attributes: Vec<(Arc<str>, Arc<str>)>) -> Result<Self, InvalidPosture> {
        if attributes.len() > MAX_ATTRIBUTES {
            return Err(InvalidPosture::TooMany(attributes.len()));
        }
        attributes.sort_unstable();
        let twice = attributes.iter().zip(attributes.iter().skip(1)).find(|(one, next)| one.0 == next.0);
        match twice {
            Some(((name, _), _)) => Err(InvalidPosture::Twice(Arc::clone(name))),
            None => Ok(Self { compliant, attributes }),
        }
    }

    /// Whether it is as it should be.
    pub fn is_compliant(&self) -> bool {
        self.compliant
    }

    /// Names and values, by name.
    pub fn attributes(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.attributes
    }
}

/// Something said, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said<V> {
    /// What.
    pub value: V,
    /// When it happened.
    pub moment: Moment,
    /// The first moment at which it no longer counts; [`Timestamp::NEVER`] for none.
    pub expires_at: Timestamp,
}

/// What is said of one scope.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// Its risk.
    pub risk: Option<Said<RiskScore>>,
    /// Its posture.
    pub posture: Option<Said<Arc<Posture>>>,
}

/// The latest of every scope. A clone shares everything.
#[derive(Clone, Debug, Default)]
pub struct Standings(ScopeMap<Standing>);

impl Standings {
    /// Applies one signal; those that say neither risk nor posture change nothing.
    pub fn apply(&mut self, seq: Seq, signal: &Signal) -> Outcome {
        let moment = signal.moment(seq);
        let mut standing = self.0.get(&signal.scope).cloned().unwrap_or_default();
        let outcome = match &signal.action {
            Action::Posture(posture, expires_at) => {
                say(&mut standing.posture, Said { value: Arc::clone(posture), moment, expires_at: *expires_at })
            }
            Action::Risk(score, expires_at) => {
                say(&mut standing.risk, Said { value: *score, moment, expires_at: *expires_at })
            }
            Action::Restore | Action::Revoke(_) => return Outcome::Unchanged,
        };
        if outcome != Outcome::Superseded {
            self.0.put(&signal.scope, Some(standing));
        }
        outcome
    }

    /// What is said of `scope`, whether it still counts or not.
    pub fn of(&self, scope: &Scope) -> Option<&Standing> {
        self.0.get(scope)
    }

    /// Every scope of which something is said, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Scope, &Standing)> {
        self.0.iter()
    }

    /// The positions of everything that still matters.
    pub fn positions(&self) -> impl Iterator<Item = Seq> {
        self.iter().flat_map(|(_, standing)| {
            let risk = standing.risk.as_ref().map(|said| said.moment.seq);
            risk.into_iter().chain(standing.posture.as_ref().map(|said| said.moment.seq))
        })
    }

    /// How many scopes something is said of.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is said of anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets what ended before `moment`; returns of how many scopes nothing is said any more.
    ///
    /// Call it with a moment so far back that nothing older can still arrive ([`crate::signal::MAX_LATENESS_MS`]).
    pub fn forget_ended(&mut self, moment: Timestamp) -> usize {
        self.forget_some_ended(moment, usize::MAX)
    }

    /// The same for at most `most` scopes. See [`Standings::next_end`].
    pub fn forget_some_ended(&mut self, moment: Timestamp, most: usize) -> usize {
        let before = self.len();
        let ending = self.0.ending_by(moment).filter(|(_, standing)| standing.ends() < moment).take(most);
        let scopes: Vec<Scope> = ending.map(|(scope, _)| scope.clone()).collect();
        for scope in &scopes {
            let mut standing = self.0.get(scope).cloned().unwrap_or_default();
            standing.risk = standing.risk.filter(|said| said.expires_at >= moment);
            standing.posture = standing.posture.filter(|said| said.expires_at >= moment);
            self.0.put(scope, Some(standing).filter(|standing| *standing != Standing::default()));
        }
        before.saturating_sub(self.len())
    }

    /// The first moment at which something ends; [`Timestamp::NEVER`] for none.
    pub fn next_end(&self) -> Timestamp {
        self.0.next_end()
    }
}

impl Ends for Standing {
    fn ends(&self) -> Timestamp {
        let risk = self.risk.as_ref().map(|said| said.expires_at);
        let posture = self.posture.as_ref().map(|said| said.expires_at);
        risk.into_iter().chain(posture).min().unwrap_or(Timestamp::NEVER)
    }
}

fn say<V: PartialEq>(known: &mut Option<Said<V>>, said: Said<V>) -> Outcome {
    if known.as_ref().is_some_and(|known| !said.moment.is_news_after(known.moment)) {
        return Outcome::Superseded;
    }
    let same = known.as_ref().is_some_and(|known| known.value == said.value && known.expires_at == said.expires_at);
    *known = Some(said);
    if same { Outcome::Unchanged } else { Outcome::Changed }
}

#[cfg(test)]
mod tests;
