//! Random sets and requests with an operation map against Cedar over all policies, all actions and all entities.

use std::collections::HashMap;

use authz_core::decision::Decision;
use cedar_policy::{Entities, EntityUid, Request, Schema};
use proptest::prelude::*;
use serde_json::json;

use super::{
    super::differential::{one_of, plain_answer, plain_context, plain_entities_json},
    *,
};

/// Those of the map, as somebody would write them who had none.
const ACTIONS: &str = r#"
action "sensitive";
action "viewOrder" in ["read"] appliesTo { principal: [Workload, Unverified], resource: [Order], context: Request };
action "changeOrder" in ["write", "sensitive"] appliesTo { principal: [Workload, Unverified], resource: [Order], context: Request };
action "part" appliesTo { principal: [Workload, Unverified], resource: [Part], context: Request };
action "viewFree" in ["read"] appliesTo { principal: [Workload, Unverified], resource: [Free], context: Request };
action "health", "unmapped" appliesTo { principal: [Workload, Unverified], resource: [Service], context: Request };
"#;

/// The action and the resource, by the map as one reads it.
fn plain_operation(request: &TestRequest) -> (&'static str, String) {
    let segments: Vec<&str> = request.target[1..].split('/').collect();
    let decoded = |id: &str| id.replace("%3A", ":");
    let order = |id: &str| format!("Order::\"{}\"", decoded(id));
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["orders", id]) => ("viewOrder", order(id)),
        ("POST", ["orders", id]) => ("changeOrder", order(id)),
        (_, ["orders", id, "parts", part]) => ("part", format!("Part::\"{}/{part}\"", decoded(id))),
        ("GET", ["free", id]) => ("viewFree", format!("Free::\"{id}\"")),
        ("GET", ["health"]) => ("health", "Service::\"cart\"".into()),
        _ => ("unmapped", "Service::\"cart\"".into()),
    }
}

/// What plain Cedar says with all actions, all entities, and the resource of the request.
fn plain(text: &str, schema: &Schema, request: &TestRequest) -> String {
    let (action, resource) = plain_operation(request);
    let resource: EntityUid = resource.parse().unwrap();
    let mut entities = plain_entities_json(request);
    let mut all = resources();
    let id = json!({"type": resource.type_name().to_string(), "id": resource.id().unescaped()});
    let known = all.iter().any(|entity| entity["uid"] == id);
    if !known && resource.type_name().to_string() != "Service" {
        all.push(json!({"uid": id, "attrs": {}, "parents": []}));
    }
    for entity in all.iter_mut().filter(|entity| entity["uid"]["type"] == "Order") {
        entity["parents"].as_array_mut().unwrap().push(json!({"type": "Service", "id": "cart"}));
    }
    entities.extend(all);
    let actions = schema.action_entities().unwrap();
    let entities = Entities::from_json_value(entities.into(), None).unwrap().add_entities(actions, None).unwrap();
    let uid = |text: String| text.parse::<EntityUid>().unwrap();
    let (caller, action) = (uid(format!("Workload::\"{}\"", request.caller)), uid(format!("Action::\"{action}\"")));
    plain_answer(text, &Request::new(caller, action, resource, plain_context(request), None).unwrap(), &entities)
}

fn policies() -> impl Strategy<Value = String> {
    let condition = one_of(&[
        "true",
        "resource == Order::\"2\"",
        "Order::\"a:b\" == resource",
        "resource != Order::\"1\"",
        "resource is Order",
        "(resource is Order && resource has owner)",
        "(resource is Order && resource has owner && resource.owner == \"a\")",
        "(resource is Free && resource.tag == \"x\")",
        "(resource is Order in OrderGroup::\"vip\")",
        "resource in OrderGroup::\"vip\"",
        "resource in Service::\"cart\"",
        "resource in Service::\"other\"",
        "resource in [Order::\"1\", Order::\"3\"]",
        "(resource is Order && [Order::\"1\", Order::\"2\"].contains(resource))",
        "(if resource == Order::\"1\" then context.http.path else \"\") like \"/orders/*\"",
        "context.http.path like \"/orders/*\"",
        "context.http.method == \"GET\"",
        "action in Action::\"read\"",
        "action == Action::\"part\"",
        "principal.path like \"/a*\"",
        "Order::\"1\" in OrderGroup::\"vip\"",
        // Passes validation, fails for some paths.
        "9223372036854775807 + (if context.http.path == \"/orders/1\" then 1 else 0) > 0",
    ]);
    let policy = (
        one_of(&["permit", "permit", "forbid"]),
        one_of(&["principal", "principal == Workload::\"spiffe://td/b\"", "principal in WorkloadGroup::\"g\""]),
        one_of(&[
            "action",
            "action == Action::\"viewOrder\"",
            "action == Action::\"part\"",
            "action == Action::\"unmapped\"",
            "action in Action::\"read\"",
            "action in Action::\"viewOrder\"",
            "action in [Action::\"write\", Action::\"viewOrder\"]",
            "action in [Action::\"sensitive\", Action::\"write\", Action::\"admin\"]",
        ]),
        one_of(&[
            "resource",
            "resource is Order",
            "resource is Free",
            "resource is Service",
            "resource == Order::\"1\"",
            "resource == Order::\"a:b\"",
            "resource == Free::\"2\"",
            "resource == Service::\"cart\"",
            "resource in Service::\"cart\"",
            "resource in Service::\"other\"",
            "resource in ServiceGroup::\"front\"",
            "resource in ServiceGroup::\"back\"",
            "resource in OrderGroup::\"vip\"",
            "resource in Order::\"1\"",
            "resource is Part in Order::\"1\"",
            "resource is Part in Service::\"cart\"",
            "resource is Order in Service::\"cart\"",
        ]),
        prop::option::of(condition),
        any::<bool>(),
    );
    let policy = policy.prop_map(|(effect, principal, action, resource, condition, when)| {
        let word = if when { "when" } else { "unless" };
        let clause = condition.map_or(String::new(), |condition| format!("{word} {{ {condition} }}"));
        format!("{effect}({principal}, {action}, {resource}) {clause};")
    });
    prop::collection::vec(policy, 1..12).prop_map(|policies| policies.join("\n"))
}

fn requests(count: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<TestRequest>> {
    let request = (
        prop::sample::select(vec!["spiffe://td/a", "spiffe://td/b"]),
        one_of(&["GET", "GET", "POST", "PUT"]),
        one_of(&[
            "/orders/1",
            "/orders/2",
            "/orders/3",
            "/orders/4",
            "/orders/a%3Ab",
            "/orders/a:b",
            "/orders/1/parts/1",
            "/orders/1/parts/2",
            "/orders/2/parts/1",
            "/free/1",
            "/free/2",
            "/health",
            "/x",
        ]),
    );
    let request = request
        .prop_map(|(caller, method, target)| TestRequest { caller: caller.into(), ..super::request(method, target) });
    prop::collection::vec(request, count)
}

fn plain_schema() -> Schema {
    Schema::from_cedarschema_str(&format!("{BUILT_IN_SCHEMA}{TYPES}{ACTIONS}")).unwrap().0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_index_answers_as_plain_cedar_does(text in policies(), requests in requests(1..16)) {
        let (set, schema) = (compile(&mapped(&text)).unwrap(), plain_schema());
        for request in requests {
            prop_assert_eq!(said(&request.decide(&set)), plain(&text, &schema, &request), "{:?}", request);
        }
    }

    /// Invariant 3, with operations.
    #[test]
    fn requests_with_the_same_key_get_the_same_answer(text in policies(), requests in requests(40)) {
        let (set, schema) = (compile(&mapped(&text)).unwrap(), plain_schema());
        let mut cached: HashMap<Vec<u8>, Decision> = HashMap::new();
        for request in requests {
            let answer = cached.entry(request.key(&set)).or_insert_with(|| request.decide(&set));
            prop_assert_eq!(said(answer), plain(&text, &schema, &request), "{:?}", request);
        }
    }
}
