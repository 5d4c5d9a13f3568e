//! Exact cache keys: the policy digest and, whole, every fact the policies read; no hash, so no collision.

use std::net::IpAddr;

use crate::{
    facts::{HeaderValue, Http, QueryValue},
    gate::{Admitted, Principal},
    identity::SpiffeId,
    plan::Read,
};

impl Admitted<'_> {
    /// Writes the key of this request into `key`, replacing what it held; a reused buffer needs no allocation.
    ///
    /// Every part carries its length, so different facts can't give the same bytes.
    pub fn write_key(&self, key: &mut Vec<u8>) {
        key.clear();
        key.extend_from_slice(&self.plan().digest().0);
        self.put_principal(key);
        put(key, self.http().map(|http| http.method.as_bytes()));
        for read in self.plan().reads() {
            self.put_read(read, key);
        }
    }

    /// Every workload has an ID, so nobody unverified has the key of one.
    fn put_principal(&self, key: &mut Vec<u8>) {
        match self.principal() {
            Principal::Workload(caller) => put_id(key, Some(caller.credential().id())),
            Principal::Unverified(unverified) => {
                put_id(key, None);
                put(key, Some(unverified.cause().as_str().as_bytes()));
                put(key, unverified.claimed_id().map(str::as_bytes));
                put_number(key, Some(unverified.names().len()));
                unverified.names().iter().for_each(|name| put(key, Some(name.as_bytes())));
                put_ip(key, self.facts().source_ip);
            }
        }
    }

    fn put_read(&self, read: &Read, key: &mut Vec<u8>) {
        let facts = self.facts();
        match read {
            Read::DestinationIp => put_ip(key, facts.destination.map(|to| to.ip())),
            Read::DestinationPort => put_number(key, facts.destination.map(|to| to.port().into())),
            Read::HopCount => put_number(key, Some(facts.chain.count())),
            Read::Hops => {
                put_number(key, Some(facts.chain.count()));
                facts.chain.hops().iter().for_each(|hop| put_id(key, Some(hop.credential().id())));
            }
            Read::HopsComplete => put_number(key, Some(facts.chain.is_complete().into())),
            Read::Origin => put_id(key, self.origin()),
            Read::Sni => put(key, facts.sni.map(str::as_bytes)),
            Read::SourceIp => put_ip(key, facts.source_ip),
            Read::GrpcMethod
            | Read::GrpcService
            | Read::Header(_)
            | Read::Host
            | Read::Path
            | Read::Protocol
            | Read::Query
            | Read::QueryParameter(_)
            | Read::Scheme => match self.http() {
                Some(http) => put_http(read, http, key),
                None => put(key, None),
            },
        }
    }
}

fn put_http(read: &Read, http: &Http<'_>, key: &mut Vec<u8>) {
    match read {
        Read::GrpcMethod => put(key, http.grpc().map(|grpc| grpc.method.as_bytes())),
        Read::GrpcService => put(key, http.grpc().map(|grpc| grpc.service.as_bytes())),
        Read::Header(name) => match http.headers.one(name) {
            HeaderValue::One(text) => put(key, Some(text.as_bytes())),
            HeaderValue::Absent | HeaderValue::Many | HeaderValue::NotText => put(key, None),
        },
        Read::Host => put(key, Some(http.host.as_bytes())),
        Read::Path => {
            put_length(key, Some(http.path.as_received().len()));
            http.path.write_normal(key);
        }
        Read::Protocol => put(key, Some(http.protocol.as_bytes())),
        Read::Query => put(key, http.query.map(str::as_bytes)),
        Read::QueryParameter(name) => match http.query_parameter(name) {
            QueryValue::One(text) => put(key, Some(text.as_bytes())),
            QueryValue::Absent | QueryValue::Ambiguous => put(key, None),
        },
        Read::Scheme => put(key, Some(http.scheme.as_bytes())),
        _ => {}
    }
}

fn put_id(key: &mut Vec<u8>, id: Option<&SpiffeId>) {
    put(key, id.map(|id| id.as_str().as_bytes()));
}

fn put_ip(key: &mut Vec<u8>, ip: Option<IpAddr>) {
    match ip {
        None => put(key, None),
        Some(IpAddr::V4(ip)) => put(key, Some(&ip.octets())),
        Some(IpAddr::V6(ip)) => put(key, Some(&ip.octets())),
    }
}

fn put_number(key: &mut Vec<u8>, number: Option<usize>) {
    match number {
        None => put(key, None),
        Some(number) => put(key, Some(&number.to_le_bytes())),
    }
}

/// One part: its length, then its bytes.
fn put(key: &mut Vec<u8>, part: Option<&[u8]>) {
    put_length(key, part.map(<[u8]>::len));
    key.extend_from_slice(part.unwrap_or_default());
}

/// A length plus one, or 0 for an absent part.
fn put_length(key: &mut Vec<u8>, length: Option<usize>) {
    let length = length.map_or(0, |bytes| u32::try_from(bytes).unwrap_or(u32::MAX - 1).saturating_add(1));
    key.extend_from_slice(&length.to_le_bytes());
}

#[cfg(test)]
mod tests;
