//! What policies see of a workload beside its name: parts of its ID, and what the entities file says of it or of all around it.

use super::{
    request::{TestRequest, said},
    *,
};

#[track_caller]
fn permitted(condition: &str, entities: &str, callers: &[(&str, bool)]) {
    let text = format!("permit(principal, action, resource) when {{ {condition} }};");
    let policies = compile(&with_entities(&text, entities)).unwrap();
    for (caller, expected) in callers {
        let request = TestRequest { caller: (*caller).into(), ..TestRequest::default() };
        let expected = if *expected { "permit by a.cedar:1" } else { "no_permit" };
        assert_eq!(said(&request.decide(&policies)), expected, "{condition}: {caller}");
        // Somebody behind the caller is seen in the same way.
        let text = text
            .replace("principal has", "context has origin && context.origin has")
            .replace("principal.", "context.origin.");
        let behind = TestRequest { hops: vec![(*caller).into()], ..TestRequest::default() };
        assert_eq!(
            said(&behind.decide(&compile(&with_entities(&text, entities)).unwrap())),
            expected,
            "{text}: {caller}"
        );
    }
}

#[test]
fn the_segments_of_a_path_count_from_the_left() {
    let named = r#"[{"uid": {"type": "Workload", "id": "spiffe://td/ns/shop/sa/named"}, "attrs": {}, "parents": []}]"#;
    permitted(
        r#"principal has segments && principal.segments has "2" && principal.segments["2"] == "shop""#,
        named,
        &[
            ("spiffe://td/ns/shop", true),
            ("spiffe://td/ns/shop/sa/web", true),
            ("spiffe://td/ns/shop/sa/named", true),
            ("spiffe://td/shop", false),
            ("spiffe://td/shop/ns", false),
            ("spiffe://td/ns/shops", false),
        ],
    );
    permitted(
        r#"principal has segments && !(principal.segments has "3") && principal.segments has "1""#,
        "[]",
        &[("spiffe://td/a", true), ("spiffe://td/a/b", true), ("spiffe://td/a/b/c", false)],
    );
    permitted(
        r#"principal has segments && principal.segments has "8" && principal.segments["8"] == "h""#,
        "[]",
        &[("spiffe://td/a/b/c/d/e/f/g/h/i/j", true), ("spiffe://td/a/b/c/d/e/f/g", false)],
    );
}

const HANDED_DOWN: &str = r#"[
  {"uid": {"type": "TrustDomain", "id": "td"}, "attrs": {"environment": "production", "owner": "platform"}, "parents": []},
  {"uid": {"type": "WorkloadPath", "id": "spiffe://td/lab"}, "attrs": {"environment": "test"}, "parents": []},
  {"uid": {"type": "WorkloadPath", "id": "spiffe://td/lab/safe"}, "attrs": {"environment": "production"}, "parents": []},
  {"uid": {"type": "Workload", "id": "spiffe://td/lab/stated"}, "attrs": {"environment": "own"}, "parents": []},
  {"uid": {"type": "Workload", "id": "spiffe://td/lab/named"}, "attrs": {}, "parents": []}
]"#;

#[test]
fn the_nearest_path_or_the_trust_domain_says_the_environment_of_those_who_state_none() {
    let environment = |name: &str| format!("principal has environment && principal.environment == \"{name}\"");
    permitted(
        &environment("production"),
        HANDED_DOWN,
        &[
            ("spiffe://td/web", true),
            ("spiffe://td/laboratory", true),
            ("spiffe://td/lab/safe", true),
            ("spiffe://td/lab/safe/x", true),
            ("spiffe://td/lab/x", false),
            ("spiffe://ud/web", false),
        ],
    );
    permitted(
        &environment("test"),
        HANDED_DOWN,
        &[
            ("spiffe://td/lab", true),
            ("spiffe://td/lab/x", true),
            ("spiffe://td/lab/named", true),
            ("spiffe://td/lab/stated", false),
        ],
    );
    permitted(&environment("own"), HANDED_DOWN, &[("spiffe://td/lab/stated", true)]);
    permitted(
        r#"principal has owner && principal.owner == "platform""#,
        HANDED_DOWN,
        &[("spiffe://td/lab/stated", true), ("spiffe://td/x", true), ("spiffe://ud/x", false)],
    );
}

#[test]
fn only_what_the_schema_declares_is_filled_in() {
    let entities =
        r#"[{"uid": {"type": "WorkloadPath", "id": "spiffe://td/a"}, "attrs": {"owner": "x"}, "parents": []}]"#;
    let schema = |workload: &str| {
        format!(
            "entity Workload in [WorkloadPath] {{ {workload} }}; entity WorkloadPath {{ owner?: String }}; entity Service;
             action GET appliesTo {{ principal: Workload, resource: Service }};"
        )
    };
    let decide = |condition: &str, workload: &str| {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        let sources =
            Sources { entities: with_entities("", entities).entities, ..with_schema(&text, &schema(workload)) };
        let request = TestRequest { caller: "spiffe://td/a/b".into(), ..TestRequest::default() };
        compile(&sources).map(|policies| said(&request.decide(&policies)))
    };
    let permit = Ok("permit by a.cedar:1".to_owned());
    assert_eq!(decide(r#"principal.owner == "x""#, "owner?: String").map_err(|_| ()), Err(()), "it may be absent");
    assert_eq!(decide(r#"principal has owner && principal.owner == "x""#, "owner?: String"), permit);
    assert_eq!(decide("true", ""), permit);
    // Of another type it is the operator's own.
    assert_eq!(decide("!(principal has owner)", "owner?: Long"), permit);
    assert_eq!(
        decide(r#"principal.segments has "2" && !(principal.segments has "1")"#, r#"segments: { "2"?: String }"#),
        permit
    );
    for (workload, words) in [
        (
            "path: Long",
            "attribute path of Workload has another type than the one it is filled with; declare it as String",
        ),
        (
            "segments?: Set<String>",
            "attribute segments of Workload has another type than the one it is filled with; declare it as a record",
        ),
    ] {
        let told = decide("true", workload).unwrap_err().to_string();
        assert!(told.contains(words), "{told}");
    }
}
