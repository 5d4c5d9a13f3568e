//! What counts as covered.

use super::*;

/// The gaps that cases leave, shortly.
fn gaps(policies: &str, text: &str) -> Vec<String> {
    let (_, coverage) = ran(policies, text);
    coverage.gaps().iter().map(gap).collect()
}

#[test]
fn a_policy_is_covered_by_a_case_that_it_matches_also_if_another_decides() {
    let policies = "@id(\"p\") permit(principal, action, resource);\n@id(\"f\") forbid(principal, action == Action::\"PUT\", resource);";
    let get = "- { name: a, caller: spiffe://td/a, request: GET /, expect: allow }\n";
    assert_eq!(gaps(policies, get), ["a.cedar:2:1: policy f: no case matches it"]);
    let put = "- { name: b, caller: spiffe://td/a, request: PUT /, expect: deny }";
    assert_eq!(gaps(policies, put), [""; 0], "the forbid decides, the permit matches");
}

#[test]
fn each_condition_has_to_be_seen_to_hold_and_not_to() {
    let policies = "@id(\"p\") permit(principal, action, resource) when { context.http.path == \"/a\" && !(context.http.host == \"h\" || context.http.scheme == \"s\") };";
    let case = |path: &str, host: &str, scheme: &str| {
        format!(
            "- {{ name: '{path}{host}{scheme}', caller: spiffe://td/a, request: {{ path: {path}, host: {host}, scheme: {scheme} }}, expect: deny }}\n"
        )
    };
    let never =
        |what: &str, condition: &str| format!("a.cedar:1:1: policy p: no case where this is {what}: {condition}");
    let (path, host, scheme) =
        ("context.http.path == \"/a\"", "context.http.host == \"h\"", "context.http.scheme == \"s\"");
    let not_reached = gaps(policies, &case("/b", "h", "s"));
    let expected = [
        "a.cedar:1:1: policy p: no case matches it".to_owned(),
        never("true", path),
        never("true", host),
        never("false", host),
        never("true", scheme),
        never("false", scheme),
    ];
    assert_eq!(not_reached, expected, "what short circuit leaves out is not seen");
    let host_hides_scheme =
        gaps(policies, &[case("/b", "h", "s"), case("/a", "h", "s"), case("/a", "x", "x")].concat());
    assert_eq!(host_hides_scheme, [never("true", scheme)]);
    let all = [case("/b", "h", "s"), case("/a", "h", "s"), case("/a", "x", "x"), case("/a", "x", "s")].concat();
    assert_eq!(gaps(policies, &all), [""; 0]);
}

#[test]
fn a_has_that_only_guards_what_follows_need_not_be_seen() {
    let guard = "@id(\"p\") permit(principal, action, resource) when { context.source has ip && context.source.ip.isLoopback() };";
    let cases = "- { name: a, caller: spiffe://td/a, source: 127.0.0.1, expect: allow }\n- { name: b, caller: spiffe://td/a, source: 10.0.0.1, expect: deny }";
    assert_eq!(gaps(guard, cases), [""; 0]);
    let asks = "@id(\"p\") permit(principal, action, resource) when { context.source has ip };";
    assert_eq!(gaps(asks, cases), ["a.cedar:1:1: policy p: no case where this is false: context.source has ip"]);
}

#[test]
fn policies_of_other_services_do_not_count_and_neither_does_what_is_always_so() {
    let policies = "permit(principal, action, resource == Service::\"other\") when { context.http.path == \"/a\" };\n\
                    @id(\"p\") permit(principal, action, resource) when { true };";
    let (_, coverage) = ran(policies, "- { name: a, caller: spiffe://td/a, expect: allow }");
    assert_eq!((coverage.policies(), coverage.matched(), coverage.conditions(), coverage.gaps()), (1, 1, 0, vec![]));
}

#[test]
fn coverage_is_the_share_of_what_can_be_seen_and_whole_only_if_nothing_is_missing() {
    let policies = "permit(principal, action, resource) when { context.http.path == \"/a\" };";
    let (runs, coverage) = ran(policies, "- { name: a, caller: spiffe://td/a, request: GET /a, expect: allow }");
    let report = Report::new(runs, std::slice::from_ref(&coverage));
    assert_eq!(format!("{}", report.summary.coverage), "66.6", "matched and held, never failed to hold");
    assert_eq!((report.summary.conditions, report.summary.conditions_decided), (1, 0));
    assert_eq!(format!("{}", Report::new(vec![], &[]).summary.coverage), "100");
}
