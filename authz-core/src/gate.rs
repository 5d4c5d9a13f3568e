//! The gate before every cache: identity, then revocation, then form. It evaluates no policy and keeps nothing.

use crate::{
    facts::{Caller, Facts, HeaderValue, Http, Presented},
    plan::{Plan, Read},
    reason::{Class, Reason},
    revocation::RevocationSet,
    scope::Scope,
    time::Timestamp,
};

/// Admits requests whose caller is proven, in force and not revoked.
#[derive(Copy, Clone)]
pub struct Gate<'s> {
    revocations: &'s RevocationSet,
    plan: &'s Plan,
}

/// Proof that a request passed the gate; without one there is no key and no evaluation.
#[derive(Copy, Clone)]
pub struct Admitted<'a> {
    caller: &'a Caller,
    facts: &'a Facts<'a>,
    http: &'a Http<'a>,
    plan: &'a Plan,
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
        Self { revocations, plan }
    }

    /// Admits the request, or says why not.
    pub fn admit<'a>(&self, facts: &'a Facts<'a>, now: Timestamp) -> Result<Admitted<'a>, Denial>
    where
        's: 'a,
    {
        let caller = self.caller(facts, now)?;
        let http = facts.http.as_ref().map_err(|_| Denial::of(Reason::RequestMalformed))?;
        match self.plan.reads().iter().find_map(|read| unreadable(http, read)) {
            Some(reason) => Err(Denial::of(reason)),
            None => Ok(Admitted { caller, facts, http, plan: self.plan }),
        }
    }

    fn caller<'a>(&self, facts: &'a Facts<'a>, now: Timestamp) -> Result<&'a Caller, Denial> {
        let caller = match facts.caller {
            Presented::Unverified(reason) => return Err(Denial::of(reason)),
            Presented::Verified(caller) => caller,
        };
        let credential = caller.credential();
        if now < credential.not_before() {
            return Err(Denial::of(Reason::CertificateNotYetValid));
        }
        if !credential.holds_at(now) {
            return Err(Denial::of(Reason::CertificateExpired));
        }
        match self.revocations.revokes(caller, now) {
            Some(scope) => Err(Denial { reason: Reason::Revoked, scope: Some(scope.clone()) }),
            None => Ok(caller),
        }
    }
}

impl<'a> Admitted<'a> {
    /// The proven caller.
    pub fn caller(&self) -> &'a Caller {
        self.caller
    }

    /// All facts.
    pub fn facts(&self) -> &'a Facts<'a> {
        self.facts
    }

    /// The well-formed request.
    pub fn http(&self) -> &'a Http<'a> {
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
        Read::Header(name) => matches!(http.headers.one(name), HeaderValue::Many | HeaderValue::NotText)
            .then_some(Reason::HeaderAmbiguous),
        // Hosts are equal without regard to case (RFC 9110 §4.2.3), texts in policies are not: a `forbid` on a host must
        // not be passed by shouting it.
        Read::Host => http.host.bytes().any(|byte| byte.is_ascii_uppercase()).then_some(Reason::RequestMalformed),
        _ => None,
    }
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
