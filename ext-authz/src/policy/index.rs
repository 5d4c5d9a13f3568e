//! Policies in buckets by scope, so that a request meets only those that can match it; it evaluates none.

use std::{collections::HashMap, sync::Arc};

use authz_core::{
    plan::Read,
    reading::{Test, Uses},
};
use cedar_policy::{Effect, EntityTypeName, EntityUid, Policy, PolicySet};

use super::{
    problem::Unexpected,
    scope::{Actions, Callers, Resources, Scope, Which},
    vocabulary::Kind,
};

/// All policies that can match a request at this service.
#[derive(Default)]
pub(super) struct Index {
    any: Arc<ByAction>,
    exactly: HashMap<EntityUid, Arc<ByAction>>,
    within: HashMap<EntityUid, Arc<ByAction>>,
}

/// Policies with the same constraint on the caller.
#[derive(Default)]
pub(super) struct ByAction {
    any: ByResource,
    /// Those of `any` that are about connections too: a `permit` for any action is one for HTTP requests.
    any_forbids: ByResource,
    /// By action or group of actions. One that names several is under each.
    of: HashMap<EntityUid, ByResource>,
}

/// Policies with the same constraints on caller and action.
#[derive(Default)]
struct ByResource {
    any: Candidates,
    /// By type. One that can match several types is under each.
    of: HashMap<EntityTypeName, OfType>,
}

/// Policies about resources of one type.
#[derive(Default)]
struct OfType {
    all: Candidates,
    exactly: HashMap<EntityUid, Candidates>,
    within: HashMap<EntityUid, Candidates>,
    /// How all of them use facts, of which the resource is one where they tell resources apart.
    facts: Uses,
}

/// What a request is about, with all it is in.
pub(super) struct Subject {
    /// The resource.
    pub uid: EntityUid,
    /// What it is in.
    pub groups: Vec<EntityUid>,
}

/// Single resources that are told apart from others in keys; of more of them, each is.
const MAX_RESOURCES: usize = 64;

/// Policies that meet the same requests.
#[derive(Default)]
pub(super) struct Candidates {
    /// The policies.
    pub policies: PolicySet,
    /// How they use facts.
    pub facts: Uses,
}

/// Puts policies into buckets.
#[derive(Default)]
pub(super) struct Builder {
    buckets: HashMap<Callers, ByAction>,
}

impl Builder {
    /// Adds a policy that uses `facts` under its scope.
    pub fn add(&mut self, policy: &Policy, facts: &Uses, scope: Scope) -> Result<(), Unexpected> {
        let bucket = self.buckets.entry(scope.callers).or_default();
        let resources = &scope.resources;
        match scope.actions {
            Actions::Any => {
                let forbids = policy.effect() == Effect::Forbid;
                if forbids { bucket.any_forbids.add(policy, facts, resources) } else { Ok(()) }?;
                bucket.any.add(policy, facts, resources)
            }
            Actions::In(actions) => actions
                .into_iter()
                .try_for_each(|action| bucket.of.entry(action).or_default().add(policy, facts, resources)),
        }
    }

    /// The index.
    pub fn build(self) -> Index {
        let mut index = Index::default();
        for (callers, bucket) in self.buckets {
            let bucket = Arc::new(bucket);
            match callers {
                Callers::Any => index.any = bucket,
                Callers::Exactly(uid) => drop(index.exactly.insert(uid, bucket)),
                Callers::In(group) => drop(index.within.insert(group, bucket)),
            }
        }
        index
    }
}

impl Candidates {
    fn add(&mut self, policy: &Policy, facts: &Uses) -> Result<(), Unexpected> {
        self.facts.add(facts);
        self.policies.add(policy.clone()).map_err(Unexpected::of)
    }
}

impl ByResource {
    fn add(&mut self, policy: &Policy, facts: &Uses, resources: &Resources) -> Result<(), Unexpected> {
        match resources {
            Resources::Any => self.any.add(policy, facts),
            Resources::Of(types) => types
                .iter()
                .try_for_each(|(name, which)| self.of.entry(name.clone()).or_default().add(policy, facts, which)),
        }
    }

    fn is_empty(&self) -> bool {
        self.any.policies.is_empty() && self.of.is_empty()
    }

    /// Those that can match a request about `subject`.
    fn about<'i>(&'i self, subject: &'i Subject) -> impl Iterator<Item = &'i Candidates> {
        let of_type = self.of.get(subject.uid.type_name()).into_iter().flat_map(|policies| policies.about(subject));
        [&self.any].into_iter().chain(of_type).filter(|it| !it.policies.is_empty())
    }

    /// How those that can match any request about resources of a type use facts.
    fn add_facts(&self, name: &EntityTypeName, uses: &mut Uses) {
        uses.add(&self.any.facts);
        self.of.get(name).into_iter().for_each(|policies| uses.add(&policies.facts));
    }
}

impl OfType {
    fn add(&mut self, policy: &Policy, facts: &Uses, which: &Which) -> Result<(), Unexpected> {
        self.facts.add(facts);
        let candidates = match which {
            Which::All => &mut self.all,
            Which::Exactly(uid) => {
                self.tell_apart(uid);
                self.exactly.entry(uid.clone()).or_default()
            }
            Which::In(group) => {
                self.facts.whole(Read::Resource);
                self.within.entry(group.clone()).or_default()
            }
        };
        candidates.add(policy, facts)
    }

    fn tell_apart(&mut self, uid: &EntityUid) {
        if self.exactly.len() < MAX_RESOURCES || self.exactly.contains_key(uid) {
            self.facts.test(Read::Resource, Test::Equals(uid.id().unescaped().into()));
        } else {
            self.facts.whole(Read::Resource);
        }
    }

    fn about<'i>(&'i self, subject: &'i Subject) -> impl Iterator<Item = &'i Candidates> {
        // `in` holds for the entity itself too.
        let within = subject.groups.iter().chain([&subject.uid]).filter_map(|group| self.within.get(group));
        [&self.all].into_iter().chain(self.exactly.get(&subject.uid)).chain(within)
    }
}

impl Index {
    /// The buckets of one caller, who is in `groups`.
    pub fn of_caller<'a>(
        &self,
        caller: &'a EntityUid,
        groups: impl Iterator<Item = &'a EntityUid>,
    ) -> Vec<Arc<ByAction>> {
        // `in` holds for the entity itself too.
        let within = groups.chain([caller]).filter_map(|group| self.within.get(group));
        let buckets = within.chain(self.exactly.get(caller)).chain([&self.any]);
        buckets.filter(|bucket| !bucket.is_empty()).cloned().collect()
    }
}

impl ByAction {
    /// The policies that can match requests of this kind about `subject`; one can come more than once.
    pub fn candidates<'i>(&'i self, kind: &'i Kind, subject: &'i Subject) -> impl Iterator<Item = &'i Candidates> {
        self.of_kind(kind).flat_map(move |policies| policies.about(subject))
    }

    /// How those that can match any request of this kind use facts.
    pub fn add_facts(&self, kind: &Kind, uses: &mut Uses) {
        self.of_kind(kind).for_each(|policies| policies.add_facts(&kind.resource.name, uses));
    }

    fn of_kind<'i>(&'i self, kind: &'i Kind) -> impl Iterator<Item = &'i ByResource> {
        let any = if kind.is_connection { &self.any_forbids } else { &self.any };
        [any].into_iter().chain(kind.actions().filter_map(|action| self.of.get(action)))
    }

    fn is_empty(&self) -> bool {
        self.any.is_empty() && self.of.is_empty()
    }
}
