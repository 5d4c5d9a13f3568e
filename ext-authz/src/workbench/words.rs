//! Reasons, outcomes and paths in words that somebody who has never seen Cedar can act on; it decides nothing.

use authz_core::reason::Reason;

/// What a reason means and what to do about it.
pub const fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::Permit => "the policies below permit it, and none forbids it",
        Reason::PermitUnverified => {
            "the policies below permit it although the caller proves nothing, and none forbids it; such an answer is never reused"
        }
        Reason::NoPermit => {
            "no policy permits it, and what nobody permits is denied: add a policy that begins with permit, or widen one of those below"
        }
        Reason::Forbid => {
            "the policies below forbid it, and that counts for more than any permit: narrow them with unless { … }"
        }
        Reason::PolicyError => {
            "the policies below could not be worked out for this request, and then it is denied: most often they read something that \
             is not there, so ask with `has` first"
        }
        Reason::MethodUnknown => {
            "the schema has no action for this method, so no policy can speak about it: declare one in a schema of your own, or use \
             another method"
        }
        Reason::HeaderAmbiguous => {
            "a header that policies read is there several times, or is no text: policies would see one value and the service perhaps \
             another; send it once"
        }
        Reason::PathAmbiguous => {
            "the path can be read in two ways (dot segments, escaped slashes, or parameters where they are refused): turn on \
             Envoy's path normalisation, or send it normalised"
        }
        Reason::RequestMalformed => {
            "method, path or host is missing, repeated or not of the characters it may have; a host that policies read must be in \
             lower case"
        }
        Reason::CertificateExpired => "the caller's certificate is over: issue a new one",
        Reason::CertificateNotYetValid => {
            "the caller's certificate is not valid yet: see the clocks of issuer and caller"
        }
        Reason::Revoked => {
            "the caller, its certificate, path or trust domain is revoked: `countersign restore` lifts that"
        }
        Reason::HopRevoked => "somebody behind the caller is revoked: `countersign restore` lifts that",
        Reason::NotReady => "the sidecar has no policies, or has not read its log of signals: see `countersign status`",
        Reason::ViewStale => {
            "the sidecar has not heard about revocations for longer than it may (degraded in its configuration): see `countersign status`"
        }
        Reason::SidecarUnreachable => "the filter in Envoy can't reach its sidecar: see whether it runs",
        Reason::LinkInvalid => {
            "the sidecar's answer to the filter was not one: see whether both are of the same version"
        }
        Reason::Contended => "revocations came faster than the request could be decided: send it again",
        Reason::Internal => "this is a fault of Countersign: see the log of the sidecar",
        _ => {
            "the caller proves no identity, and no policy lets in callers that don't: give it a certificate that verifies, or permit \
             `principal is Unverified`"
        }
    }
}

/// What stands at a path that policies read, in words.
pub(super) fn name_of(path: &str) -> Option<String> {
    let fixed = match path {
        "action" => "what is asked for",
        "context.destination.ip" => "the address that was connected to",
        "context.destination.port" => "the port that was connected to",
        "context.grpc.method" => "the gRPC method",
        "context.grpc.service" => "the gRPC service",
        "context.hops.complete" => "whether the request is known to the workload that began",
        "context.hops.count" => "how many connections the request has crossed",
        "context.hops.workloads" => "the workloads it has come through",
        "context.http.host" => "the host that is asked",
        "context.http.method" => "the method",
        "context.http.path" => "the path, without the query",
        "context.http.protocol" => "the version of HTTP",
        "context.http.query" => "the query, behind the ?",
        "context.http.scheme" => "the scheme",
        "context.origin" => "the workload that began",
        "context.clock.minute" => "minutes since midnight",
        "context.clock.weekday" => "the day of the week, 1 for Monday",
        "context.now" => "the time of the request",
        "principal.credential.age" => "how long ago the caller's certificate was issued",
        "principal.credential.expires_in" => "how long the caller's certificate is still valid",
        "principal.credential.lifetime" => "for how long the caller's certificate is valid altogether",
        "principal.posture" => "the posture of the caller",
        "principal.posture.compliant" => "whether the caller complies",
        "principal.risk" => "the risk of the caller",
        "context.source.ip" => "the address of the caller",
        "context.tls.sni" => "the server name that was asked for in TLS",
        "context.view_age" => "how old the knowledge of revocations is, in milliseconds",
        "principal" => "the caller",
        "principal.path" => "the path of the caller's SPIFFE ID",
        "principal.trust_domain" => "the trust domain of the caller",
        "resource" => "the service that is asked",
        _ => return named(path),
    };
    Some(fixed.to_owned())
}

/// What operators name themselves.
fn named(path: &str) -> Option<String> {
    let kinds = [("context.http.headers", "the header"), ("context.http.query_parameters", "the query parameter")];
    kinds.into_iter().find_map(|(above, kind)| {
        let name = path.strip_prefix(above)?;
        let name = name.strip_prefix('.').or_else(|| name.strip_prefix("[\"")?.strip_suffix("\"]"))?;
        Some(format!("{kind} {name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn what_policies_read_has_a_name_also_where_operators_gave_it() {
        for (path, expected) in [
            ("context.http.path", Some("the path, without the query")),
            ("context.http.headers.origin", Some("the header origin")),
            ("context.http.headers[\"x-tenant\"]", Some("the header x-tenant")),
            ("context.http.query_parameters.page", Some("the query parameter page")),
            ("principal.team", None),
        ] {
            assert_eq!(name_of(path).as_deref(), expected, "{path}");
        }
    }
}
