//! Everything a decision may look at, borrowed from what arrived and parsed once; it judges nothing.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use crate::{clearance::Clearance, hops::Chain, identity::Credential, scope::Scopes};

mod headers;
mod http;
mod path;
mod single;
mod unverified;

pub(crate) use self::path::normal_bytes;
pub use self::{
    headers::{HeaderValue, Headers, NoHeaders},
    http::{Http, InvalidHttp},
    path::NormalPath,
    single::is_repeated,
    unverified::{Claim, Unverified},
};

/// The facts of one request on one hop.
#[derive(Copy, Clone)]
pub struct Facts<'a> {
    /// Who is on the other end of this hop.
    pub caller: Presented<'a>,
    /// Who stands behind the caller.
    pub chain: &'a Chain,
    /// What is asked for.
    pub asked: Asked<'a>,
    /// Address of the other end of the connection.
    pub source_ip: Option<IpAddr>,
    /// Address it connected to.
    pub destination: Option<SocketAddr>,
    /// Server name the client asked for in its TLS hello.
    pub sni: Option<&'a str>,
}

impl<'a> Facts<'a> {
    /// Of an HTTP request by `caller`, with nothing known of the connection and nobody behind the caller.
    pub fn of_http(caller: Presented<'a>, http: Result<Http<'a>, InvalidHttp>) -> Self {
        Self { caller, chain: Chain::direct(), asked: Asked::Http(http), source_ip: None, destination: None, sni: None }
    }
}

/// What is asked for.
#[derive(Copy, Clone)]
pub enum Asked<'a> {
    /// A connection, whatever is then said on it.
    Connection,
    /// An HTTP request, or what is wrong with it.
    Http(Result<Http<'a>, InvalidHttp>),
}

/// What the connection proves about the other end.
#[derive(Copy, Clone, Debug)]
pub enum Presented<'a> {
    /// Nothing.
    Unverified(&'a Unverified),
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
