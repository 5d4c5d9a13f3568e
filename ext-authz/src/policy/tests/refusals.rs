//! What is not accepted, and how it is told.

use super::*;

/// Asserts that each message begins with its place and holds its words, in order, and that there are no others.
fn refused(sources: &Sources, expected: &[(&str, &str)]) {
    let problems = compile(sources).err().expect("accepted").problems;
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, (place, words)) in told.iter().zip(expected) {
        assert!(told.starts_with(&format!("{place}: ")) && told.contains(words), "{told}\nis not {place}: …{words}…");
    }
}

const PERMIT: &str = "permit(principal, action, resource);";

#[test]
fn policies_are_held_to_the_schema() {
    refused(
        &sources(
            "permit(principal, action, resource) when {\n  context.http.pth == \"/\" };\n\
             permit(principal == Robot::\"x\", action, resource);\n\
             permit(principal, action == Action::\"FETCH\", resource);\n\
             permit(principal, action, resource) when { context.http.query == \"a\" };\n\
             permit(principal, action, resource) when { context.http.path > 3 };",
        ),
        &[
            ("a.cedar:2:3", "attribute `http.pth` in context not found"),
            ("a.cedar:3:21", "Robot"),
            ("a.cedar:4:29", "FETCH"),
            ("a.cedar:5:44", "query"),
            ("a.cedar:6:44", "expected Long but saw String"),
        ],
    );
}

#[test]
fn names_that_can_never_match_are_no_silent_hole() {
    refused(
        &sources(
            "forbid(principal == Workload::\"spiffe://TD/a\", action, resource);\n\
             forbid(principal in WorkloadPath::\"spiffe://td/a/\", action, resource);\n\
             forbid(principal in TrustDomain::\"spiffe://td\", action, resource);\n\
             forbid(principal, action, resource) unless { principal in WorkloadPath::\"/ns/a\" };",
        ),
        &[
            ("a.cedar:1:1", "can never match"),
            ("a.cedar:2:1", "can never match"),
            ("a.cedar:3:1", "can never match"),
            ("a.cedar:4:1", "can never match"),
        ],
    );
}

#[test]
fn an_empty_set_is_refused_with_a_remedy() {
    for text in ["", "  \n", "// permit(principal, action, resource);"] {
        refused(&sources(text), &[("a.cedar", "write `forbid(principal, action, resource);`")]);
    }
    refused(&Sources { policies: vec![], ..sources("") }, &[("policies", "there is no policy")]);
}

#[test]
fn every_mistake_of_policies_schema_and_entities_is_told_at_once() {
    let entities = r#"[
      {"uid": {"type": "Workload", "id": "nobody"}, "attrs": {}, "parents": []},
      {"uid": {"type": "Workload", "id": "spiffe://td/a"}, "attrs": {"path": "/b"}, "parents": []},
      {"uid": {"type": "Workload", "id": "spiffe://td/b"}, "attrs": {"size": 1}, "parents": []},
      {"uid": {"type": "Service", "id": "cart"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "a"}]},
      {"uid": {"type": "Robot", "id": "x"}, "attrs": {}, "parents": []},
      {"uid": {"type": "Service", "id": "a"}, "attrs": {}, "parents": []},
        {"uid": {"type": "Service", "id": "a"}, "attrs": {}, "parents": []},
      {"uid": {"type": "Service", "id": "b"}, "attrs": {"x": 1, "x": 2}, "parents": []},
      {"attrs": {}, "parents": []}
    ]"#;
    refused(
        &with_entities("permit(principal, action, resource) when { context.x };\npermit(", entities),
        &[
            ("a.cedar:1:44", "attribute `x` in context not found"),
            ("a.cedar:2:8", "unexpected end of input"),
            ("e.json:2:7", "nobody"),
            ("e.json:3:7", "path of Workload::\"spiffe://td/a\" is \"/b\""),
            ("e.json:4:7", "size"),
            ("e.json:5:7", "WorkloadGroup"),
            ("e.json:6:7", "Robot"),
            ("e.json:8:9", "stands already in line 7"),
            ("e.json:9:7", "found duplicate key"),
            ("e.json:10:7", "uid"),
        ],
    );
}

#[test]
fn entities_that_are_no_json_or_form_a_circle_are_refused() {
    refused(&with_entities(PERMIT, "[\n {\"uid\": ]"), &[("e.json:2:10", "expected value")]);
    refused(&with_entities(PERMIT, "{}"), &[("e.json:1:0", "expected a sequence")]);
    let circle = r#"[{"uid": {"type": "WorkloadGroup", "id": "a"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "b"}]},
      {"uid": {"type": "WorkloadGroup", "id": "b"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "a"}]}]"#;
    refused(
        &with_entities(PERMIT, circle),
        &[(
            "e.json:1:2",
            "WorkloadGroup::\"a\" is in itself: WorkloadGroup::\"a\" in WorkloadGroup::\"b\" in WorkloadGroup::\"a\"; take one of them out of the next",
        )],
    );
}

#[test]
fn a_schema_that_can_not_be_served_is_refused() {
    refused(
        &with_schema(PERMIT, "entity Workload;\nentity Service in [;"),
        &[("s.cedarschema:2:20", "unexpected token")],
    );
    refused(&with_schema(PERMIT, "entity Workload;"), &[("s.cedarschema", "Workload and Service must be declared")]);
    refused(
        &with_schema(PERMIT, "entity Workload, Service; action GET;"),
        &[("s.cedarschema", "no action applies to principal Workload")],
    );
    refused(
        &with_schema(
            PERMIT,
            "entity Workload { team: String };\nentity Service;\naction GET appliesTo { principal: Workload, resource: Service };",
        ),
        &[("s.cedarschema:1:19", "declare it as `team?`")],
    );
    refused(
        &with_schema(
            PERMIT,
            "entity Workload;\nentity Service { tier: Long };\naction GET appliesTo { principal: Workload, resource: Service };",
        ),
        &[("s.cedarschema", "Service::\"cart\" must stand in the entities file")],
    );
}

#[test]
fn context_may_only_hold_what_can_be_filled_in() {
    let cases = [
        ("{ htp: {} }", "context.htp is nothing that can be filled in"),
        ("{ http: { method: Long } }", "context.http.method has another type; declare it as String"),
        ("{ http: String }", "context.http is no record"),
        ("{ http: { query: String } }", "context.http.query is not there in every request"),
        ("{ http: { headers: { \"x-a\": String } } }", "context.http.headers.x-a is not there in every request"),
        ("{ http: { headers: { \"X-A\"?: String } } }", "context.http.headers.X-A is no header name"),
        ("{ http: { headers: { \":path\"?: String } } }", "context.http.headers.:path is no header name"),
        ("{ source: { ip?: String } }", "context.source.ip has another type; declare it as ipaddr"),
        ("{ tls: { sni?: Set<String> } }", "context.tls.sni has another type"),
        ("Common", "context.other is nothing that can be filled in"),
    ];
    for (context, words) in cases {
        let schema = format!(
            "entity Workload, Service; type Common = {{ other: String }}; action GET appliesTo {{ principal: Workload, resource: Service, context: {context} }};"
        );
        let problems = compile(&with_schema(PERMIT, &schema)).err().expect(context).problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].to_string().contains(words), "{}", problems[0]);
    }
}

#[test]
fn doubtful_policies_are_accepted_with_a_warning() {
    let set = compile(&sources(&format!("{PERMIT}\nforbid(principal, action, resource) when {{ false }};"))).unwrap();
    assert!(
        set.warnings().iter().any(|warning| warning.to_string().starts_with("a.cedar:2:1: ")),
        "{:?}",
        set.warnings()
    );
    let set = compile(&sources("permit(principal, action, resource == Service::\"crat\");")).unwrap();
    assert!(set.warnings()[0].message.contains("Service::\"cart\""), "{:?}", set.warnings());
}

#[test]
fn the_published_examples_compile_without_a_warning() {
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    let sources = Sources {
        policies: vec![source("example.cedar", include_str!("../../../policy/example.cedar"))],
        entities: Some(source("example.entities.json", include_str!("../../../policy/example.entities.json"))),
        ..sources("")
    };
    let set = compile(&sources).unwrap();
    assert_eq!((set.warnings(), set.len()), (&[][..], set.applicable()));
}
