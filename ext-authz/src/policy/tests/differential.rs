//! Random policy sets and requests: the index answers as Cedar does over all policies, and equal keys mean equal answers.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use authz_core::{decision::Decision, hops::Reach};
use cedar_policy::{
    Authorizer, Context, Entities, EntityUid, PolicyId, PolicySet, Request, RestrictedExpression, Schema,
};
use proptest::prelude::*;
use serde_json::json;

use super::{
    request::{TestRequest, said},
    time::{conditions, moments, plain_clock, plain_credential, validity},
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
const CALLERS: [(&str, &[&str]); 5] = [
    ("spiffe://td/a", &["WorkloadPath::\"spiffe://td/a\"", "TrustDomain::\"td\""]),
    (
        "spiffe://td/a/b",
        &["WorkloadPath::\"spiffe://td/a\"", "WorkloadPath::\"spiffe://td/a/b\"", "TrustDomain::\"td\""],
    ),
    ("spiffe://td/ab", &["WorkloadPath::\"spiffe://td/ab\"", "TrustDomain::\"td\""]),
    ("spiffe://td/b", &["WorkloadPath::\"spiffe://td/b\"", "TrustDomain::\"td\"", "WorkloadGroup::\"g\""]),
    ("spiffe://ud/a", &["WorkloadPath::\"spiffe://ud/a\"", "TrustDomain::\"ud\""]),
];

pub fn in_berlin(text: &str) -> Sources {
    Sources { time_zone: TimeZone::parse("Europe/Berlin").unwrap(), ..with_entities(text, ENTITIES) }
}

pub fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(texts)
}

fn condition() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![3 => of_request(), 1 => conditions()].prop_map(str::to_owned);
    leaf.prop_recursive(3, 8, 3, |inner| {
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
        "(context has origin.trust_domain && context.origin.trust_domain == \"td\")",
        "context.hops.complete == true",
        "(context.http.headers has \"x-tenant\" && [\"1\", \"h1\"].contains(context.http.headers[\"x-tenant\"]))",
        "(context.http.headers has \"x-tenant\" && context.http.headers[\"x-tenant\"] like \"h*\")",
        "{\"context\": context.http.host} == {\"context\": \"h1\"}",
        // Passes validation, fails when the path is /a.
        "9223372036854775807 + (if context.http.path == \"/a\" then 1 else 0) > 0",
    ])
}

fn policy() -> impl Strategy<Value = String> {
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
        prop::option::of(condition()),
        any::<bool>(),
    )
        .prop_map(|(effect, principal, action, resource, condition, when)| {
            let word = if when { "when" } else { "unless" };
            let clause = condition.map_or(String::new(), |condition| format!("{word} {{ {condition} }}"));
            format!("{effect}({principal}, {action}, {resource}) {clause};")
        })
}

pub fn policies() -> impl Strategy<Value = String> {
    prop::collection::vec(policy(), 1..12).prop_map(|policies| policies.join("\n"))
}

pub fn request() -> impl Strategy<Value = TestRequest> {
    let ip = prop::option::of(prop::sample::select(vec![
        "10.1.2.3".parse::<IpAddr>().unwrap(),
        "192.0.2.1".parse().unwrap(),
        "::ffff:10.1.2.3".parse().unwrap(),
        "2001:db8::1".parse().unwrap(),
    ]));
    let header = (one_of(&["x-tenant", "origin", "x-environment", "x-other"]), one_of(&["1", "2", "h1"]));
    (
        prop::sample::select(CALLERS.map(|(caller, _)| caller).to_vec()),
        one_of(&["GET", "HEAD", "POST", "TRACE"]),
        one_of(&["/a", "/a/b", "/b", "/ab", "/a*", "/a?q", "/b?q=1"]),
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

/// What plain Cedar says over all policies, all entities and the whole context, with errors as denials.
pub fn plain(text: &str, request: &TestRequest) -> String {
    plain_answer(text, &plain_request(request), &plain_entities(request))
}

pub fn plain_answer(text: &str, request: &Request, entities: &Entities) -> String {
    let policies: Vec<_> = text
        .lines()
        .enumerate()
        .map(|(at, line)| cedar_policy::Policy::parse(Some(PolicyId::new(format!("{}", at + 1))), line).unwrap())
        .collect();
    let policies = PolicySet::from_policies(policies).unwrap();
    let response = Authorizer::new().is_authorized(request, &policies, entities);
    let names = |ids: Vec<&PolicyId>| {
        let lines: BTreeSet<usize> = ids.into_iter().map(|id| AsRef::<str>::as_ref(id).parse().unwrap()).collect();
        lines.into_iter().map(|line| format!("a.cedar:{line}")).collect::<Vec<_>>().join(", ")
    };
    let reasons: Vec<_> = response.diagnostics().reason().collect();
    let failed = response.diagnostics().errors().map(|error| match error {
        cedar_policy::AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
    });
    let failed: Vec<_> = failed.collect();
    match (response.decision(), reasons.is_empty(), failed.is_empty()) {
        (cedar_policy::Decision::Deny, false, _) => format!("forbid by {}", names(reasons)),
        (_, _, false) => format!("policy_error by {}", names(failed)),
        (cedar_policy::Decision::Allow, _, true) => format!("permit by {}", names(reasons)),
        (cedar_policy::Decision::Deny, true, true) => "no_permit".into(),
    }
}

fn plain_entities(request: &TestRequest) -> Entities {
    let schema: Schema = Schema::from_cedarschema_str(BUILT_IN_SCHEMA).unwrap().0;
    Entities::from_json_value(plain_entities_json(request).into(), Some(&schema)).unwrap()
}

pub fn plain_entities_json(request: &TestRequest) -> Vec<serde_json::Value> {
    let others: Vec<serde_json::Value> = serde_json::from_str(ENTITIES).unwrap();
    let others = others.into_iter().filter(|entity| entity["uid"]["type"] != "Workload");
    let callers = CALLERS.iter().map(|(id, parents)| {
        let (domain, path) = id.strip_prefix("spiffe://").unwrap().split_once('/').unwrap();
        let uid = |text: &&str| text.parse::<EntityUid>().unwrap().to_json_value().unwrap();
        let mut attributes = json!({"trust_domain": domain, "path": format!("/{path}")});
        if let Some(credential) = plain_credential(request, id) {
            attributes["credential"] = credential;
        }
        json!({"uid": {"type": "Workload", "id": id}, "attrs": attributes,
            "parents": parents.iter().map(uid).collect::<Vec<_>>()})
    });
    others.chain(callers).collect()
}

fn plain_request(request: &TestRequest) -> Request {
    let schema: Schema = Schema::from_cedarschema_str(BUILT_IN_SCHEMA).unwrap().0;
    Request::new(
        format!("Workload::\"{}\"", request.caller).parse().unwrap(),
        format!("Action::\"{}\"", request.method).parse().unwrap(),
        "Service::\"cart\"".parse().unwrap(),
        plain_context(request),
        Some(&schema),
    )
    .unwrap()
}

pub fn plain_context(request: &TestRequest) -> Context {
    let text = |text: &str| RestrictedExpression::new_string(text.into());
    let record = |pairs: Vec<(&str, Option<RestrictedExpression>)>| {
        let there = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        RestrictedExpression::new_record(there).unwrap()
    };
    let (path, query) = request.target.split_once('?').map_or((&*request.target, None), |(p, q)| (p, Some(q)));
    let declared = ["content-type", "origin", "user-agent", "x-environment", "x-tenant"];
    let headers = request.headers.iter().filter(|(name, _)| declared.contains(&name.as_str()));
    let ip = request.ip.map(|ip| RestrictedExpression::new_ip(ip.to_canonical().to_string()));
    let http = record(vec![
        ("method", Some(text(&request.method))),
        ("path", Some(text(path))),
        ("query", query.map(text)),
        ("host", Some(text(&request.host))),
        ("scheme", Some(text(&request.scheme))),
        ("protocol", Some(text(&request.protocol))),
        ("headers", Some(record(headers.map(|(name, value)| (name.as_str(), Some(text(value)))).collect()))),
    ]);
    let to = request.destination;
    let destination = record(vec![
        ("ip", to.map(|to| RestrictedExpression::new_ip(to.ip().to_string()))),
        ("port", to.map(|to| RestrictedExpression::new_long(to.port().into()))),
    ]);
    let workload = |id: &String| RestrictedExpression::new_entity_uid(format!("Workload::\"{id}\"").parse().unwrap());
    let complete = request.reach == Reach::Origin;
    let hops = record(vec![
        ("count", Some(RestrictedExpression::new_long(i64::try_from(request.hops.len() + 1).unwrap()))),
        ("complete", Some(RestrictedExpression::new_bool(complete))),
        (
            "workloads",
            Some(RestrictedExpression::new_set([&request.caller].into_iter().chain(&request.hops).map(workload))),
        ),
    ]);
    let origin = complete.then(|| workload(request.hops.last().unwrap_or(&request.caller)));
    let context = [
        Some(("http".to_owned(), http)),
        Some(("source".to_owned(), record(vec![("ip", ip)]))),
        Some(("destination".to_owned(), destination)),
        Some(("tls".to_owned(), record(vec![("sni", request.sni.as_deref().map(text))]))),
        Some(("view_age".to_owned(), cedar_policy::RestrictedExpression::new_long(0))),
        Some(("hops".to_owned(), hops)),
        Some((
            "now".to_owned(),
            format!("datetime(\"1970-01-01\").offset(duration(\"{}ms\"))", request.now.as_millis()).parse().unwrap(),
        )),
        Some(("clock".to_owned(), plain_clock(request))),
        origin.map(|origin| ("origin".to_owned(), origin)),
    ];
    Context::from_pairs(context.into_iter().flatten()).unwrap()
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
