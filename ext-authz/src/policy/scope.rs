//! Which callers and actions the scope of a policy can match at this service; it looks at no condition.

use std::collections::HashSet;

use cedar_policy::{ActionConstraint, Effect, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};

use super::vocabulary::{CONNECTION, Reach, Types, Vocabulary};

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
    /// The scope of `policy`, or nothing if it can match no request of a workload at `target`.
    ///
    /// Cedar looks at the scope before the conditions, so a policy without a scope here can't even fail.
    pub fn of(policy: &Policy, target: &Target<'_>) -> Option<Self> {
        Self::with(target.callers(policy.principal_constraint())?, policy, target)
    }

    /// The same for requests of those who proved nothing. A `permit` lets one in only if it says so: by `principal is
    /// Unverified` or by naming one. "Everybody" are the verified.
    pub fn of_unverified(policy: &Policy, target: &Target<'_>) -> Option<Self> {
        Self::with(target.strangers(policy)?, policy, target)
    }

    fn with(callers: Callers, policy: &Policy, target: &Target<'_>) -> Option<Self> {
        if !target.is_resource(&policy.resource_constraint()) {
            return None;
        }
        Some(Self { callers, actions: target.actions(policy.action_constraint())? })
    }
}

/// What a policy can be asked about: a `permit` only about what its scope names, a `forbid` about all it does not leave out.
pub(super) fn reach(policy: &Policy, types: &Types) -> Reach {
    let forbids = policy.effect() == Effect::Forbid;
    Reach {
        unverified: match policy.principal_constraint() {
            PrincipalConstraint::Any => forbids,
            PrincipalConstraint::Eq(uid) | PrincipalConstraint::In(uid) => {
                Some(uid.type_name()) == types.unverified.as_ref()
            }
            PrincipalConstraint::Is(name) | PrincipalConstraint::IsIn(name, _) => Some(name) == types.unverified,
        },
        connections: match policy.action_constraint() {
            ActionConstraint::Any => forbids,
            ActionConstraint::Eq(action) => is_connection(&action),
            ActionConstraint::In(actions) => actions.iter().any(is_connection),
        },
    }
}

fn is_connection(action: &EntityUid) -> bool {
    action.id().unescaped() == CONNECTION
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

    fn strangers(&self, policy: &Policy) -> Option<Callers> {
        let unverified = self.vocabulary.types.unverified.as_ref()?;
        let one = |uid: EntityUid| (uid.type_name() == unverified).then_some(Callers::Exactly(uid));
        match policy.principal_constraint() {
            PrincipalConstraint::Any => (policy.effect() == Effect::Forbid).then_some(Callers::Any),
            // `in` holds for the entity itself, and nobody unverified is in anything.
            PrincipalConstraint::Eq(uid) | PrincipalConstraint::In(uid) => one(uid),
            PrincipalConstraint::Is(name) => (name == *unverified).then_some(Callers::Any),
            PrincipalConstraint::IsIn(name, uid) => (name == *unverified).then(|| one(uid)).flatten(),
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
