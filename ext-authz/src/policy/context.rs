//! The context record of one request, in typed values; nothing that is not in the key gets in.

use std::net::IpAddr;

use authz_core::{facts::HeaderValue, gate::Admitted, plan::Read};
use cedar_policy::{Context, RestrictedExpression};

use super::{
    problem::Unexpected,
    shape::{Fact, Shape},
};

/// The context of a request: what `shape` names, as far as the request has it.
pub(super) fn build(shape: &Shape, admitted: &Admitted<'_>) -> Result<Context, Unexpected> {
    let Shape::Record(attributes) = shape else { return Ok(Context::empty()) };
    let mut pairs = Vec::with_capacity(attributes.len());
    for (attribute, shape) in attributes {
        if let Some(value) = value(shape, admitted)? {
            pairs.push((attribute.to_string(), value));
        }
    }
    Context::from_pairs(pairs).map_err(Unexpected::of)
}

fn value(shape: &Shape, admitted: &Admitted<'_>) -> Result<Option<RestrictedExpression>, Unexpected> {
    match shape {
        Shape::Fact(fact) => Ok(fact_value(fact, admitted)),
        Shape::Record(attributes) => {
            let mut pairs = Vec::with_capacity(attributes.len());
            for (attribute, shape) in attributes {
                if let Some(value) = value(shape, admitted)? {
                    pairs.push((attribute.to_string(), value));
                }
            }
            RestrictedExpression::new_record(pairs).map(Some).map_err(Unexpected::of)
        }
    }
}

fn fact_value(fact: &Fact, admitted: &Admitted<'_>) -> Option<RestrictedExpression> {
    let http = admitted.http();
    let text = match fact {
        Fact::Method => http.method,
        Fact::Read(Read::Header(name)) => match http.headers.one(name) {
            HeaderValue::One(text) => text,
            HeaderValue::Absent | HeaderValue::Many | HeaderValue::NotText => return None,
        },
        Fact::Read(Read::Host) => http.host,
        Fact::Read(Read::Path) => http.path,
        Fact::Read(Read::Protocol) => http.protocol,
        Fact::Read(Read::Query) => http.query?,
        Fact::Read(Read::Scheme) => http.scheme,
        Fact::Read(Read::Sni) => admitted.facts().sni?,
        Fact::Read(Read::SourceIp) => return admitted.facts().source_ip.map(address),
    };
    Some(RestrictedExpression::new_string(text.to_owned()))
}

/// An IPv4 address that came through an IPv6 socket is that IPv4 address, or ranges of policies would miss it.
fn address(ip: IpAddr) -> RestrictedExpression {
    RestrictedExpression::new_ip(ip.to_canonical().to_string())
}
