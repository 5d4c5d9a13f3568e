//! Which callers, actions and resources the scope of a policy can match at this service; it looks at no condition.

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, EntityUid, Policy, PrincipalConstraint, ResourceConstraint,
};

use super::vocabulary::{CONNECTION, Kind, Place, Reach, ResourceKind, Types, Vocabulary};

/// What the scope of a policy can match, given that the resource is this service or something that its operations name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Scope {
    /// Whose requests.
    pub callers: Callers,
    /// Which actions.
    pub actions: Actions,
    /// About what.
    pub resources: Resources,
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
    /// These, and those in them.
    In(Vec<EntityUid>),
}

/// Resources a scope can match. It may name more than it matches: Cedar looks again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Resources {
    /// Every one.
    Any,
    /// Of these types those.
    Of(Vec<(EntityTypeName, Which)>),
}

/// Resources of one type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Which {
    /// Every one.
    All,
    /// This.
    Exactly(EntityUid),
    /// Those in an entity, and that entity itself.
    In(EntityUid),
}

/// What requests here are about.
pub(super) struct Target<'v> {
    types: &'v Types,
    service: EntityUid,
    /// What the service is in.
    service_groups: HashSet<EntityUid>,
    /// Actions of requests.
    actions: HashSet<&'v EntityUid>,
    /// These, and what they are in.
    action_groups: HashSet<&'v EntityUid>,
    /// Resources of requests, by type.
    resources: HashMap<&'v EntityTypeName, &'v ResourceKind>,
}

impl<'v> Target<'v> {
    /// Requests of these kinds to a service.
    pub fn new(vocabulary: &'v Vocabulary, service: EntityUid, service_groups: HashSet<EntityUid>) -> Self {
        let kinds = &vocabulary.kinds;
        Self {
            types: &vocabulary.types,
            service,
            service_groups,
            actions: kinds.iter().map(|kind| &kind.action).collect(),
            action_groups: kinds.iter().flat_map(Kind::actions).collect(),
            resources: kinds.iter().map(|kind| (&kind.resource.name, &kind.resource)).collect(),
        }
    }
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

    /// Whether it matches some resources of a type and others not.
    pub fn tells_resources_apart(&self) -> bool {
        match &self.resources {
            Resources::Any => false,
            Resources::Of(types) => types.iter().any(|(_, which)| *which != Which::All),
        }
    }

    fn with(callers: Callers, policy: &Policy, target: &Target<'_>) -> Option<Self> {
        let (actions, resources) = (policy.action_constraint(), policy.resource_constraint());
        Some(Self { callers, actions: target.actions(actions)?, resources: target.resources(&resources)? })
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
    fn resources(&self, constraint: &ResourceConstraint) -> Option<Resources> {
        let which = |resource: &ResourceKind| match constraint {
            ResourceConstraint::Any => Some(Which::All),
            ResourceConstraint::Eq(uid) => self.exactly(resource, uid),
            ResourceConstraint::In(group) => self.within(resource, group),
            ResourceConstraint::Is(name) => (*name == resource.name).then_some(Which::All),
            ResourceConstraint::IsIn(name, group) => {
                (*name == resource.name).then(|| self.within(resource, group)).flatten()
            }
        };
        let types = self.resources.values().filter_map(|resource| Some((resource.name.clone(), which(resource)?)));
        let types: Vec<(EntityTypeName, Which)> = types.collect();
        if types.len() == self.resources.len() && types.iter().all(|(_, which)| *which == Which::All) {
            return Some(Resources::Any);
        }
        (!types.is_empty()).then_some(Resources::Of(types))
    }

    fn exactly(&self, resource: &ResourceKind, uid: &EntityUid) -> Option<Which> {
        match resource.place {
            Place::Service => (*uid == self.service).then_some(Which::All),
            Place::InService | Place::Elsewhere => {
                (*uid.type_name() == resource.name).then(|| Which::Exactly(uid.clone()))
            }
        }
    }

    fn within(&self, resource: &ResourceKind, group: &EntityUid) -> Option<Which> {
        match self.is_always_in(resource, group) {
            Some(always) => always.then_some(Which::All),
            None => Some(Which::In(group.clone())),
        }
    }

    /// Whether every resource of a kind is in a group, or none; nothing if that depends on which it is.
    fn is_always_in(&self, resource: &ResourceKind, group: &EntityUid) -> Option<bool> {
        let has_service = *group == self.service || self.service_groups.contains(group);
        match resource.place {
            Place::Service => Some(has_service),
            Place::InService if has_service => Some(true),
            _ if !resource.above.contains(group.type_name()) => Some(false),
            _ => None,
        }
    }

    fn callers(&self, constraint: PrincipalConstraint) -> Option<Callers> {
        let workload = &self.types.workload;
        match constraint {
            PrincipalConstraint::Any => Some(Callers::Any),
            PrincipalConstraint::Eq(uid) => (uid.type_name() == workload).then_some(Callers::Exactly(uid)),
            PrincipalConstraint::In(group) => Some(Callers::In(group)),
            PrincipalConstraint::Is(name) => (name == *workload).then_some(Callers::Any),
            PrincipalConstraint::IsIn(name, group) => (name == *workload).then_some(Callers::In(group)),
        }
    }

    fn strangers(&self, policy: &Policy) -> Option<Callers> {
        let unverified = self.types.unverified.as_ref()?;
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
        match constraint {
            ActionConstraint::Any => Some(Actions::Any),
            ActionConstraint::Eq(action) => self.actions.contains(&action).then(|| Actions::In(vec![action])),
            ActionConstraint::In(mut wanted) => {
                wanted.retain(|action| self.action_groups.contains(action));
                (!wanted.is_empty()).then_some(Actions::In(wanted))
            }
        }
    }
}
