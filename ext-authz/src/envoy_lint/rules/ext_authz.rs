//! Rules about what `ext_authz` tells Countersign: what it isn't told it can't judge.

use super::{
    super::{model::Model, spot::Hole},
    Rule, error, off, on, warning,
};

pub(in super::super) const RULES: &[Rule] = &[
    error(
        "certificate-not-sent",
        certificate_not_sent,
        "Countersign verifies the caller's certificate itself; without it no caller has an identity",
        "include_peer_certificate: true",
    ),
    error(
        "headers-not-raw",
        headers_not_raw,
        "repeated headers arrive joined and other bytes as `!`, so policies read what the service does not",
        "encode_raw_headers: true",
    ),
    warning(
        "headers-hidden",
        headers_hidden,
        "a policy that reads a header which isn't sent finds it absent, whatever the client sent",
        "take `allowed_headers` and `disallowed_headers` away, or let through every header that policies read",
    ),
    warning(
        "tls-session-not-sent",
        tls_session_not_sent,
        "policies that read the server name of the connection (context.tls.sni) find none",
        "include_tls_session: true",
    ),
    error(
        "route-cache-cleared",
        route_cache_cleared,
        "the route is chosen anew after the decision, so another one may be taken than was decided on",
        "take `clear_route_cache` away",
    ),
];

fn certificate_not_sent(model: &Model<'_>) -> Vec<Hole> {
    off(model.ext_authz(), "include_peer_certificate")
}

fn headers_not_raw(model: &Model<'_>) -> Vec<Hole> {
    off(model.http_ext_authz(), "encode_raw_headers")
}

fn headers_hidden(model: &Model<'_>) -> Vec<Hole> {
    let fields = ["allowed_headers", "disallowed_headers"];
    let set = model.http_ext_authz().flat_map(|settings| fields.iter().filter_map(|field| settings.get(field)));
    set.map(|field| field.hole("keeps headers from Countersign")).collect()
}

fn tls_session_not_sent(model: &Model<'_>) -> Vec<Hole> {
    off(model.ext_authz(), "include_tls_session")
}

fn route_cache_cleared(model: &Model<'_>) -> Vec<Hole> {
    on(model.http_ext_authz(), "clear_route_cache")
}
