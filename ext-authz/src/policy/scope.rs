//! Which callers and actions the scope of a policy can match at this service; it looks at no condition.

use std::collections::HashSet;

use cedar_policy::{ActionConstraint, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};

use super::vocabulary::Vocabulary;

/// What the scope of a policy can match, given that the resource is this service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Scope {
    /// Whose requests.
    pub callers: Callers,
    /// Which actions.
    pub actions: Actions,
}

/// Callers a scope can match.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Callers {
    /// Every workload.
    Any,
    /// One.
    Exactly(EntityUid),
    /// Those in an entity, and that entity itself.
    In(EntityUid),
}

/// Actions a scope can match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Actions {
    /// Every one.
    Any,
    /// These.
    Of(Vec<EntityUid>),
}

/// What requests here are about.
pub(super) struct Target<'v> {
    /// Types, actions and their groups.
    pub vocabulary: &'v Vocabulary,
    /// The service.
    pub service: EntityUid,
    /// What the service is in.
    pub service_groups: HashSet<EntityUid>,
}

impl Scope {
    /// The scope of `policy`, or nothing if it can match no request at `target`.
    ///
    /// Cedar looks at the scope before the conditions, so a policy without a scope here can't even fail.
    pub fn of(policy: &Policy, target: &Target<'_>) -> Option<Self> {
        if !target.is_resource(&policy.resource_constraint()) {
            return None;
        }
        let callers = target.callers(policy.principal_constraint())?;
        let actions = target.actions(policy.action_constraint())?;
        Some(Self { callers, actions })
    }
}

impl Target<'_> {
    fn is_resource(&self, constraint: &ResourceConstraint) -> bool {
        let is_in = |group: &EntityUid| *group == self.service || self.service_groups.contains(group);
        let service = &self.vocabulary.types.service;
        match constraint {
            ResourceConstraint::Any => true,
            ResourceConstraint::Eq(uid) => *uid == self.service,
            ResourceConstraint::In(group) => is_in(group),
            ResourceConstraint::Is(name) => name == service,
            ResourceConstraint::IsIn(name, group) => name == service && is_in(group),
        }
    }

    fn callers(&self, constraint: PrincipalConstraint) -> Option<Callers> {
        let workload = &self.vocabulary.types.workload;
        match constraint {
            PrincipalConstraint::Any => Some(Callers::Any),
            PrincipalConstraint::Eq(uid) => (uid.type_name() == workload).then_some(Callers::Exactly(uid)),
            PrincipalConstraint::In(group) => Some(Callers::In(group)),
            PrincipalConstraint::Is(name) => (name == *workload).then_some(Callers::Any),
            PrincipalConstraint::IsIn(name, group) => (name == *workload).then_some(Callers::In(group)),
        }
    }

    fn actions(&self, constraint: ActionConstraint) -> Option<Actions> {
        let wanted = match constraint {
            ActionConstraint::Any => return Some(Actions::Any),
            ActionConstraint::Eq(action) => {
                let known = self.vocabulary.methods.values().any(|method| method.action == action);
                return known.then(|| Actions::Of(vec![action]));
            }
            ActionConstraint::In(wanted) => wanted,
        };
        let all = self.vocabulary.methods.values().map(|method| &method.action);
        let matched = all.filter(|action| {
            let mut groups = self.vocabulary.actions.ancestors(action).into_iter().flatten();
            wanted.contains(action) || groups.any(|group| wanted.contains(group))
        });
        let matched: Vec<EntityUid> = matched.cloned().collect();
        (!matched.is_empty()).then_some(Actions::Of(matched))
    }
}
