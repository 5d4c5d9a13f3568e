//! A policy set ready to decide admitted requests; it reads no file and keeps no decision.

use std::{collections::HashMap, sync::Arc};

use authz_core::{
    decision::{Decision, DecisionId},
    facts::Unverified,
    gate::{Admitted, Principal},
    plan::{Plan, PolicyDigest},
    reading::Reading,
    reason::Reason,
    time::Timestamp,
};
use cedar_policy::{Entities, EntityId, EntityUid, PolicyId, Request};

use self::{
    callers::{CallerView, Callers},
    error_log::ErrorLog,
};
use super::{
    context,
    evaluation::{Findings, evaluate},
    index::Subject,
    lifetime::{Lifetime, Lifetimes, Mention},
    problem::{Problem, Unexpected},
    vocabulary::{CONNECTION, Kind, Place, Routes},
};

pub(super) mod callers;
mod credentials;
pub(super) mod error_log;

/// Policies in force: checked, indexed, and with the plan of what they read.
pub struct CompiledPolicies {
    pub(super) plan: Plan,
    /// Kinds of requests, by number; of the context of each only what is in some key: what is not there can't make a cached decision
    /// differ from a fresh one.
    pub(super) kinds: Vec<Kind>,
    pub(super) routes: Routes,
    pub(super) service: EntityUid,
    pub(super) callers: Callers,
    /// Whether some policy permits connections; else none is asked about them, for none was checked against them.
    pub(super) permits_connections: bool,
    /// Whether policies look at who stands behind the caller.
    pub(super) reads_chain: bool,
    pub(super) names: HashMap<PolicyId, Name>,
    pub(super) size: Size,
    pub(super) warnings: Vec<Problem>,
    pub(super) limits: Limits,
    pub(super) lifetimes: Lifetimes,
    pub(super) errors: ErrorLog,
}

/// What policies are asked about one request.
pub struct Question<'p> {
    asked: Result<(&'p Kind, Arc<CallerView>), Reason>,
    reading: Arc<Reading>,
}

impl Question<'_> {
    /// The action of its operation, if operations tell requests apart.
    pub fn action(&self) -> Option<&Arc<str>> {
        self.asked.as_ref().ok().and_then(|(kind, _)| kind.name.as_ref())
    }

    /// How the facts of the request become a key.
    pub fn reading(&self) -> &Arc<Reading> {
        &self.reading
    }
}

/// What a policy is called, and its place among the others.
pub(super) struct Name {
    pub position: usize,
    pub text: Arc<str>,
}

/// How long decisions hold, in milliseconds.
#[derive(Copy, Clone)]
pub(super) struct Limits {
    pub allow: u64,
    pub deny: u64,
}

/// How many policies there are.
#[derive(Copy, Clone)]
pub(super) struct Size {
    pub all: usize,
    pub applicable: usize,
}

/// An admitted request, the moment of its decision, and how old the view of the log then is, in milliseconds.
#[derive(Copy, Clone)]
struct Asking<'a> {
    admitted: &'a Admitted<'a>,
    now: Timestamp,
    view_age: i64,
}

/// What policies say.
struct Judgement {
    reason: Reason,
    /// Who determined it.
    policies: Arc<[Arc<str>]>,
    /// The first moment at which they may say something else, though nothing changes but the time.
    holds_until: Timestamp,
}

impl CompiledPolicies {
    /// How facts become a key under these policies.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Which policy set it is.
    pub fn digest(&self) -> PolicyDigest {
        self.plan.digest()
    }

    /// How many policies there are, also those of other services.
    pub fn len(&self) -> usize {
        self.size.all
    }

    /// Never: an empty set does not compile.
    pub fn is_empty(&self) -> bool {
        self.size.all == 0
    }

    /// How many policies can match a request at this service.
    pub fn applicable(&self) -> usize {
        self.size.applicable
    }

    /// Whether the schema has an action for this method.
    pub fn knows_method(&self, method: &str) -> bool {
        matches!(&self.routes, Routes::Methods(methods) if methods.contains_key(method))
    }

    /// What is doubtful but no mistake.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Which policies bound the lifetime of decisions, by name, and by which comparisons of facts of time; sorted.
    pub fn lifetime_bounds(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let named = |id| self.names.get(id).map(|name| Arc::clone(&name.text));
        let bounds = self.lifetimes.bounds();
        let mut bounds: Vec<_> = bounds.filter_map(|(id, test)| Some((named(id)?, Arc::clone(&test.text)))).collect();
        bounds.sort_unstable();
        bounds
    }

    /// What policies are to be asked about an admitted request, and how its facts become a key. Allocates nothing for a caller
    /// that asked before.
    pub fn question<'p>(&'p self, admitted: &Admitted<'_>) -> Question<'p> {
        let unasked = |reason| Question { asked: Err(reason), reading: Arc::default() };
        let is_connection = admitted.http().is_none();
        if is_connection && !self.permits_connections {
            return unasked(Reason::NoPermit);
        }
        let number = self.kind_of(admitted);
        let Some((number, kind)) = number.and_then(|number| Some((number, self.kinds.get(number)?))) else {
            return unasked(Reason::MethodUnknown);
        };
        match self.callers.of(admitted) {
            Ok(caller) => Question { reading: caller.reading(number, kind), asked: Ok((kind, caller)) },
            Err(error) => unasked(internal("caller", &*error)),
        }
    }

    fn kind_of(&self, admitted: &Admitted<'_>) -> Option<usize> {
        match (&self.routes, admitted.http(), admitted.operation()) {
            (Routes::Methods(methods), http, _) => methods.get(http.map_or(CONNECTION, |http| http.method)).copied(),
            (Routes::Operations(routes), None, _) => routes.connection,
            (Routes::Operations(routes), Some(_), None) => Some(routes.unmapped),
            (Routes::Operations(routes), Some(_), Some(found)) => routes.lines.get(found.operation()).copied(),
        }
    }

    /// What a request of this kind is about.
    fn subject(&self, admitted: &Admitted<'_>, kind: &Kind) -> Subject {
        let name = &kind.resource.name;
        let uid = match (kind.resource.place, admitted.resource_id()) {
            (Place::InService | Place::Elsewhere, Some(id)) => {
                EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
            }
            _ => self.service.clone(),
        };
        self.callers.subject(uid, &kind.resource)
    }

    /// Decides an admitted request while the view of the log is as it should be. It holds until the limit of the
    /// configuration, not beyond the caller's credential, and not beyond the moment at which a policy that looks at the
    /// time may say something else.
    pub fn evaluate(&self, admitted: &Admitted<'_>, id: DecisionId, now: Timestamp) -> Decision {
        self.evaluate_on_view(admitted, id, now, 0)
    }

    /// As [`CompiledPolicies::evaluate`], on a view of the log that is `view_age` milliseconds old; see
    /// [`CompiledPolicies::answer`].
    pub fn evaluate_on_view(&self, admitted: &Admitted<'_>, id: DecisionId, now: Timestamp, view_age: i64) -> Decision {
        self.answer(&self.question(admitted), admitted, id, now, view_age)
    }

    /// Decides what was [asked](Self::question) about the same request, on a view of the log that is `view_age` milliseconds
    /// old. Unless that is 0 it must not be reused: no key holds it.
    pub fn answer(
        &self,
        question: &Question<'_>,
        admitted: &Admitted<'_>,
        id: DecisionId,
        now: Timestamp,
        view_age: i64,
    ) -> Decision {
        let Judgement { reason, policies, holds_until } = self.judge(question, Asking { admitted, now, view_age });
        let caller = match admitted.principal() {
            Principal::Unverified(unverified) => return decide_unverified(unverified, id, reason, policies),
            Principal::Workload(caller) => caller,
        };
        let limit = match reason {
            _ if view_age != 0 => 0,
            Reason::Permit => self.limits.allow,
            _ => self.limits.deny,
        };
        let holds_until = holds_until.min(now.saturating_add_millis(limit)).min(caller.credential().not_after());
        match reason {
            Reason::Permit => Decision::allow(id, policies, holds_until),
            denial => Decision::deny(id, denial, policies, holds_until),
        }
    }

    fn judge(&self, question: &Question<'_>, asking: Asking<'_>) -> Judgement {
        let (kind, caller) = match &question.asked {
            Ok((kind, caller)) => (*kind, caller),
            Err(reason) => return nobody(*reason),
        };
        let subject = self.subject(asking.admitted, kind);
        let candidates = || caller.candidates(kind, &subject).map(|it| &it.policies);
        if candidates().next().is_none() {
            return nobody(Reason::NoPermit);
        }
        let lifetime = self.lifetimes.of(candidates());
        match self.cedar_request(question, (kind, caller, &subject.uid), asking, &lifetime) {
            Ok((request, entities)) => {
                let judgement = self.conclude(evaluate(candidates(), &request, &entities), asking.now);
                Judgement { holds_until: lifetime.holds_until(asking.admitted, asking.now), ..judgement }
            }
            Err(error) => nobody(internal("request", &*error)),
        }
    }

    /// The request as Cedar sees it, with every entity that it can touch.
    fn cedar_request(
        &self,
        question: &Question<'_>,
        (kind, caller, resource): (&Kind, &Arc<CallerView>, &EntityUid),
        Asking { admitted, now, view_age }: Asking<'_>,
        lifetime: &Lifetime<'_>,
    ) -> Result<(Request, Entities), Arc<Unexpected>> {
        let (types, zone) = (self.callers.types(), self.lifetimes.zone());
        let source = context::Source { admitted, types, reading: &question.reading, now, zone, view_age };
        let context = context::build(&kind.context, source)?;
        let hops = admitted.facts().chain.hops();
        let with_hops = (self.reads_chain && !hops.is_empty()).then(|| self.callers.with_hops(caller, hops));
        let mut entities = with_hops.transpose()?.as_ref().unwrap_or(caller).entities.clone();
        if lifetime.mentions(Mention::Credential) {
            let chain = lifetime.mentions(Mention::Chain);
            entities = self.callers.with_credentials(entities, admitted, now, chain)?;
        }
        if kind.resource.place != Place::Service {
            entities = self.callers.with_resource(entities, resource, &kind.resource)?;
        }
        if let Some(action) = &kind.entity {
            entities = entities.add_entities([action.clone()], None).map_err(Unexpected::of)?;
        }
        let request = Request::new(caller.uid.clone(), kind.action.clone(), resource.clone(), context, None);
        Ok((request.map_err(Unexpected::of)?, entities))
    }

    /// How many policies a request is evaluated against.
    #[cfg(test)]
    pub(super) fn candidates(&self, admitted: &Admitted<'_>) -> usize {
        let caller = self.callers.of(admitted).unwrap();
        let kind = &self.kinds[self.kind_of(admitted).unwrap()];
        let subject = self.subject(admitted, kind);
        caller.candidates(kind, &subject).map(|it| it.policies.num_of_policies()).sum()
    }

    fn conclude(&self, findings: Findings, now: Timestamp) -> Judgement {
        match findings {
            Findings::Forbidden(ids) => judgement(Reason::Forbid, self.names(ids.iter())),
            Findings::Failed(failures) => {
                self.errors.report(&failures, now);
                judgement(Reason::PolicyError, self.names(failures.iter().map(|(id, _)| id)))
            }
            Findings::Permitted(ids) => judgement(Reason::Permit, self.names(ids.iter())),
            Findings::Silent => nobody(Reason::NoPermit),
        }
    }

    /// Names in the order in which the policies were loaded, whatever order Cedar gave them in.
    fn names<'i>(&self, ids: impl Iterator<Item = &'i PolicyId>) -> Arc<[Arc<str>]> {
        let mut names: Vec<&Name> = ids.filter_map(|id| self.names.get(id)).collect();
        names.sort_by_key(|name| name.position);
        // A policy can be met more than once.
        names.dedup_by_key(|name| name.position);
        names.iter().map(|name| Arc::clone(&name.text)).collect()
    }
}

/// A denial for want of a permit says why there is no identity: that is what somebody has to mend.
fn decide_unverified(unverified: &Unverified, id: DecisionId, reason: Reason, policies: Arc<[Arc<str>]>) -> Decision {
    match reason {
        Reason::Permit => Decision::allow_unverified(id, policies),
        Reason::MethodUnknown | Reason::NoPermit => Decision::refuse(id, unverified.cause()),
        denial => Decision::deny(id, denial, policies, Timestamp::default()),
    }
}

fn judgement(reason: Reason, policies: Arc<[Arc<str>]>) -> Judgement {
    Judgement { reason, policies, holds_until: Timestamp::NEVER }
}

fn nobody(reason: Reason) -> Judgement {
    judgement(reason, Arc::from([]))
}

fn internal(what: &str, error: &dyn std::error::Error) -> Reason {
    tracing::error!(%error, "request denied: its {what} could not be built");
    Reason::Internal
}
