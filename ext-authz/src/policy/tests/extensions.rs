//! What operators add to the schema: policies can speak of it, requests bring it, and contradictions are told with both places.

use authz_core::{plan::Read, reason::Reason};

use super::{
    request::{TestRequest, said},
    *,
};

fn extended(policies: &str, extensions: &[&str], entities: &str) -> Sources {
    let name = |at: usize| format!("x{}.cedarschema", at + 1);
    let source = |(at, text): (usize, &&str)| Source { name: name(at), text: (*text).to_owned() };
    Sources {
        schema_extensions: extensions.iter().enumerate().map(source).collect(),
        ..with_entities(policies, entities)
    }
}

fn refusals(extensions: &[&str]) -> Vec<String> {
    let refused = compile(&extended("permit(principal, action, resource);", extensions, "[]"));
    refused.err().expect("accepted").problems.iter().map(ToString::to_string).collect()
}

/// Where the built-in schema has this name in this line.
fn built_in(line: &str, name: &str) -> String {
    let at = BUILT_IN_SCHEMA.lines().position(|known| known.trim_start() == line).unwrap();
    let column = BUILT_IN_SCHEMA.lines().nth(at).unwrap().find(name).unwrap();
    format!("built-in schema:{}:{}", at + 1, column + 1)
}

#[test]
fn a_header_and_a_query_parameter_of_ones_own_are_facts() {
    let extension =
        "type Headers = { \"x-device\"?: String };\ntype QueryParameters = { tenant?: String, \"sort by\"?: String };";
    let text = r#"
      @id("device") permit(principal, action == Action::"GET", resource) when { context.http.headers has "x-device" && context.http.headers["x-device"] == "managed" };
      @id("tenant") permit(principal, action == Action::"GET", resource) when { context has http.query_parameters.tenant && context.http.query_parameters.tenant like "a*" };
      @id("sort") permit(principal, action == Action::"GET", resource) when { context.http.query_parameters has "sort by" };"#;
    let policies = compile(&extended(text, &[extension], "[]")).unwrap();
    let named = ["sort by", "tenant"].map(|name| Read::QueryParameter(name.into()));
    assert_eq!(policies.plan().reads(), [&[Read::Header("x-device".into())], &named[..]].concat());
    let headers = vec![("x-device".to_owned(), "managed".to_owned())];
    let target = |target: &str| TestRequest { target: target.into(), ..TestRequest::default() };
    let cases = [
        (TestRequest { headers, ..TestRequest::default() }, "permit by device"),
        (target("/?tenant=acme"), "permit by tenant"),
        (target("/?x=1&tenant=%61cme"), "permit by tenant"),
        (target("/?tenant=other"), "no_permit"),
        (target("/?tenants=acme"), "no_permit"),
        (target("/?sort+by=x&tenant=a"), "permit by tenant, sort"),
        (target("/?sort%20by"), "permit by sort"),
        (target("/"), "no_permit"),
    ];
    for (request, expected) in cases {
        assert_eq!(said(&request.decide(&policies)), expected, "{request:?}");
    }
    assert_eq!(target("/?tenant=a&x=1").key(&policies), target("/?x=2&tenant=%61").key(&policies));
}

#[test]
fn an_attribute_of_ones_own_comes_from_the_entities_file() {
    let entities =
        r#"[{"uid": {"type": "Workload", "id": "spiffe://td/a"}, "attrs": {"team": "blue"}, "parents": []}]"#;
    let text = r#"permit(principal, action, resource) when { principal has team && principal.team == "blue" };"#;
    let policies = compile(&extended(text, &["entity Workload { team?: String };"], entities)).unwrap();
    let of = |caller: &str| TestRequest { caller: caller.into(), ..TestRequest::default() }.decide(&policies).reason;
    assert_eq!((of("spiffe://td/a"), of("spiffe://td/b")), (Reason::Permit, Reason::NoPermit));
    let without = compile(&with_entities(text, entities)).err().unwrap().to_string();
    assert!(without.contains("team"), "{without}");
}

#[test]
fn types_and_groups_of_ones_own_can_be_named_by_policies() {
    let extensions =
        ["entity Team { lead?: Workload };\nentity WorkloadGroup in [Team];", "entity Workload { team?: Team };"];
    let entities = r#"[
      {"uid": {"type": "WorkloadPath", "id": "spiffe://td/ns"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "shop"}]},
      {"uid": {"type": "WorkloadGroup", "id": "shop"}, "attrs": {}, "parents": [{"type": "Team", "id": "blue"}]},
      {"uid": {"type": "Team", "id": "blue"}, "attrs": {"lead": {"type": "Workload", "id": "spiffe://td/lead"}}, "parents": []}
    ]"#;
    let text = r#"permit(principal in Team::"blue", action, resource) when { Team::"blue" has lead && Team::"blue".lead.path == "/lead" };"#;
    let lead = r#", {"uid": {"type": "Workload", "id": "spiffe://td/lead"}, "attrs": {}, "parents": []}"#;
    let with_lead = entities.replace("\n    ]", &format!("{lead}\n    ]"));
    for extensions in [extensions, [extensions[1], extensions[0]]] {
        let policies = compile(&extended(text, &extensions, &with_lead)).unwrap();
        assert_eq!(said(&TestRequest::default().decide(&policies)), "permit by a.cedar:1");
        let elsewhere = TestRequest { caller: "spiffe://td/x".into(), ..TestRequest::default() };
        assert_eq!(said(&elsewhere.decide(&policies)), "no_permit");
        assert_eq!(policies.warnings(), []);
    }
}

#[test]
fn what_contradicts_the_schema_is_told_with_both_places() {
    let cases = [
        (
            "// Ours.\nentity Workload {\n  owner?: Long,\n};",
            format!(
                "x1.cedarschema:3:3: attribute owner of entity Workload is String, not Long; see {}",
                built_in("owner?: String,", "owner")
            ),
        ),
        (
            "type Headers = { \"x-tenant\": String };",
            format!(
                "x1.cedarschema:1:18: attribute x-tenant of type Headers is optional, not required; declare it with `?`; see {}",
                built_in("\"x-tenant\"?: String,", "\"x-tenant")
            ),
        ),
        (
            "type Hops = String;",
            format!("x1.cedarschema:1:6: type Hops is a record, not String; see {}", built_in("type Hops = {", "Hops")),
        ),
        (
            "action read, \"GET\" appliesTo { principal: Workload, resource: Service };",
            format!(
                "x1.cedarschema:1:8: action read is another action than the one of this name; give yours a name of its own; see {}",
                built_in("action \"read\", \"write\";", "\"read")
            ),
        ),
    ];
    for (extension, expected) in cases {
        assert!(refusals(&[extension]).contains(&expected), "{expected}\nis not in\n{:#?}", refusals(&[extension]));
    }
    assert_eq!(
        refusals(&["entity Team { size?: Long };", "\nentity Team { size?: String };"]),
        ["x2.cedarschema:2:15: attribute size of entity Team is Long, not String; see x1.cedarschema:1:15"]
    );
}

#[test]
fn an_extension_that_is_no_schema_or_asks_for_what_nobody_can_fill_in_is_refused_at_its_place() {
    let cases = [
        ("entity Team {", "x1.cedarschema:1:14: "),
        ("entity Workload { team?: Teem };", "x1.cedarschema:1:26: failed to resolve type: Teem"),
        ("entity Workload { team: String };", "x1.cedarschema:1:19: attribute team of Workload is required"),
        (
            "type Headers = { \"X-Device\"?: String };",
            "x1.cedarschema:1:18: context.http.headers.X-Device is no header name",
        ),
        ("type Headers = { size?: Long };", "x1.cedarschema:1:18: context.http.headers.size has another type"),
        (
            "type QueryParameters = { \"\"?: String };",
            "x1.cedarschema:1:26: context.http.query_parameters. is no name of a query parameter",
        ),
        (
            "type QueryParameters = { page?: Long };",
            "x1.cedarschema:1:26: context.http.query_parameters.page has another",
        ),
        (
            "type Request = { grpc: { host?: String } };",
            "context.grpc.host is nothing that can be filled in; remove it",
        ),
        ("type Segments = { first?: String };", "attribute segments.first of Workload can't be filled in"),
        ("type Segments = { \"09\"?: String };", "attribute segments.09 of Workload can't be filled in"),
    ];
    for (extension, expected) in cases {
        let told = refusals(&[extension]);
        assert!(told.len() == 1 && told[0].contains(expected), "{extension}:\n{told:#?}");
    }
}

#[test]
fn an_action_of_ones_own_is_a_method_that_may_pass() {
    let extension =
        "action PURGE in [\"write\"] appliesTo { principal: Workload, resource: Service, context: Request };";
    let text = r#"permit(principal, action in Action::"write", resource) when { context.http.path == "/orders/1" };"#;
    let purge = TestRequest { method: "PURGE".into(), ..TestRequest::default() };
    assert_eq!(said(&purge.decide(&compile(&extended(text, &[extension], "[]")).unwrap())), "permit by a.cedar:1");
    assert_eq!(said(&purge.decide(&compile(&sources(text)).unwrap())), "method_unknown");
}

#[test]
fn every_word_of_an_extension_is_in_the_digest() {
    let digest = |extensions: &[&str]| {
        compile(&extended("permit(principal, action, resource);", extensions, "[]")).unwrap().digest()
    };
    let (one, other) = ("type Headers = { a?: String };", "type Headers = { b?: String };");
    let digests = [digest(&[]), digest(&[one]), digest(&[other]), digest(&[one, other])];
    for (at, known) in digests.iter().enumerate() {
        assert_eq!(digests.iter().position(|other| other == known), Some(at));
    }
}
