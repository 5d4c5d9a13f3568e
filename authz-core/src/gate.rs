//! The gate before every cache: identity, then revocation, then form. It evaluates no policy and keeps nothing.

use crate::{
    facts::{Asked, CONTENT_TYPE, Caller, Facts, HeaderValue, Http, Presented, QueryValue, Unverified},
    identity::SpiffeId,
    plan::{Plan, Read},
    reason::{Class, Reason},
    revocation::RevocationSet,
    scope::Scope,
    standing::{Effective, RiskScore, Standings},
    time::Timestamp,
};

/// Admits requests whose caller is proven, in force and not revoked, and nobody behind it either.
#[derive(Copy, Clone)]
pub struct Gate<'s> {
    revocations: &'s RevocationSet,
    standings: Option<&'s Standings>,
    plan: &'s Plan,
}

/// Proof that a request passed the gate; without one there is no key and no evaluation.
#[derive(Copy, Clone)]
pub struct Admitted<'a> {
    principal: Principal<'a>,
    facts: &'a Facts<'a>,
    http: Option<&'a Http<'a>>,
    plan: &'a Plan,
    standings: Option<&'a Standings>,
    now: Timestamp,
}

/// Whose request policies are asked about.
#[derive(Copy, Clone)]
pub enum Principal<'a> {
    /// Of somebody who proved nothing; only where a policy may let such a one in.
    Unverified(&'a Unverified),
    /// Of a verified workload that is not revoked.
    Workload(&'a Caller),
}

/// Why a request did not pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denial {
    /// The reason.
    pub reason: Reason,
    /// The revoked scope, where that is the reason.
    pub scope: Option<Scope>,
}

impl<'s> Gate<'s> {
    /// A gate over the revocations and the plan of one snapshot.
    pub fn new(revocations: &'s RevocationSet, plan: &'s Plan) -> Self {
        Self { revocations, standings: None, plan }
    }

    /// With what signals say of risk and posture besides.
    pub fn with_standings(self, standings: &'s Standings) -> Self {
        Self { standings: Some(standings), ..self }
    }

    /// Admits the request, or says why not.
    pub fn admit<'a>(&self, facts: &'a Facts<'a>, now: Timestamp) -> Result<Admitted<'a>, Denial>
    where
        's: 'a,
    {
        let principal = self.principal(facts, now)?;
        self.check_hops(facts, now)?;
        let http = match &facts.asked {
            Asked::Connection => None,
            Asked::Http(Ok(http)) => Some(http),
            Asked::Http(Err(invalid)) => return Err(Denial::of(invalid.reason())),
        };
        match http.and_then(|http| self.unreadable(http)) {
            Some(reason) => Err(Denial::of(reason)),
            None => Ok(Admitted { principal, facts, http, plan: self.plan, standings: self.standings, now }),
        }
    }

    fn principal<'a>(&self, facts: &'a Facts<'a>, now: Timestamp) -> Result<Principal<'a>, Denial> {
        match facts.caller {
            Presented::Verified(caller) => self.caller(caller, now).map(Principal::Workload),
            Presented::Unverified(unverified) => self.unverified(unverified, now).map(Principal::Unverified),
        }
    }

    fn caller<'a>(&self, caller: &'a Caller, now: Timestamp) -> Result<&'a Caller, Denial> {
        check_time(caller, now)?;
        match self.revocations.revokes(caller, now) {
            Some(scope) => Err(Denial { reason: Reason::Revoked, scope: Some(scope.clone()) }),
            None => Ok(caller),
        }
    }

    /// INVARIANT: who is revoked stays out also where it proves less than it could.
    fn unverified<'a>(&self, unverified: &'a Unverified, now: Timestamp) -> Result<&'a Unverified, Denial> {
        if !self.plan.rules().judge_unverified {
            return Err(Denial::of(unverified.cause()));
        }
        let claim = unverified.claim();
        let revoked =
            claim.and_then(|claim| self.revocations.revoked(claim.scopes(), claim.credential().not_before(), now));
        match revoked {
            Some(scope) => Err(Denial { reason: Reason::Revoked, scope: Some(scope.clone()) }),
            None => Ok(unverified),
        }
    }

    /// INVARIANT: every workload behind the caller is asked about like the caller itself, each time.
    fn check_hops(&self, facts: &Facts<'_>, now: Timestamp) -> Result<(), Denial> {
        for hop in facts.chain.hops() {
            check_time(hop, now)?;
            if let Some(scope) = self.revocations.revokes(hop, now) {
                return Err(Denial { reason: Reason::HopRevoked, scope: Some(scope.clone()) });
            }
        }
        Ok(())
    }

    fn unreadable(&self, http: &Http<'_>) -> Option<Reason> {
        if http.headers.has_repeated() {
            return Some(Reason::HeaderAmbiguous);
        }
        if self.plan.rules().refuse_path_parameters && http.path.has_parameters() {
            return Some(Reason::PathAmbiguous);
        }
        self.plan.reads().iter().find_map(|read| unreadable(http, read))
    }
}

fn check_time(caller: &Caller, now: Timestamp) -> Result<(), Denial> {
    let credential = caller.credential();
    if now < credential.not_before() {
        return Err(Denial::of(Reason::CertificateNotYetValid));
    }
    if !credential.holds_at(now) {
        return Err(Denial::of(Reason::CertificateExpired));
    }
    Ok(())
}

impl<'a> Admitted<'a> {
    /// Who asks.
    pub fn principal(&self) -> Principal<'a> {
        self.principal
    }

    /// The proven caller, if there is one.
    pub fn caller(&self) -> Option<&'a Caller> {
        match self.principal {
            Principal::Unverified(_) => None,
            Principal::Workload(caller) => Some(caller),
        }
    }

    /// The workload that began, if it is known.
    pub fn origin(&self) -> Option<&'a SpiffeId> {
        self.caller().and_then(|caller| self.facts.chain.origin(caller))
    }

    /// What signals say of the caller's risk, if anything; see [`Admitted::standing_of`].
    pub fn risk(&self) -> Option<RiskScore> {
        self.standings?.risk(self.caller()?, self.now)
    }

    /// What signals say of a workload's risk and posture; nothing where that is not known.
    pub fn standing_of(&self, workload: &Caller) -> Option<Effective> {
        self.standings.map(|standings| standings.effective(workload, self.now))
    }

    /// All facts.
    pub fn facts(&self) -> &'a Facts<'a> {
        self.facts
    }

    /// The well-formed request; none if a connection is asked for.
    pub fn http(&self) -> Option<&'a Http<'a>> {
        self.http
    }

    /// The plan it was admitted under.
    pub fn plan(&self) -> &'a Plan {
        self.plan
    }
}

/// What keeps policies from reading this fact in one way only.
fn unreadable(http: &Http<'_>, read: &Read) -> Option<Reason> {
    match read {
        Read::Header(name) => ambiguous_header(http, name),
        Read::GrpcMethod | Read::GrpcService => ambiguous_header(http, CONTENT_TYPE),
        Read::QueryParameter(name) => {
            (http.query_parameter(name) == QueryValue::Ambiguous).then_some(Reason::QueryAmbiguous)
        }
        // Hosts are equal without regard to case (RFC 9110 §4.2.3), texts in policies are not: a `forbid` on a host must
        // not be passed by shouting it.
        Read::Host => http.host.bytes().any(|byte| byte.is_ascii_uppercase()).then_some(Reason::RequestMalformed),
        _ => None,
    }
}

fn ambiguous_header(http: &Http<'_>, name: &str) -> Option<Reason> {
    matches!(http.headers.one(name), HeaderValue::Many | HeaderValue::NotText).then_some(Reason::HeaderAmbiguous)
}

impl Denial {
    /// A reason that allows is a fault of whoever gave it, and no denial.
    fn of(reason: Reason) -> Self {
        let reason = if reason.class() == Class::Allow { Reason::Internal } else { reason };
        Self { reason, scope: None }
    }
}

#[cfg(test)]
mod tests;
