//! Who may use the control API, by policies of their own: compiled and asked. It takes no signal and decides on no request of the mesh.

use std::{collections::HashMap, sync::Arc};

use cedar_policy::{Entities, EntityUid, PolicyId, PolicySet, Request};

use self::entities::Uids;
use super::{
    evaluation::{Findings, evaluate},
    problem::{Problem, Unexpected},
};

mod asked;
mod compile;
mod context;
mod entities;
mod files;

pub use self::{
    asked::{Asked, ControlAction},
    compile::{compile, default_policies},
    entities::Principal,
    files::ControlFiles,
};

/// The schema of control policies.
pub const CONTROL_SCHEMA: &str = include_str!("../../policy/control.cedarschema");

/// The policies in force where the configuration names none.
pub const CONTROL_DEFAULT: &str = include_str!("../../policy/control-default.cedar");

/// A set of control policies, checked and ready to be asked.
pub struct ControlPolicies {
    policies: PolicySet,
    /// In the order in which they were loaded.
    names: HashMap<PolicyId, (usize, Arc<str>)>,
    /// All actions with their groups.
    actions: Entities,
    uids: Uids,
    warnings: Vec<Problem>,
}

/// What the policies say to one use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Whether it is allowed, and why not.
    pub verdict: ControlVerdict,
    /// The policies that determined it, in the order in which they were loaded.
    pub policies: Vec<Arc<str>>,
}

/// Whether a use is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlVerdict {
    /// Some policy permits it, and none forbids it.
    Allow,
    /// Nothing permits it, or something forbids it.
    Deny,
    /// A policy could not be evaluated, so nobody knows what it would have said: denied. With Cedar's words.
    Error(String),
}

impl ControlPolicies {
    /// Whether `who` may do what is `asked`.
    pub fn rule(&self, who: &Principal, asked: &Asked<'_>) -> Ruling {
        match self.request(who, asked) {
            Ok((request, entities)) => self.conclude(evaluate(std::iter::once(&self.policies), &request, &entities)),
            Err(error) => Ruling { verdict: ControlVerdict::Error(error.to_string()), policies: Vec::new() },
        }
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Never: an empty set does not compile.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// What is doubtful but no mistake.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    fn request(&self, who: &Principal, asked: &Asked<'_>) -> Result<(Request, Entities), Unexpected> {
        let (principal, resource) = (self.uids.principal(who)?, self.uids.resource(asked.scope())?);
        let (subject, object) = (principal.uid(), resource.uid());
        let entities = self.actions.clone().add_entities([principal, resource], None).map_err(Unexpected::of)?;
        let action: EntityUid = self.uids.action(asked.action());
        let request = Request::new(subject, action, object, context::of(asked)?, None).map_err(Unexpected::of)?;
        Ok((request, entities))
    }

    fn conclude(&self, findings: Findings) -> Ruling {
        match findings {
            Findings::Forbidden(ids) => self.ruling(ControlVerdict::Deny, ids.iter()),
            Findings::Permitted(ids) => self.ruling(ControlVerdict::Allow, ids.iter()),
            Findings::Silent => self.ruling(ControlVerdict::Deny, std::iter::empty()),
            Findings::Failed(failures) => {
                let words = failures.iter().map(|(_, words)| words.as_str()).collect::<Vec<_>>().join("; ");
                self.ruling(ControlVerdict::Error(words), failures.iter().map(|(id, _)| id))
            }
        }
    }

    fn ruling<'i>(&self, verdict: ControlVerdict, ids: impl Iterator<Item = &'i PolicyId>) -> Ruling {
        let mut names: Vec<&(usize, Arc<str>)> = ids.filter_map(|id| self.names.get(id)).collect();
        names.sort_unstable();
        Ruling { verdict, policies: names.into_iter().map(|(_, name)| Arc::clone(name)).collect() }
    }
}

#[cfg(test)]
mod tests;
