//! Policies in buckets by scope, so that a request meets only those that can match it; it evaluates none.

use std::{collections::HashMap, sync::Arc};

use authz_core::reading::Uses;
use cedar_policy::{Effect, EntityUid, Policy, PolicySet};

use super::{
    problem::Unexpected,
    scope::{Actions, Callers, Scope},
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
    any: Candidates,
    /// Those of `any` that are about connections too: a `permit` for any action is one for HTTP requests.
    any_forbids: Candidates,
    of: HashMap<EntityUid, Candidates>,
}

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
        match scope.actions {
            Actions::Any => {
                let forbids = policy.effect() == Effect::Forbid;
                if forbids { bucket.any_forbids.add(policy, facts) } else { Ok(()) }?;
                bucket.any.add(policy, facts)
            }
            Actions::Of(actions) => {
                actions.into_iter().try_for_each(|action| bucket.of.entry(action).or_default().add(policy, facts))
            }
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
    /// The policies that can match this action; whether that is a connection or an HTTP request, the caller knows.
    pub fn of_action(&self, action: &EntityUid, is_connection: bool) -> impl Iterator<Item = &Candidates> {
        let any = if is_connection { &self.any_forbids } else { &self.any };
        [Some(any), self.of.get(action)].into_iter().flatten().filter(|it| !it.policies.is_empty())
    }

    fn is_empty(&self) -> bool {
        self.any.policies.is_empty() && self.of.is_empty()
    }
}
