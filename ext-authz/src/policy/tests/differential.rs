//! Random policy sets and requests: the index answers as Cedar does over all policies, and equal keys mean equal answers.

use std::{collections::HashMap, net::IpAddr};

use authz_core::{decision::Decision, hops::Reach};
use proptest::prelude::*;

use super::{
    inspect::{Inspector, Outcome},
    plain::plain,
    request::{TestRequest, said},
    time::{conditions, moments, validity},
    *,
};

pub const ENTITIES: &str = r#"[
  {"uid": {"type": "WorkloadPath", "id": "spiffe://td/a"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "g"}]},
  {"uid": {"type": "WorkloadGroup", "id": "g"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "h"}]},
  {"uid": {"type": "TrustDomain", "id": "ud"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "h"}]},
  {"uid": {"type": "Workload", "id": "spiffe://td/b"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "g"}]},
  {"uid": {"type": "Service", "id": "cart"}, "attrs": {}, "parents": [{"type": "ServiceGroup", "id": "front"}]},
  {"uid": {"type": "Service", "id": "other"}, "attrs": {}, "parents": [{"type": "ServiceGroup", "id": "back"}]}
]"#;

/// The same without a file: what Cedar is given to compare with is written out by hand.
pub const CALLERS: [(&str, &[&str]); 5] = [
    ("spiffe://td/a", &["WorkloadPath::\"spiffe://td/a\"", "TrustDomain::\"td\""]),
    (
        "spiffe://td/a/b",
        &["WorkloadPath::\"spiffe://td/a\"", "WorkloadPath::\"spiffe://td/a/b\"", "TrustDomain::\"td\""],
    ),
    ("spiffe://td/ab", &["WorkloadPath::\"spiffe://td/ab\"", "TrustDomain::\"td\""]),
    ("spiffe://td/b", &["WorkloadPath::\"spiffe://td/b\"", "TrustDomain::\"td\"", "WorkloadGroup::\"g\""]),
    ("spiffe://ud/a", &["WorkloadPath::\"spiffe://ud/a\"", "TrustDomain::\"ud\""]),
];

/// Beside what every mesh has: what this one reads of queries.
pub const EXTENSION: &str = "type QueryParameters = { q?: String, r?: String };";

pub fn in_berlin(text: &str) -> Sources {
    let schema_extensions = vec![Source { name: "x.cedarschema".into(), text: EXTENSION.into() }];
    let time_zone = TimeZone::parse("Europe/Berlin").unwrap();
    Sources { schema_extensions, time_zone, ..with_entities(text, ENTITIES) }
}

pub fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(texts)
}

/// The tests of one set. They are few, so that facts are used in one way only more often than in all.
fn leaves() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop_oneof![3 => of_request(), 1 => conditions()], 1..5)
}

fn condition(leaves: Vec<&'static str>) -> impl Strategy<Value = String> {
    prop::sample::select(leaves).prop_map(str::to_owned).prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("(if {a} then {b} else {c})")),
        ]
    })
}

fn of_request() -> impl Strategy<Value = &'static str> {
    one_of(&[
        "true",
        "context.http.path == \"/a\"",
        "context[\"http\"].path like \"/a*\"",
        "context.http.method == \"GET\"",
        "context.http has query",
        "(context.http.query_parameters has q && context.http.query_parameters.q == \"1\")",
        "context.http.query_parameters has r",
        "(context has grpc.service && context.grpc.service == \"a\")",
        "(context.grpc has method && context.grpc.method like \"b*\")",
        "(context has http.query && context.http.query == \"q\")",
        "context.http.host == \"h1\"",
        "context.http.scheme == \"http\"",
        "context.http.protocol == \"HTTP/2\"",
        "context.http.headers has \"x-tenant\"",
        "(context.http.headers has \"x-tenant\" && context.http.headers[\"x-tenant\"] == \"1\")",
        "(context.http.headers has origin && context.http.headers.origin == context.http.host)",
        "context.http.headers == context.http.headers",
        "(context.source has ip && context.source.ip.isInRange(ip(\"10.0.0.0/8\")))",
        "(context.source has ip && context.source.ip.isIpv6())",
        "(context has tls.sni && context.tls.sni like \"*.s\")",
        "(context has destination.port && context.destination.port == 80)",
        "(context.destination has ip && context.destination.ip.isLoopback())",
        "context.hops.count > 1",
        "context.hops.complete",
        "context.hops.workloads.contains(Workload::\"spiffe://td/b\")",
        "context.hops.workloads.containsAny([principal, Workload::\"spiffe://ud/a\"])",
        "(context has origin && context.origin == principal)",
        "(context has origin && context.origin in WorkloadGroup::\"h\")",
        "(context has origin && context.origin in TrustDomain::\"ud\")",
        "(context has origin.path && context.origin.path like \"/a*\")",
        "principal in WorkloadGroup::\"h\"",
        "principal is Workload in TrustDomain::\"td\"",
        "principal.path like \"/a*\"",
        "principal.trust_domain == \"ud\"",
        "principal == Workload::\"spiffe://td/a\"",
        "WorkloadPath::\"spiffe://td/a\" in WorkloadGroup::\"h\"",
        "Workload::\"spiffe://td/b\".path == \"/b\"",
        "action in Action::\"read\"",
        "resource in ServiceGroup::\"front\"",
        "[context.http.path, context.http.host].contains(\"h1\")",
        "[\"/a\", \"/b\"].contains(context.http.path)",
        "context.http.path like \"*b\"",
        "context.http.path like \"/*/*\"",
        "context.http.path like \"/a\\*\"",
        "context.http.path != \"/a/b\"",
        "\"/b\" == context.http.path",
        "1 < context.hops.count",
        "2 >= context.hops.count",
        "context.hops.count == 2",
        "[1, 3].contains(context.hops.count)",
        "context.hops.count <= 9223372036854775807",
        "context.hops.count < -9223372036854775808",
        "context.hops.workloads.containsAll([Workload::\"spiffe://td/b\", Workload::\"spiffe://ud/a\"])",
        "context.hops.workloads.containsAny([Workload::\"spiffe://td/a\", Workload::\"spiffe://td/ab\"])",
        "context.hops.workloads == [principal]",
        "(context.destination has port && context.destination.port < 81)",
        "(context.destination has port && 80 < context.destination.port)",
        "(context.destination has ip && context.destination.ip == ip(\"10.0.0.1\"))",
        "(context.destination has ip && [ip(\"10.0.0.1\"), ip(\"10.0.0.0/31\")].contains(context.destination.ip))",
        "(context.source has ip && ip(\"10.1.2.3\") == context.source.ip)",
        "(context.source has ip && context.source.ip != ip(\"10.0.0.0/8\"))",
        "(context.source has ip && context.source.ip.isInRange(ip(\"2001:db8::/64\")))",
        "(context.source has ip && context.source.ip.isIpv4())",
        "(context.source has ip && context.source.ip.isMulticast())",
        "(context.source has ip && ip(\"10.0.0.0/8\").isInRange(context.source.ip))",
        "(context has origin && context.origin == Workload::\"spiffe://td/b\")",
        "(context has origin && [Workload::\"spiffe://td/b\"].contains(context.origin))",
        "(context has origin && context.origin is Workload)",
        "(context has origin && context.origin.path like \"/a*\")",
        "(context has origin && context.origin.trust_domain == \"ud\")",
        "(context has origin.trust_domain && context.origin.trust_domain == \"td\")",
        "context.hops.complete == true",
        "(context.http.headers has \"x-tenant\" && [\"1\", \"h1\"].contains(context.http.headers[\"x-tenant\"]))",
        "(context.http.headers has \"x-tenant\" && context.http.headers[\"x-tenant\"] like \"h*\")",
        "{\"context\": context.http.host} == {\"context\": \"h1\"}",
        // Passes validation, fails when the path is /a.
        "9223372036854775807 + (if context.http.path == \"/a\" then 1 else 0) > 0",
    ])
}

fn policy(leaves: Vec<&'static str>) -> impl Strategy<Value = String> {
    (
        one_of(&["permit", "permit", "forbid"]),
        one_of(&[
            "principal",
            "principal is Workload",
            "principal == Workload::\"spiffe://td/a\"",
            "principal == Workload::\"spiffe://td/b\"",
            "principal in Workload::\"spiffe://td/a/b\"",
            "principal in WorkloadPath::\"spiffe://td/a\"",
            "principal in TrustDomain::\"td\"",
            "principal in WorkloadGroup::\"g\"",
            "principal is Workload in WorkloadGroup::\"h\"",
        ]),
        one_of(&[
            "action",
            "action == Action::\"GET\"",
            "action in Action::\"read\"",
            "action in [Action::\"GET\", Action::\"write\"]",
            "action in [Action::\"TRACE\", Action::\"GET\"]",
        ]),
        one_of(&[
            "resource",
            "resource == Service::\"cart\"",
            "resource == Service::\"other\"",
            "resource in ServiceGroup::\"front\"",
            "resource in ServiceGroup::\"back\"",
            "resource is Service in ServiceGroup::\"front\"",
        ]),
        prop::option::of(condition(leaves)),
        any::<bool>(),
    )
        .prop_map(|(effect, principal, action, resource, condition, when)| {
            let word = if when { "when" } else { "unless" };
            let clause = condition.map_or(String::new(), |condition| format!("{word} {{ {condition} }}"));
            format!("{effect}({principal}, {action}, {resource}) {clause};")
        })
}

pub fn policies() -> impl Strategy<Value = String> {
    let policies = leaves().prop_flat_map(|leaves| prop::collection::vec(policy(leaves), 1..12));
    policies.prop_map(|policies| policies.join("\n"))
}

pub fn request() -> impl Strategy<Value = TestRequest> {
    let ip = prop::option::of(prop::sample::select(vec![
        "10.1.2.3".parse::<IpAddr>().unwrap(),
        "192.0.2.1".parse().unwrap(),
        "::ffff:10.1.2.3".parse().unwrap(),
        "2001:db8::1".parse().unwrap(),
    ]));
    let header = (
        one_of(&["x-tenant", "origin", "x-environment", "x-other", "content-type"]),
        one_of(&["1", "2", "h1", "application/grpc"]),
    );
    (
        prop::sample::select(CALLERS.map(|(caller, _)| caller).to_vec()),
        one_of(&["GET", "HEAD", "POST", "TRACE"]),
        one_of(&["/a", "/a/b", "/b", "/ab", "/a*", "/a?q", "/b?q=1", "/b?q=%31&r=", "/a/bb?r"]),
        one_of(&["h1", "h2"]),
        one_of(&["http", "https"]),
        one_of(&["HTTP/1.1", "HTTP/2"]),
        prop::collection::btree_map(header.0, header.1, 0..3),
        ip,
        prop::option::of(one_of(&["x.s", "y"])),
        (chain(), moments(), prop::collection::vec(validity(), 0..3)),
    )
        .prop_map(
            |(caller, method, target, host, scheme, protocol, headers, ip, sni, (chain, now, validities))| {
                TestRequest {
                    now,
                    validities,
                    caller: caller.into(),
                    method: method.into(),
                    target: target.into(),
                    host: host.into(),
                    scheme: scheme.into(),
                    protocol: protocol.into(),
                    headers: headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
                    ip,
                    sni: sni.map(Into::into),
                    ..chain
                }
            },
        )
}

/// Who stands behind, and what was connected to.
fn chain() -> impl Strategy<Value = TestRequest> {
    let hops = prop::collection::vec(prop::sample::select(CALLERS.map(|(caller, _)| caller.to_owned()).to_vec()), 0..3);
    let destination = prop::option::of(one_of(&["127.0.0.1:80", "10.0.0.1:80", "10.0.0.1:81", "10.0.0.0:79"]));
    (hops, prop::sample::select(Reach::ALL), destination).prop_map(|(hops, reach, destination)| TestRequest {
        hops,
        reach,
        destination: destination.map(|address| address.parse().unwrap()),
        ..TestRequest::default()
    })
}

/// The decision, put together from what came of each part of each policy.
fn by_parts(inspector: &Inspector, request: &TestRequest) -> String {
    let (mut forbids, mut failed, mut permits) = (vec![], vec![], vec![]);
    let scene =
        request.admitted(inspector.compiled().plan(), |admitted| inspector.scene(admitted, request.now, 0)).unwrap();
    for dossier in inspector.dossiers() {
        let hearing = scene.hear(dossier);
        let in_scope = hearing.scope().all(|(_, answer)| answer.outcome == Outcome::True);
        assert_eq!(hearing.is_candidate, in_scope, "{}", dossier.text);
        if hearing.matches() {
            if dossier.permits { &mut permits } else { &mut forbids }.push(dossier.name.to_string());
        } else if hearing.is_candidate && hearing.clauses().any(|(_, it)| matches!(it.outcome, Outcome::Failed(_))) {
            failed.push(dossier.name.to_string());
        }
    }
    for (reason, names) in [("forbid", forbids), ("policy_error", failed), ("permit", permits)] {
        if !names.is_empty() {
            return format!("{reason} by {}", names.join(", "));
        }
    }
    "no_permit".to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_index_answers_as_plain_cedar_does(text in policies(), requests in prop::collection::vec(request(), 1..12)) {
        let set = compile(&in_berlin(&text)).unwrap();
        for request in requests {
            prop_assert_eq!(said(&request.decide(&set)), plain(&text, &request), "{:?}", request);
        }
    }

    /// What is shown to people of each policy is what was decided.
    #[test]
    fn the_parts_of_policies_asked_one_by_one_say_what_was_decided(
        text in policies(),
        requests in prop::collection::vec(request(), 1..12),
    ) {
        let inspector = Inspector::of(&with_entities(&text, ENTITIES)).unwrap();
        for request in requests {
            let decided = said(&request.decide(inspector.compiled()));
            prop_assert_eq!(by_parts(&inspector, &request), decided, "{:?}", request);
        }
    }

    /// Invariant 3: a cached decision equals a fresh one, made by plain Cedar over all policies.
    #[test]
    fn requests_with_the_same_key_get_the_same_answer(text in policies(), mut requests in prop::collection::vec(request(), 40)) {
        let set = compile(&in_berlin(&text)).unwrap();
        let mut cached: HashMap<Vec<u8>, Decision> = HashMap::new();
        requests.sort_by_key(|request| request.now);
        for mut request in requests {
            // Of few callers and methods, or keys would hardly ever be equal.
            let others = ["spiffe://td/a/b", "spiffe://td/b"];
            request.caller = others.into_iter().find(|id| *id == request.caller).unwrap_or("spiffe://td/a").into();
            request.method = if request.method == "POST" { "POST" } else { "GET" }.into();
            let fresh = plain(&text, &request);
            let answer = cached.entry(request.key(&set)).or_insert_with(|| request.decide(&set));
            if !answer.holds_at(request.now) {
                *answer = request.decide(&set);
            }
            prop_assert_eq!(said(answer), fresh, "{:?}", request);
        }
    }

    #[test]
    fn no_text_ends_the_compiler(policies in "\\PC{0,200}", schema in "\\PC{0,80}", entities in "\\PC{0,80}") {
        let _ = compile(&sources(&policies));
        let _ = compile(&with_schema("permit(principal, action, resource);", &schema));
        let _ = compile(&with_entities("permit(principal, action, resource);", &entities));
    }

    #[test]
    fn no_garbled_set_ends_the_compiler(text in policies(), at in any::<prop::sample::Index>(), junk in "[\\PC\n]{0,3}", cut in 0_usize..9) {
        let garble = |text: &str| {
            let mut chars: Vec<char> = text.chars().collect();
            let start = at.index(chars.len());
            let end = (start + cut).min(chars.len());
            chars.splice(start..end, junk.chars());
            chars.into_iter().collect::<String>()
        };
        let _ = compile(&with_entities(&garble(&text), ENTITIES));
        let _ = compile(&with_entities(&text, &garble(ENTITIES)));
        let _ = compile(&with_schema(&text, &garble(BUILT_IN_SCHEMA)));
    }
}
