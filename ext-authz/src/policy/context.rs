//! The context record of one request, in typed values; nothing that is not in the key gets in.

use std::net::IpAddr;

use authz_core::{
    facts::{HeaderValue, Http},
    gate::Admitted,
    plan::Read,
    reading::Reading,
    time::Timestamp,
};
use cedar_policy::{Context, RestrictedExpression};

use super::{
    lifetime::{Mention, TimeZone, datetime, millis, minute, weekday},
    problem::Unexpected,
    shape::{Fact, Shape},
    vocabulary::Types,
};

/// What a context is filled from.
#[derive(Copy, Clone)]
pub(super) struct Source<'a> {
    pub admitted: &'a Admitted<'a>,
    pub types: &'a Types,
    /// What is in the key: only that may be seen.
    pub reading: &'a Reading,
    /// When it is; whoever reuses the decision must know until when it holds.
    pub now: Timestamp,
    /// Where `context.clock` hangs.
    pub zone: &'a TimeZone,
    /// Milliseconds; 0 in every decision that may be reused.
    pub view_age: i64,
}

/// The context of a request: what `shape` names, as far as the request has it.
pub(super) fn build(shape: &Shape, source: Source<'_>) -> Result<Context, Unexpected> {
    let Shape::Record(attributes) = shape else { return Ok(Context::empty()) };
    let mut pairs = Vec::with_capacity(attributes.len());
    for (attribute, shape) in attributes {
        if let Some(value) = value(shape, source)? {
            pairs.push((attribute.to_string(), value));
        }
    }
    Context::from_pairs(pairs).map_err(Unexpected::of)
}

fn value(shape: &Shape, source: Source<'_>) -> Result<Option<RestrictedExpression>, Unexpected> {
    match shape {
        Shape::Fact(fact) => Ok(fact_value(fact, source)),
        Shape::Record(attributes) => {
            let mut pairs = Vec::with_capacity(attributes.len());
            for (attribute, shape) in attributes {
                if let Some(value) = value(shape, source)? {
                    pairs.push((attribute.to_string(), value));
                }
            }
            RestrictedExpression::new_record(pairs).map(Some).map_err(Unexpected::of)
        }
    }
}

fn fact_value(fact: &Fact, source: Source<'_>) -> Option<RestrictedExpression> {
    let Source { admitted, types, reading, view_age, .. } = source;
    let read = match fact {
        Fact::ViewAge => return Some(RestrictedExpression::new_long(view_age)),
        Fact::Time(fact) => return time_value(*fact, source),
        Fact::Method => return admitted.http().map(|http| text(http.method)),
        Fact::Read(read) if reading.has(read) => read,
        Fact::Read(_) => return None,
    };
    let (facts, chain) = (admitted.facts(), admitted.facts().chain);
    match read {
        Read::DestinationIp => facts.destination.map(|to| address(to.ip())),
        Read::DestinationPort => facts.destination.map(|to| RestrictedExpression::new_long(to.port().into())),
        // What a key holds of credentials, their workloads have; and the resource is no part of the context.
        Read::CredentialLifetime
        | Read::CredentialNotAfter
        | Read::CredentialNotBefore
        | Read::HopCredentials
        | Read::Resource => None,
        Read::HopCount => Some(RestrictedExpression::new_long(i64::try_from(chain.count()).unwrap_or(i64::MAX))),
        Read::Hops => Some(workloads(admitted, types)),
        Read::HopsComplete => Some(RestrictedExpression::new_bool(chain.is_complete())),
        Read::Origin => admitted.origin().map(|id| RestrictedExpression::new_entity_uid(types.caller(id.as_str()))),
        Read::Sni => facts.sni.map(text),
        Read::SourceIp => facts.source_ip.map(address),
        Read::Header(_) | Read::Host | Read::Path | Read::Protocol | Read::Query | Read::Scheme => {
            admitted.http().and_then(|http| http_value(read, http))
        }
    }
}

fn time_value(fact: Mention, Source { now, zone, .. }: Source<'_>) -> Option<RestrictedExpression> {
    let offset = || zone.offset_millis(now);
    match fact {
        Mention::Now => Some(RestrictedExpression::new_datetime(datetime(now))),
        Mention::Minute => Some(RestrictedExpression::new_long(minute(millis(now), offset()))),
        Mention::Weekday => Some(RestrictedExpression::new_long(weekday(millis(now), offset()))),
        // Credentials belong to workloads.
        _ => None,
    }
}

fn http_value(read: &Read, http: &Http<'_>) -> Option<RestrictedExpression> {
    match read {
        Read::Header(name) => match http.headers.one(name) {
            HeaderValue::One(value) => Some(text(value)),
            HeaderValue::Absent | HeaderValue::Many | HeaderValue::NotText => None,
        },
        Read::Host => Some(text(http.host)),
        Read::Path => Some(RestrictedExpression::new_string(http.path.normal().into_owned())),
        Read::Protocol => Some(text(http.protocol)),
        Read::Query => http.query.map(text),
        Read::Scheme => Some(text(http.scheme)),
        _ => None,
    }
}

/// Every workload the request is known to have crossed, the caller and the origin among them.
fn workloads(admitted: &Admitted<'_>, types: &Types) -> RestrictedExpression {
    let behind = admitted.facts().chain.hops().iter().map(AsRef::as_ref);
    let all = admitted.caller().into_iter().chain(behind);
    RestrictedExpression::new_set(
        all.map(|it| RestrictedExpression::new_entity_uid(types.caller(it.credential().id().as_str()))),
    )
}

fn text(content: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(content.to_owned())
}

/// An IPv4 address that came through an IPv6 socket is that IPv4 address, or ranges of policies would miss it.
pub(super) fn address(ip: IpAddr) -> RestrictedExpression {
    RestrictedExpression::new_ip(ip.to_canonical().to_string())
}
