//! Exact cache keys: the policy digest and every fact that the policies read, whole or as a class; no hash, so no collision.

use std::{borrow::Cow, collections::BTreeMap, net::IpAddr};

use crate::{
    facts::{Caller, HeaderValue, Http, QueryValue},
    gate::{Admitted, Principal},
    identity::{Credential, SpiffeId},
    plan::Read,
    reading::{How, Reading},
    standing::Effective,
    time::Timestamp,
};

impl Admitted<'_> {
    /// Writes the key of this request into `key`, replacing what it held; a reused buffer needs no allocation.
    ///
    /// `reading` must be that of this caller and operation under this plan: so the bytes before the facts tell how to read them.
    /// Every part that is whole carries its length, so different facts can't give the same bytes.
    pub fn write_key(&self, reading: &Reading, key: &mut Vec<u8>) {
        key.clear();
        key.extend_from_slice(&self.plan().digest().0);
        self.put_principal(key);
        put(key, self.http().map(|http| http.method.as_bytes()));
        for (read, how) in reading.items() {
            self.put_read(read, how, key);
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

    fn put_read(&self, read: &Read, how: &How, key: &mut Vec<u8>) {
        match how {
            How::Ip(class) => put_class(self.ip(read), key, |ip, key| class.put(ip.to_canonical(), key)),
            How::Members(class) => class.put(|id| self.has_come_through(id), key),
            How::Number(class) => put_class(self.number(read), key, |number, key| class.put(number, key)),
            How::Text(class) => put_class(self.text(read), key, |text, key| class.put(&text, key)),
            How::Whole => self.put_whole(read, key),
        }
    }

    fn put_whole(&self, read: &Read, key: &mut Vec<u8>) {
        let chain = self.facts().chain;
        match read {
            Read::DestinationIp | Read::SourceIp => put_ip(key, self.ip(read)),
            Read::CredentialNotAfter => put_moment(key, self.caller().map(|it| it.credential().not_after())),
            Read::CredentialNotBefore => put_moment(key, self.caller().map(|it| it.credential().not_before())),
            Read::HopStandings => self.put_hop_standings(key),
            Read::Posture => put_posture(key, self.own_standing().as_ref()),
            Read::CredentialLifetime | Read::DestinationPort | Read::HopCount | Read::Risk => {
                put(key, self.number(read).map(i64::to_le_bytes).as_ref().map(|bytes| &bytes[..]));
            }
            Read::HopCredentials => self.put_validities(key),
            Read::Hops => {
                put_number(key, Some(chain.count()));
                chain.hops().iter().for_each(|hop| put_id(key, Some(hop.credential().id())));
            }
            Read::HopsComplete => put_number(key, Some(chain.is_complete().into())),
            Read::Path => match self.http() {
                None => put(key, None),
                Some(http) => {
                    put_length(key, Some(http.path.as_received().len()));
                    http.path.write_normal(key);
                }
            },
            _ => put(key, self.text(read).as_deref().map(str::as_bytes)),
        }
    }

    /// The caller's own counts too: it is that of the origin, if nobody stands behind.
    fn put_validities(&self, key: &mut Vec<u8>) {
        let hops = self.facts().chain.hops();
        put_number(key, Some(hops.len()));
        let all = self.caller().into_iter().chain(hops.iter().map(AsRef::as_ref));
        for credential in all.map(Caller::credential) {
            put_moment(key, Some(credential.not_before()));
            put_moment(key, Some(credential.not_after()));
        }
    }

    fn ip(&self, read: &Read) -> Option<IpAddr> {
        match read {
            Read::DestinationIp => self.facts().destination.map(|to| to.ip()),
            Read::SourceIp => self.facts().source_ip,
            _ => None,
        }
    }

    fn number(&self, read: &Read) -> Option<i64> {
        match read {
            Read::Risk => self.risk().map(|risk| risk.get().into()),
            Read::CredentialLifetime => self.caller().map(|it| lifetime(it.credential())),
            Read::DestinationPort => self.facts().destination.map(|to| to.port().into()),
            Read::HopCount => Some(i64::try_from(self.facts().chain.count()).unwrap_or(i64::MAX)),
            _ => None,
        }
    }

    fn own_standing(&self) -> Option<Effective> {
        self.caller().and_then(|caller| self.standing_of(caller))
    }

    fn put_hop_standings(&self, key: &mut Vec<u8>) {
        let hops = self.facts().chain.hops();
        put_number(key, Some(hops.len()));
        for standing in hops.iter().map(|hop| self.standing_of(hop)) {
            let risk = standing.as_ref().and_then(|standing| standing.risk);
            put(key, risk.map(|risk| [risk.get()]).as_ref().map(|byte| &byte[..]));
            put_posture(key, standing.as_ref());
        }
    }

    fn text(&self, read: &Read) -> Option<Cow<'_, str>> {
        match read {
            Read::Origin => self.origin().map(|id| id.as_str().into()),
            Read::Sni => self.facts().sni.map(Cow::Borrowed),
            _ => http_text(read, self.http()?),
        }
    }

    /// Whether the request is known to have crossed this workload, the caller among them.
    fn has_come_through(&self, id: &str) -> bool {
        let behind = self.facts().chain.hops().iter().map(AsRef::as_ref);
        self.caller().into_iter().chain(behind).any(|workload| workload.credential().id().as_str() == id)
    }
}

/// Milliseconds from the first moment of a credential to its last.
fn lifetime(credential: &Credential) -> i64 {
    i64::try_from(credential.not_after().millis_since(credential.not_before())).unwrap_or(i64::MAX)
}

fn put_moment(key: &mut Vec<u8>, at: Option<Timestamp>) {
    put(key, at.map(|at| at.as_millis().to_le_bytes()).as_ref().map(<[u8; 8]>::as_slice));
}

fn http_text<'h>(read: &Read, http: &Http<'h>) -> Option<Cow<'h, str>> {
    match read {
        Read::GrpcMethod => http.grpc().map(|grpc| grpc.method.into()),
        Read::GrpcService => http.grpc().map(|grpc| grpc.service.into()),
        Read::Header(name) => match http.headers.one(name) {
            HeaderValue::One(text) => Some(text.into()),
            HeaderValue::Absent | HeaderValue::Many | HeaderValue::NotText => None,
        },
        Read::Host => Some(http.host.into()),
        // Its normal form is its own, but for escapes.
        Read::Path => Some(http.path.normal()),
        Read::Protocol => Some(http.protocol.into()),
        Read::Query => http.query.map(Cow::Borrowed),
        Read::QueryParameter(name) => match http.query_parameter(name) {
            QueryValue::One(text) => Some(text),
            QueryValue::Absent | QueryValue::Ambiguous => None,
        },
        Read::Scheme => Some(http.scheme.into()),
        _ => None,
    }
}

/// Whether the fact is there, then its class. How long that is, the reading says.
fn put_class<V>(value: Option<V>, key: &mut Vec<u8>, put: impl FnOnce(V, &mut Vec<u8>)) {
    key.push(value.is_some().into());
    if let Some(value) = value {
        put(value, key);
    }
}

fn put_posture(key: &mut Vec<u8>, standing: Option<&Effective>) {
    let compliant = standing.and_then(|standing| standing.compliant);
    put_number(key, compliant.map(usize::from));
    let attributes = standing.map(|standing| &standing.attributes);
    put_number(key, attributes.map(BTreeMap::len));
    for (name, value) in attributes.into_iter().flatten() {
        put(key, Some(name.as_bytes()));
        put(key, Some(value.as_bytes()));
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
