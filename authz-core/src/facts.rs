//! Everything a decision may look at, borrowed from what arrived and parsed once; it judges nothing.

use std::{net::IpAddr, sync::Arc};

use crate::{clearance::Clearance, identity::Credential, reason::Reason, scope::Scopes};

mod headers;
mod http;
mod path;

pub use self::{
    headers::{HeaderValue, Headers, NoHeaders},
    http::{Http, InvalidHttp},
};

/// The facts of one request on one hop.
#[derive(Copy, Clone)]
pub struct Facts<'a> {
    /// Who is on the other end of this hop.
    pub caller: Presented<'a>,
    /// The request, or what is wrong with it.
    pub http: Result<Http<'a>, InvalidHttp>,
    /// Address of the other end of the connection.
    pub source_ip: Option<IpAddr>,
    /// Server name the client asked for in its TLS hello.
    pub sni: Option<&'a str>,
}

/// What the connection proves about the other end.
#[derive(Copy, Clone, Debug)]
pub enum Presented<'a> {
    /// Nothing, for this reason (of class [`crate::reason::Class::Identity`]).
    Unverified(Reason),
    /// A workload, by a certificate that Countersign verified.
    Verified(&'a Caller),
}

/// A verified workload: the credential that proved it and every scope that credential rests on.
#[derive(Clone, Debug)]
pub struct Caller {
    credential: Credential,
    scopes: Scopes,
    clearance: Clearance,
}

impl Caller {
    /// A caller by a credential whose chain was verified. Only verification and the link may call this.
    pub fn verified(credential: Credential) -> Arc<Self> {
        Arc::new(Self { scopes: Scopes::of(&credential), clearance: Clearance::default(), credential })
    }

    /// What proved it.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// What revokes it.
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// What is known of the last set of revocations that was asked about it.
    pub(crate) fn clearance(&self) -> &Clearance {
        &self.clearance
    }
}
