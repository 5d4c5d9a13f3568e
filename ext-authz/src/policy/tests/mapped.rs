//! Policy sets with an operation map, in tables.

use std::time::Instant;

use serde_json::{Value, json};

use super::{
    differential,
    request::{TestRequest, said},
    *,
};

mod random;

const TYPES: &str = "
entity Order in [Service, OrderGroup] { owner?: String };
entity OrderGroup;
entity Part in [Order];
entity Free { tag: String };
";

const MAP: &str = r#"
operations:
  - http: GET /orders/{order}
    action: viewOrder
    resource: Order::"{order}"
    groups: [read]
  - grpc: shop.Orders/Get
    action: health
  - http: POST /orders/{order}
    action: changeOrder
    resource: Order::"{order}"
    groups: [write, sensitive]
  - http: "* /orders/{order}/parts/{part}"
    action: part
    resource: Part::"{order}/{part}"
  - http: GET /free/{free}
    action: viewFree
    resource: Free::"{free}"
    groups: [read]
  - http: GET /health
    action: health
"#;

/// Resources of the file, without what is in the service by itself.
fn resources() -> Vec<Value> {
    let entity = |kind: &str, id: &str, attrs: Value, parents: &[(&str, &str)]| {
        let parents: Vec<Value> = parents.iter().map(|(kind, id)| json!({"type": kind, "id": id})).collect();
        json!({"uid": {"type": kind, "id": id}, "attrs": attrs, "parents": parents})
    };
    vec![
        entity("Order", "1", json!({"owner": "a"}), &[("OrderGroup", "vip")]),
        entity("Order", "2", json!({"owner": "b"}), &[("Service", "other")]),
        entity("Part", "1/1", json!({}), &[("Order", "1")]),
        entity("Free", "1", json!({"tag": "x"}), &[]),
    ]
}

fn mapped(policies: &str) -> Sources {
    let others: Vec<Value> = serde_json::from_str(differential::ENTITIES).unwrap();
    let entities: Vec<Value> = others.into_iter().chain(resources()).collect();
    let entities = serde_json::to_string(&entities).unwrap();
    Sources { time_zone: TimeZone::parse("Europe/Berlin").unwrap(), ..with_operations(policies, TYPES, &entities, MAP) }
}

fn request(method: &str, target: &str) -> TestRequest {
    TestRequest { method: method.into(), target: target.into(), ..TestRequest::default() }
}

#[track_caller]
fn check(policies: &str, cases: &[(&str, &str, &str)]) {
    let set = compile(&mapped(policies)).unwrap();
    for (method, target, expected) in cases {
        assert_eq!(said(&request(method, target).decide(&set)), *expected, "{method} {target}");
    }
}

#[test]
fn a_request_is_its_operation_and_no_longer_its_method() {
    check(
        r#"
        @id("reads") permit(principal, action in Action::"read", resource);
        @id("health") permit(principal, action == Action::"health", resource == Service::"cart");
        @id("no-secrets") forbid(principal, action == Action::"viewOrder", resource == Order::"secret");
        "#,
        &[
            ("GET", "/orders/7", "permit by reads"),
            ("GET", "/orders/secret", "forbid by no-secrets"),
            ("GET", "/health", "permit by health"),
            ("HEAD", "/health", "no_permit"),
            ("GET", "/elsewhere", "no_permit"),
            ("POST", "/orders/7", "no_permit"),
            ("BREW", "/orders/7", "no_permit"),
        ],
    );
    let set = compile(&mapped("permit(principal, action == Action::\"GET\", resource);")).unwrap();
    assert!(set.warnings().iter().any(|it| it.message.contains("impossible")), "{:?}", set.warnings());
    assert_eq!(said(&request("GET", "/health").decide(&set)), "no_permit");
}

#[test]
fn calls_of_grpc_are_operations() {
    let policies = "@id(\"health\") permit(principal, action == Action::\"health\", resource);";
    let set = compile(&mapped(policies)).unwrap();
    let headers = vec![("content-type".to_owned(), "application/grpc+proto".to_owned())];
    let call = TestRequest { headers, ..request("POST", "/shop.Orders/Get") };
    assert_eq!(said(&call.decide(&set)), "permit by health");
    assert_eq!(said(&request("POST", "/shop.Orders/Get").decide(&set)), "no_permit");
}

#[test]
fn what_no_line_matches_has_an_action_of_its_own() {
    check(
        "@id(\"rest\") permit(principal, action == Action::\"unmapped\", resource == Service::\"cart\");",
        &[("GET", "/x", "permit by rest"), ("BREW", "/y", "permit by rest"), ("GET", "/orders/7", "no_permit")],
    );
    let named = MAP.replacen('\n', "\nunmapped: other\n", 1);
    let text = "@id(\"rest\") permit(principal, action == Action::\"other\", resource);";
    let set = compile(&with_operations(text, TYPES, "[]", &named)).unwrap();
    assert_eq!(said(&request("GET", "/x").decide(&set)), "permit by rest");
}

#[test]
fn resources_are_in_the_service_and_have_what_the_file_says() {
    check(
        r#"
        @id("owned") permit(principal, action == Action::"viewOrder", resource in Service::"cart")
          when { resource has owner && resource.owner == "a" };
        @id("front") permit(principal, action == Action::"changeOrder", resource in ServiceGroup::"front");
        @id("vip") forbid(principal, action, resource in OrderGroup::"vip") when { context.http.path like "/orders/1/*" };
        @id("parts") permit(principal, action == Action::"part", resource in Order::"1");
        @id("free") permit(principal, action, resource is Free) when { resource.tag == "x" };
        "#,
        &[
            ("GET", "/orders/1", "permit by owned"),
            ("GET", "/orders/2", "no_permit"),
            ("GET", "/orders/3", "no_permit"),
            ("POST", "/orders/3", "permit by front"),
            ("POST", "/orders/1", "permit by front"),
            ("PUT", "/orders/1/parts/1", "forbid by vip"),
            ("PUT", "/orders/1/parts/2", "no_permit"),
            ("GET", "/free/1", "permit by free"),
            // Its type says that it has a tag, and nobody says which.
            ("GET", "/free/2", "policy_error by free"),
        ],
    );
}

#[test]
fn only_policies_that_tell_resources_apart_put_them_into_keys() {
    let same = |policies: &str, one: &str, other: &str| {
        let set = compile(&mapped(policies)).unwrap();
        request("GET", one).key(&set) == request("GET", other).key(&set)
    };
    for resource in
        ["resource", "resource is Order", "resource in Service::\"cart\"", "resource is Order in Service::\"cart\""]
    {
        let text = format!("permit(principal, action, {resource});");
        assert!(same(&text, "/orders/1", "/orders/2"), "{resource}");
        assert!(!same(&text, "/orders/1", "/free/1"), "{resource}");
    }
    assert!(same("permit(principal, action, resource) when { resource is Order };", "/orders/1", "/orders/2"));
    let one = "permit(principal, action, resource == Order::\"1\");";
    assert!(same(one, "/orders/2", "/orders/3") && !same(one, "/orders/1", "/orders/2"));
    assert!(same(one, "/free/1", "/free/2"), "there is no such policy about these");
    let condition = "permit(principal, action, resource) when { resource == Order::\"1\" };";
    assert!(same(condition, "/orders/2", "/orders/3") && !same(condition, "/orders/1", "/orders/2"));
    for whole in [
        "permit(principal, action, resource in OrderGroup::\"vip\");",
        "permit(principal, action, resource is Order) when { resource has owner };",
        "permit(principal, action, resource) when { resource in OrderGroup::\"vip\" };",
        "permit(principal, action, resource is Order) when { [Order::\"1\"].contains(resource) };",
    ] {
        assert!(!same(whole, "/orders/2", "/orders/3"), "{whole}");
    }
}

#[test]
fn policies_about_single_resources_cost_no_request_about_others() {
    let text = |count: usize| {
        let one =
            |order| format!("permit(principal, action == Action::\"viewOrder\", resource == Order::\"o{order}\");\n");
        (0..count).map(one).collect::<Vec<_>>().concat()
    };
    for count in [1, 10, 1_000] {
        let set = compile(&mapped(&text(count))).unwrap();
        let candidates = |target| request("GET", target).admitted(set.plan(), |admitted| set.candidates(admitted));
        assert_eq!((candidates("/orders/o0"), candidates("/orders/x")), (1, 0), "of {count}");
    }
    // A policy that names several groups is met once for each, and named once.
    let set =
        compile(&mapped("permit(principal, action in [Action::\"write\", Action::\"sensitive\"], resource);")).unwrap();
    assert_eq!(said(&request("POST", "/orders/1").decide(&set)), "permit by a.cedar:1");
    let set = compile(&mapped(
        "permit(principal, action in [Action::\"write\", Action::\"sensitive\"], resource) when { 9223372036854775807 + context.hops.count > 0 };",
    ))
    .unwrap();
    assert_eq!(said(&request("POST", "/orders/1").decide(&set)), "policy_error by a.cedar:1");
}

#[test]
fn what_a_map_says_must_fit_the_schema() {
    let refused = |schema: &str, map: &str| {
        let sources = with_operations("permit(principal, action, resource);", schema, "[]", map);
        let problems = compile(&sources).map(|_| ()).unwrap_err().problems;
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let line = |rest: &str| format!("operations:\n  - {{ http: \"GET /{{a}}\", {rest} }}\n");
    let cases = [
        (
            "",
            line("action: a, resource: 'Order::\"{a}\"'"),
            "the schema has no entity type Order; declare it in a schema extension (policy.schema_extensions), as `entity Order in [Service];`",
        ),
        ("", line("action: a, resource: 'Service::\"{a}\"'"), "leave it out"),
        ("", line("action: read"), "action \"read\" is a group of actions in the schema"),
        ("", line("action: GET, groups: [read]"), "the schema declares action \"GET\", and with it its groups"),
        (
            TYPES,
            line("action: GET, resource: 'Order::\"{a}\"'"),
            "does not apply to principal Workload and resource Order",
        ),
        ("", line("action: a, groups: [a]"), "is its own group"),
        ("", line("action: a, groups: [GET]"), "is in a group that the schema declares as an action"),
        ("", line("action: a, groups: [unmapped]"), "is in a group that is an action of this map"),
        (
            TYPES,
            format!("{}  - {{ http: \"GET /b/{{a}}\", action: a }}\n", line("action: a, resource: 'Order::\"{a}\"'")),
            "has resources of type Service and of type Order",
        ),
    ];
    for (schema, map, expected) in cases {
        let problems = refused(schema, &map);
        assert!(problems.iter().any(|it| it.starts_with("o.yaml:2:") && it.contains(expected)), "{map}: {problems:?}");
    }
    let both = r#"action "a" appliesTo { principal: [Workload], resource: [Order, Service], context: Request };"#;
    let map = format!("{}  - {{ http: \"GET /b/{{a}}\", action: a }}\n", line("action: a, resource: 'Order::\"{a}\"'"));
    let sources = with_operations(
        "@id(\"p\") permit(principal, action == Action::\"a\", resource is Order);",
        &format!("{TYPES}{both}"),
        "[]",
        &map,
    );
    let set = compile(&sources).unwrap();
    assert_eq!(said(&request("GET", "/x").decide(&set)), "permit by p");
    assert_eq!(said(&request("GET", "/b/x").decide(&set)), "no_permit");
}

#[test]
fn actions_are_in_all_that_their_groups_are_in() {
    let groups = r#"action "all"; action "most" in ["all"]; action "some" in ["most"];"#;
    let map = "operations:\n  - { http: \"GET /a\", action: a, groups: [some] }\n";
    for group in ["some", "most", "all"] {
        let text = format!("@id(\"p\") permit(principal, action in Action::\"{group}\", resource);");
        let set = compile(&with_operations(&text, groups, "[]", map)).unwrap();
        assert_eq!(said(&request("GET", "/a").decide(&set)), "permit by p", "{group}");
        assert_eq!(said(&request("GET", "/b").decide(&set)), "no_permit", "{group}");
    }
}

#[test]
fn ten_thousand_operations_are_an_index_like_ten() {
    let map = |count: usize| {
        let line = |at| {
            format!(
                "  - http: GET /r{at}/{{id}}\n    action: view{at}\n    resource: Order::\"{{id}}\"\n    groups: [read]\n"
            )
        };
        format!("operations:\n{}", (0..count).map(line).collect::<Vec<_>>().concat())
    };
    let text = "@id(\"read\") permit(principal, action in Action::\"read\", resource);\n@id(\"one\") forbid(principal, action == Action::\"view7\", resource is Order);";
    let begun = Instant::now();
    let set = compile(&with_operations(text, TYPES, "[]", &map(10_000))).unwrap();
    assert!(begun.elapsed().as_secs() < 30, "{:?}, unoptimised", begun.elapsed());
    for (target, expected) in [("/r9999/1", "permit by read"), ("/r7/1", "forbid by one"), ("/r70/1", "permit by read")]
    {
        assert_eq!(said(&request("GET", target).decide(&set)), expected, "{target}");
    }
}
