//! Sets that are large, wrong or strange in ways that operators meet: each has a clear outcome, with its words.

use std::fmt::Write as _;

use super::{
    request::{TestRequest, said},
    *,
};

const PERMIT: &str = "permit(principal, action, resource);";

fn told(sources: &Sources) -> Vec<String> {
    compile(sources).err().expect("accepted").problems.iter().map(ToString::to_string).collect()
}

fn warned(sources: &Sources) -> Vec<String> {
    compile(sources).unwrap().warnings().iter().map(ToString::to_string).collect()
}

#[test]
fn an_attribute_of_the_wrong_type_is_told_with_the_entity_and_both_types() {
    let entities = r#"[
      {"uid": {"type": "Workload", "id": "spiffe://td/a"}, "attrs": {"owner": 7}, "parents": []},
      {"uid": {"type": "WorkloadPath", "id": "spiffe://td/b"}, "attrs": {"environment": ["test"]}, "parents": []}
    ]"#;
    assert_eq!(
        told(&with_entities(PERMIT, entities)),
        [
            "e.json:2:7: entity does not conform to the schema: in attribute `owner` on `Workload::\"spiffe://td/a\"`, type mismatch: value was expected to have type string, but it actually has type long: `7`",
            "e.json:3:7: entity does not conform to the schema: in attribute `environment` on `WorkloadPath::\"spiffe://td/b\"`, type mismatch: value was expected to have type string, but it actually has type set: `[\"test\"]`",
        ]
    );
}

#[test]
fn an_entity_that_is_named_but_nowhere_is_warned_of_where_it_is_named() {
    let text = r#"permit(principal in WorkloadGroup::"web", action, resource);
permit(principal, action, resource in ServiceGroup::"back")
when { principal in WorkloadGroup::"wbe" };
permit(principal == Workload::"spiffe://td/a", action == Action::"GET", resource == Service::"other");
permit(principal in WorkloadPath::"spiffe://td/b", action, resource) unless { principal in TrustDomain::"ud" };
permit(principal == Unverified::"10.0.0.1", action, resource);"#;
    let entities = r#"[{"uid": {"type": "TrustDomain", "id": "td"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "web"}]}]"#;
    let missing = |sources: &Sources| -> Vec<String> {
        warned(sources).into_iter().filter(|warning| warning.contains("so nothing is in it")).collect()
    };
    let end = "so nothing is in it; check its name, or list it there";
    assert_eq!(
        missing(&with_entities(text, entities)),
        [
            format!("a.cedar:2:39: ServiceGroup::\"back\" is not in e.json, {end}"),
            format!("a.cedar:3:21: WorkloadGroup::\"wbe\" is not in e.json, {end}"),
        ]
    );
    assert_eq!(
        missing(&sources(text))[0],
        format!("a.cedar:1:21: WorkloadGroup::\"web\" is nowhere, as there is no entities file, {end}")
    );
}

#[test]
fn groups_that_are_in_themselves_are_told_with_the_whole_circle() {
    let entities = r#"[
      {"uid": {"type": "WorkloadGroup", "id": "x"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "b"}]},
      {"uid": {"type": "WorkloadGroup", "id": "a"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "b"}]},
      {"uid": {"type": "WorkloadGroup", "id": "b"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "a"}]},
      {"uid": {"type": "WorkloadGroup", "id": "c"}, "attrs": {}, "parents": []}
    ]"#;
    assert_eq!(
        told(&with_entities(PERMIT, entities)),
        [
            "e.json:3:7: WorkloadGroup::\"a\" is in itself: WorkloadGroup::\"a\" in WorkloadGroup::\"b\" in WorkloadGroup::\"a\"; take one of them out of the next"
        ]
    );
}

#[test]
fn an_erroring_policy_denies_and_is_named() {
    let text = r#"@id("fine") permit(principal, action, resource);
@id("too-many") forbid(principal, action, resource) when { 9223372036854775807 + context.hops.count > 0 };"#;
    let decision = TestRequest::default().decide(&compile(&sources(text)).unwrap());
    assert_eq!(said(&decision), "policy_error by too-many");
}

#[test]
fn of_ten_thousand_mistakes_the_first_hundred_are_told() {
    let wrong = r#"{"uid": {"type": "Robot", "id": "x"}, "attrs": {}, "parents": []}"#;
    let told = told(&with_entities(PERMIT, &format!("[{}]", vec![wrong; 10_000].join(",\n"))));
    assert_eq!(told.len(), 101);
    assert!(told.contains(&"e.json: only the first 100 mistakes are told".to_owned()), "{told:?}");
}

/// A thousand policies, each with a long list of paths.
fn large() -> String {
    let mut text = String::new();
    for number in 0..1_000 {
        write!(text, "@id(\"p{number}\")\npermit(principal in WorkloadPath::\"spiffe://td/ns/n{number}\", action, resource) when {{ [").unwrap();
        (0..110).for_each(|item| {
            write!(text, "\"/namespaces/n{number:04}/orders/{item:04}/entries-of-it\", ").unwrap();
        });
        text.push_str("\"/end\"].contains(context.http.path) };\n");
    }
    text
}

#[test]
fn a_policy_file_of_five_megabytes_is_loaded() {
    let text = large();
    assert!(text.len() > 5_000_000, "{}", text.len());
    let policies = compile(&sources(&text)).unwrap();
    let at = |caller: &str, target: &str| {
        said(&TestRequest { caller: caller.into(), target: target.into(), ..TestRequest::default() }.decide(&policies))
    };
    assert_eq!(at("spiffe://td/ns/n999/x", "/namespaces/n0999/orders/0099/entries-of-it"), "permit by p999");
    assert_eq!(at("spiffe://td/ns/n998/x", "/namespaces/n0999/orders/0099/entries-of-it"), "no_permit");
    let broken = format!("{text}permit(");
    let line = text.lines().count() + 1;
    let told = told(&sources(&broken));
    assert!(
        told.len() == 1 && told[0].starts_with(&format!("a.cedar:{line}:8: unexpected end of input; ")),
        "{told:?}"
    );
}

#[test]
fn a_file_that_is_too_long_is_refused_and_not_read() {
    let home = tempfile::TempDir::new().unwrap();
    let path = home.path().join("a.cedar");
    std::fs::File::create(&path).unwrap().set_len(32 * 1024 * 1024 + 1).unwrap();
    let files = PolicyFiles {
        policies: vec![path.clone()],
        schema: None,
        schema_extensions: vec![],
        entities: None,
        service: "cart".into(),
        limit_millis: 1,
        deny_limit_millis: 1,
        refuse_path_parameters: false,
        time_zone: TimeZone::utc(),
    };
    let words = "33554433 bytes are more than the 33554432 that are read; split the file";
    assert_eq!(load(&files).err().unwrap().to_string(), format!("{}: {words}", path.display()));
}

#[test]
fn tens_of_thousands_of_entities_are_loaded_and_found() {
    let mut text = String::from("[");
    for number in 0..30_000 {
        let group = number % 100;
        writeln!(text, r#"{{"uid": {{"type": "Workload", "id": "spiffe://td/ns/n/sa/w{number}"}}, "attrs": {{}}, "parents": [{{"type": "WorkloadGroup", "id": "g{group}"}}]}},"#).unwrap();
    }
    text.push_str(r#"{"uid": {"type": "WorkloadGroup", "id": "g0"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "top"}]}]"#);
    let policies = "permit(principal in WorkloadGroup::\"top\", action, resource);";
    let policies = compile(&with_entities(policies, &text)).unwrap();
    let of = |number: usize| {
        let caller = format!("spiffe://td/ns/n/sa/w{number}");
        said(&TestRequest { caller, ..TestRequest::default() }.decide(&policies))
    };
    assert_eq!(
        (of(29_900).as_str(), of(29_901).as_str(), of(30_000).as_str()),
        ("permit by a.cedar:1", "no_permit", "no_permit")
    );
}
