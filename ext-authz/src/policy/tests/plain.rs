//! What Cedar says by itself, over all policies, all entities and the whole context: written out by hand, to compare ours with.

use std::collections::BTreeSet;

use authz_core::hops::Reach;
use cedar_policy::{
    Authorizer, Context, Entities, EntityUid, PolicyId, PolicySet, Request, RestrictedExpression, Schema,
};
use serde_json::json;

use super::{
    differential::{CALLERS, ENTITIES, EXTENSION},
    request::TestRequest,
    time::{plain_clock, plain_credential},
    *,
};

/// What plain Cedar says over all policies, all entities and the whole context, with errors as denials.
pub fn plain(text: &str, request: &TestRequest) -> String {
    let policies: Vec<_> = text
        .lines()
        .enumerate()
        .map(|(at, line)| cedar_policy::Policy::parse(Some(PolicyId::new(format!("{}", at + 1))), line).unwrap())
        .collect();
    let policies = PolicySet::from_policies(policies).unwrap();
    let response = Authorizer::new().is_authorized(&plain_request(request), &policies, &plain_entities(request));
    let names = |ids: Vec<&PolicyId>| {
        let lines: BTreeSet<usize> = ids.into_iter().map(|id| AsRef::<str>::as_ref(id).parse().unwrap()).collect();
        lines.into_iter().map(|line| format!("a.cedar:{line}")).collect::<Vec<_>>().join(", ")
    };
    let reasons: Vec<_> = response.diagnostics().reason().collect();
    let failed: Vec<_> = response
        .diagnostics()
        .errors()
        .map(|error| match error {
            cedar_policy::AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
        })
        .collect();
    match (response.decision(), reasons.is_empty(), failed.is_empty()) {
        (cedar_policy::Decision::Deny, false, _) => format!("forbid by {}", names(reasons)),
        (_, _, false) => format!("policy_error by {}", names(failed)),
        (cedar_policy::Decision::Allow, _, true) => format!("permit by {}", names(reasons)),
        (cedar_policy::Decision::Deny, true, true) => "no_permit".into(),
    }
}

fn plain_entities(request: &TestRequest) -> Entities {
    let schema = plain_schema();
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
    Entities::from_json_value(others.chain(callers).collect(), Some(&schema)).unwrap()
}

fn plain_request(request: &TestRequest) -> Request {
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
        ("query_parameters", Some(record(vec![("q", parameter(query, "q")), ("r", parameter(query, "r"))]))),
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
        Some(("grpc".to_owned(), plain_grpc(request, path))),
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
    let schema = plain_schema();
    Request::new(
        format!("Workload::\"{}\"", request.caller).parse().unwrap(),
        format!("Action::\"{}\"", request.method).parse().unwrap(),
        "Service::\"cart\"".parse().unwrap(),
        Context::from_pairs(context.into_iter().flatten()).unwrap(),
        Some(&schema),
    )
    .unwrap()
}

/// Of a query in which nothing is there twice and `1` is all that is escaped.
fn parameter(query: Option<&str>, name: &str) -> Option<RestrictedExpression> {
    let pairs = query?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let value = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.replace("%31", "1")).next();
    value.map(RestrictedExpression::new_string)
}

fn plain_grpc(request: &TestRequest, path: &str) -> RestrictedExpression {
    let is_grpc = request.headers.iter().any(|(name, value)| name == "content-type" && value == "application/grpc");
    let names: Vec<&str> = path.split('/').skip(1).collect();
    let pairs = match names.as_slice() {
        [service, method] if is_grpc => vec![("service", *service), ("method", *method)],
        _ => vec![],
    };
    let text = |text: &str| RestrictedExpression::new_string(text.into());
    RestrictedExpression::new_record(pairs.into_iter().map(|(name, value)| (name.to_owned(), text(value)))).unwrap()
}

fn plain_schema() -> Schema {
    let text = BUILT_IN_SCHEMA.replace("type QueryParameters = {};", EXTENSION);
    Schema::from_cedarschema_str(&text).unwrap().0
}
