//! A caller that proved nothing: why, and what it claims all the same. A claim is a fact about a request, never an identity.

use crate::{identity::Credential, reason::Reason, scope::Scopes};

/// Whoever is on the other end of a connection without a verified identity.
#[derive(Clone, Debug)]
pub struct Unverified {
    cause: Reason,
    claim: Option<Claim>,
    names: Box<[String]>,
}

/// What the certificate of an unverified caller says about it.
#[derive(Clone, Debug)]
pub struct Claim {
    credential: Credential,
    scopes: Scopes,
}

impl Unverified {
    /// For `cause`, a reason of class identity, with what was claimed, if that could be read at all.
    pub fn new(cause: Reason, claim: Option<Claim>) -> Self {
        Self { cause, claim, names: Box::default() }
    }

    /// The same with the names its certificate gives itself.
    pub fn named(self, names: impl Into<Box<[String]>>) -> Self {
        Self { names: names.into(), ..self }
    }

    /// URI and DNS names it claims.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Why nothing is proven.
    pub fn cause(&self) -> Reason {
        self.cause
    }

    /// What it claims to be.
    pub fn claim(&self) -> Option<&Claim> {
        self.claim.as_ref()
    }

    /// The SPIFFE ID it claims.
    pub fn claimed_id(&self) -> Option<&str> {
        self.claim.as_ref().map(|claim| claim.credential.id().as_str())
    }
}

impl Claim {
    /// By a certificate that nobody vouches for.
    pub fn new(credential: Credential) -> Self {
        Self { scopes: Scopes::of(&credential), credential }
    }

    /// What the certificate says.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// What would revoke it, were it proven: who is revoked is not let in for proving less.
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }
}
