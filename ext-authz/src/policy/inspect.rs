//! Policies opened up for people: what each asks for, and what came of it for one request. What is decided is still decided by
//! the compiled policies alone.

use std::collections::HashSet;

use authz_core::{gate::Admitted, plan::Read, time::Timestamp};
use cedar_policy::{Entities, PolicyId, Request};

mod condition;
mod dossier;

pub use self::{
    condition::{Answer, Condition, Glance, Leaf, Outcome, Parts},
    dossier::{Demand, Dossier, Hearing, Part},
};
use super::{
    compile::{compile, on_a_deep_stack},
    compiled::CompiledPolicies,
    files::{PolicyError, PolicyFiles, read},
    problem::InvalidPolicies,
    source::Sources,
    statement,
};

/// A policy set in force on a bench, and every policy of it by its parts.
pub struct Inspector {
    compiled: CompiledPolicies,
    dossiers: Vec<Dossier>,
}

/// One admitted request as Cedar sees it, with every fact that any policy of the set reads.
pub struct Scene {
    request: Request,
    entities: Entities,
    candidates: HashSet<PolicyId>,
    facts: Vec<(Read, Glance)>,
}

impl Inspector {
    /// Reads and compiles a policy set. Blocks, so not for async threads.
    ///
    /// # Errors
    /// As [`load`](super::load).
    pub fn load(files: &PolicyFiles) -> Result<Self, PolicyError> {
        Ok(Self::of(&read(files)?)?)
    }

    /// Compiles a policy set.
    ///
    /// # Errors
    /// As [`compile`].
    pub fn of(sources: &Sources) -> Result<Self, InvalidPolicies> {
        let compiled = compile(sources)?;
        let dossiers = on_a_deep_stack(|| {
            let mut problems = Vec::new();
            let statements = statement::parse_all(&sources.policies, &mut problems);
            if !problems.is_empty() {
                return Err(InvalidPolicies { problems });
            }
            Ok(statements.iter().map(|it| Dossier::of(it, compiled.applies(it.policy.id()))).collect())
        })?;
        Ok(Self { compiled, dossiers })
    }

    /// What decides.
    pub fn compiled(&self) -> &CompiledPolicies {
        &self.compiled
    }

    /// Every policy, in the order of the files.
    pub fn dossiers(&self) -> &[Dossier] {
        &self.dossiers
    }

    /// The policy of this name.
    pub fn dossier(&self, name: &str) -> Option<&Dossier> {
        self.dossiers.iter().find(|dossier| *dossier.name == *name)
    }

    /// The request as policies see it; nothing, if they are not asked about it.
    pub fn scene(&self, admitted: &Admitted<'_>, now: Timestamp, view_age: i64) -> Option<Scene> {
        self.compiled.scene(admitted, now, view_age)
    }
}

impl Scene {
    /// With `facts` by the paths under which policies see them.
    pub(super) fn new(
        (request, entities): (Request, Entities),
        candidates: HashSet<PolicyId>,
        facts: Vec<(Read, String)>,
    ) -> Self {
        let of_caller = OF_CALLER.iter().map(|(read, path)| (read.clone(), (*path).to_owned()));
        let facts = facts.into_iter().chain(of_caller).map(|(read, path)| (read, Glance::of(path))).collect();
        Self { request, entities, candidates, facts }
    }

    /// What a policy says.
    pub fn hear<'d>(&self, dossier: &'d Dossier) -> Hearing<'d> {
        dossier.hear(self)
    }

    /// What stands where a condition looks, in Cedar's syntax; nothing, if nothing does.
    pub fn value(&self, glance: &Glance) -> Option<String> {
        glance.value(self)
    }

    /// The path under which policies see a fact, and what it is, if it is there.
    pub fn fact(&self, read: &Read) -> Option<(&str, Option<String>)> {
        let (_, glance) = self.facts.iter().find(|(known, _)| known == read)?;
        Some((&glance.path, glance.value(self)))
    }

    /// The groups that the caller is in, by name, in Cedar's syntax.
    pub fn groups_of_caller(&self) -> Vec<String> {
        let groups = self.request.principal().and_then(|caller| self.entities.ancestors(caller));
        let mut names: Vec<String> = groups.into_iter().flatten().map(ToString::to_string).collect();
        names.sort_unstable();
        names
    }
}

/// Facts that are no part of the context: policies see them as attributes of the caller.
const OF_CALLER: [(Read, &str); 5] = [
    (Read::CredentialLifetime, "principal.credential.lifetime"),
    (Read::CredentialNotAfter, "principal.credential.expires_in"),
    (Read::CredentialNotBefore, "principal.credential.age"),
    (Read::Posture, "principal.posture"),
    (Read::Risk, "principal.risk"),
];

#[cfg(test)]
mod tests;
