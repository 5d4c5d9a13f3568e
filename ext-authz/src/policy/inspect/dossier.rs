//! One policy as people look at it: its name, its place, its text, and every condition that it sets; it decides nothing.

use std::sync::Arc;

use cedar_policy::{
    Effect, Policy,
    pst::{self, ActionConstraint, PrincipalConstraint, ResourceConstraint},
};

use super::{Answer, Condition, Outcome, Scene};
use crate::policy::{
    problem::Position,
    statement::{Conditions, Statement},
};

/// A policy of a set.
#[derive(Clone, Debug)]
pub struct Dossier {
    /// As decisions name it.
    pub name: Arc<str>,
    /// The file it is in.
    pub file: Arc<str>,
    /// Where it begins there.
    pub at: Position,
    /// Whether it permits; else it forbids.
    pub permits: bool,
    /// As it is written.
    pub text: String,
    /// What its scope asks of caller, action and resource, as far as it asks anything.
    pub scope: Vec<Demand>,
    /// Its `when` and `unless`, in order.
    pub clauses: Vec<Demand>,
    /// Whether Cedar can show its conditions; if not, they are not among the clauses.
    pub is_open: bool,
    /// Whether it can match a request to this service at all.
    pub applies: bool,
    pub(super) policy: cedar_policy::PolicyId,
}

/// One thing that a policy asks for.
#[derive(Clone, Debug)]
pub struct Demand {
    /// Where in the policy it stands.
    pub part: Part,
    /// What must hold, or in an `unless` must not.
    pub condition: Condition,
}

/// A part of a policy.
#[derive(Copy, Clone, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// What may be done.
    Action,
    /// Who asks.
    Principal,
    /// What is asked of.
    Resource,
    /// An `unless`.
    Unless,
    /// A `when`.
    When,
}

/// What one policy says to one request.
#[derive(Clone, Debug)]
pub struct Hearing<'d> {
    /// The policy.
    pub dossier: &'d Dossier,
    /// Whether it is among those that can match this caller and action.
    pub is_candidate: bool,
    /// What came of each part of the scope.
    pub scope: Vec<Answer>,
    /// What came of each clause.
    pub clauses: Vec<Answer>,
}

impl Dossier {
    pub(super) fn of(statement: &Statement<'_>, applies: bool) -> Self {
        let tree = statement.policy.to_pst().ok();
        let clauses = match &statement.conditions {
            Conditions::Known(tree) => tree.body().clauses().iter().map(Demand::of_clause).collect(),
            Conditions::Absent | Conditions::Opaque => Vec::new(),
        };
        Self {
            name: Arc::clone(&statement.name),
            file: statement.source.name.as_str().into(),
            at: Position::of(&statement.source.text, statement.offset),
            permits: statement.policy.effect() == Effect::Permit,
            text: text(&statement.policy),
            scope: tree.map(|tree| scope(tree.body())).unwrap_or_default(),
            clauses,
            is_open: !matches!(statement.conditions, Conditions::Opaque),
            applies,
            policy: statement.policy.id().clone(),
        }
    }

    /// What it says to a request. As in Cedar, a clause is asked only while all before it are met.
    pub(super) fn hear(&self, scene: &Scene) -> Hearing<'_> {
        let scope: Vec<Answer> = self.scope.iter().map(|demand| demand.condition.ask(scene)).collect();
        let is_candidate = scene.candidates.contains(&self.policy);
        let mut going_on = true;
        let clauses = self.clauses.iter().map(|demand| {
            let answer = if going_on { demand.condition.ask(scene) } else { demand.condition.unreached() };
            going_on = going_on && demand.is_met(&answer.outcome);
            answer
        });
        Hearing { dossier: self, is_candidate, scope, clauses: clauses.collect() }
    }
}

impl Hearing<'_> {
    /// Whether it matches the request, as far as that can be seen from its parts.
    pub fn matches(&self) -> bool {
        self.is_candidate
            && self.dossier.is_open
            && self.clauses().all(|(demand, answer)| demand.is_met(&answer.outcome))
    }

    /// Each part of the scope with what came of it.
    pub fn scope(&self) -> impl Iterator<Item = (&Demand, &Answer)> {
        self.dossier.scope.iter().zip(&self.scope)
    }

    /// Each clause with what came of it.
    pub fn clauses(&self) -> impl Iterator<Item = (&Demand, &Answer)> {
        self.dossier.clauses.iter().zip(&self.clauses)
    }
}

impl Demand {
    fn of_clause(clause: &pst::Clause) -> Self {
        match clause {
            pst::Clause::When(condition) => Self { part: Part::When, condition: Condition::of(condition) },
            pst::Clause::Unless(condition) => Self { part: Part::Unless, condition: Condition::of(condition) },
        }
    }

    /// Whether the policy goes on with this outcome.
    pub fn is_met(&self, outcome: &Outcome) -> bool {
        *outcome == if self.part == Part::Unless { Outcome::False } else { Outcome::True }
    }
}

impl Part {
    /// The name in Cedar's syntax.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Principal => "principal",
            Self::Resource => "resource",
            Self::Unless => "unless",
            Self::When => "when",
        }
    }
}

fn scope(policy: &pst::Template) -> Vec<Demand> {
    let demand = |part: Part, is_constrained: bool, constraint: String| {
        let text = format!("{} {constraint}", part.as_str());
        is_constrained.then(|| Demand { part, condition: Condition::of_text(text, &[part.as_str()]) })
    };
    let pst::Template { principal, action, resource, .. } = policy;
    let parts = [
        demand(Part::Principal, *principal != PrincipalConstraint::Any, principal.to_string()),
        demand(Part::Action, *action != ActionConstraint::Any, action.to_string()),
        demand(Part::Resource, *resource != ResourceConstraint::Any, resource.to_string()),
    ];
    parts.into_iter().flatten().collect()
}

fn text(policy: &Policy) -> String {
    policy.to_cedar().unwrap_or_else(|| policy.to_string())
}
