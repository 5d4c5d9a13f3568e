//! Mistakes of people who have never seen Cedar, and what they are told: where it is, and what to write instead.

use super::*;

/// A policy with this condition.
fn when(condition: &str) -> String {
    format!("permit(principal, action, resource) when {{ {condition} }};")
}

/// Every error or warning, as it is printed.
fn told(policies: &str) -> Vec<String> {
    let entities = r#"[{"uid": {"type": "Workload", "id": "spiffe://td/a"}, "attrs": {},
        "parents": [{"type": "WorkloadGroup", "id": "operators"}]}]"#;
    match compile(&with_entities(policies, entities)) {
        Ok(compiled) => compiled.warnings().iter().map(|it| format!("warning: {it}")).collect(),
        Err(invalid) => invalid.problems.iter().map(|it| format!("error: {it}")).collect(),
    }
}

#[track_caller]
fn check(policies: &str, expected: &str) {
    let told = told(policies);
    assert!(told.iter().any(|it| it == expected), "{policies}\nis told {told:#?}\nnot {expected}");
}

#[test]
fn names_that_are_misspelt_are_told_with_the_right_one() {
    for (policy, expected) in [
        (
            when("context.http.pth == \"/\""),
            "error: a.cedar:1:44: attribute `http.pth` in context not found; did you mean `path`?",
        ),
        (
            when("principal.trustdomain == \"td\""),
            "error: a.cedar:1:44: attribute `trustdomain` on entity type `Workload` not found; did you mean `trust_domain`?",
        ),
        (
            "permit(principal is Worklod, action, resource);".to_owned(),
            "error: a.cedar:1:21: entity type Worklod is unknown; did you mean Workload?",
        ),
        (
            "permit(principal == User::\"web\", action, resource);".to_owned(),
            "error: a.cedar:1:21: entity type User is unknown; there are Service, ServiceGroup, TrustDomain, Unverified, Workload, \
             WorkloadGroup, WorkloadPath",
        ),
        (
            "permit(principal, action == Action::\"get\", resource);".to_owned(),
            "error: a.cedar:1:29: action \"get\" is unknown; did you mean Action::\"GET\"?",
        ),
        (
            "permit(principal, action == Action::\"GETT\", resource);".to_owned(),
            "error: a.cedar:1:29: action \"GETT\" is unknown; did you mean Action::\"GET\"?",
        ),
        (
            "permit(principal in WorkloadGroup::\"opertors\", action, resource);".to_owned(),
            "warning: a.cedar:1:21: WorkloadGroup::\"opertors\" is not in e.json, so nothing is in it; did you mean \
             WorkloadGroup::\"operators\"?",
        ),
        (
            "permit(principal in WorkloadGroup::\"night shift\", action, resource);".to_owned(),
            "warning: a.cedar:1:21: WorkloadGroup::\"night shift\" is not in e.json, so nothing is in it; check its name, or list it \
             there",
        ),
        (
            "permit(principal, action, resource == Service::\"crat\");".to_owned(),
            "warning: a.cedar:1:48: Service::\"crat\" is not this service; did you mean Service::\"cart\"?",
        ),
        (
            "permit(principal == Workload::\"spiffe://td/ns/*\", action, resource);".to_owned(),
            "error: a.cedar:1:1: Workload::\"spiffe://td/ns/*\" can never match: spiffe id \"spiffe://td/ns/*\" has '*' in its path; use \
             only letters, digits, dots, dashes and underscores; for everything below it write principal in \
             WorkloadPath::\"spiffe://td/ns\"",
        ),
    ] {
        check(&policy, expected);
    }
}

#[test]
fn signs_of_other_languages_are_told_with_those_of_cedar() {
    let uid = "write type and name, such as Workload::\"spiffe://example.org/ns/shop/sa/web\", Action::\"GET\" or Service::\"cart\"";
    for (policy, expected) in [
        (when("context.http.path = \"/\""), "error: a.cedar:1:44: '=' is not a valid operator in Cedar; try using '==' instead".to_owned()),
        (when("context.http.path == '/'"), "error: a.cedar:1:65: invalid token; strings must use double quotes, not single quotes".to_owned()),
        (
            when("context.hops.complete and context.hops.count > 1"),
            "error: a.cedar:1:66: unexpected token `and`; write `&&` where both must hold".to_owned(),
        ),
        (
            when("context.hops.complete or context.hops.count > 1"),
            "error: a.cedar:1:66: unexpected token `or`; write `||` where one of both must hold".to_owned(),
        ),
        (
            when("context.hops.complete & true"),
            "error: a.cedar:1:66: invalid token; write `&&` where both must hold".to_owned(),
        ),
        (
            when("context.hops.complete | true"),
            "error: a.cedar:1:66: invalid token; write `||` where one of both must hold".to_owned(),
        ),
        (when("not context.hops.complete"), "error: a.cedar:1:48: unexpected token `context`; write `!( … )` for what must not hold".to_owned()),
        (
            "permit(principal, action, resource)\nforbid(principal, action, resource);".to_owned(),
            "error: a.cedar:2:7: the policy before this `forbid` has no end; write `;` behind it".to_owned(),
        ),
        (
            "permit(principal, action, resource)".to_owned(),
            "error: a.cedar:1:36: unexpected end of input; a policy ends with `;`".to_owned(),
        ),
        (
            "permit(principal, action, resource".to_owned(),
            "error: a.cedar:1:35: unexpected end of input; something is still open; see that each ( { [ and \" has its end, and that \
             the policy ends with `;`"
                .to_owned(),
        ),
        (
            "permit(principal, action, resource) when { context.hops.complete ;".to_owned(),
            "error: a.cedar:1:66: unexpected token `;`; a `{` is still open; write `}` before this `;`".to_owned(),
        ),
        ("permit(Principal, action, resource);".to_owned(), "error: a.cedar:1:8: Principal is unknown; write principal".to_owned()),
        (
            "allow(principal, action, resource);".to_owned(),
            "error: a.cedar:1:1: invalid policy effect: allow; effect must be either `permit` or `forbid`".to_owned(),
        ),
        (
            "permit(principal, action == \"GET\", resource);".to_owned(),
            format!("error: a.cedar:1:29: expected an entity uid, found literal `\"GET\"`; {uid}"),
        ),
        (
            "permit(principal, action == GET, resource);".to_owned(),
            format!("error: a.cedar:1:29: expected an entity uid, found name `GET`; {uid}"),
        ),
    ] {
        check(&policy, &expected);
    }
}

#[test]
fn types_that_do_not_fit_are_told_with_what_would() {
    for (condition, column, words) in [
        (
            "context.source.ip.isLoopback()",
            44,
            "a request may come without the attribute `source.ip` in context; ask for it first: `context.source has ip && …`",
        ),
        ("context.hops.count == \"2\"", 44, "write numbers without quotes, and texts in double quotes"),
        ("context.hops.complete == \"true\"", 44, "write true and false without quotes"),
        ("context.now == \"2026-01-01\"", 44, "write a time as datetime(\"2026-01-31T12:00:00Z\")"),
        ("principal == \"spiffe://td/a\"", 44, "such as Workload::\"spiffe://example.org/ns/shop/sa/web\""),
        ("context has source.ip && context.source.ip == \"10.0.0.1\"", 69, "write an address as ip(\"10.0.0.1\")"),
        ("context.http.path > 3", 44, "<, <=, > and >= compare numbers; for texts there are ==, != and like"),
    ] {
        let told = told(&when(condition));
        assert!(
            told[0].starts_with(&format!("error: a.cedar:1:{column}: ")) && told[0].ends_with(words),
            "{condition}: {told:?}"
        );
    }
}

#[test]
fn what_can_never_be_is_a_warning_with_its_place() {
    let impossible = "this policy can never apply: what it asks for is false for every request that there can be";
    let scope = "this policy can never apply: no action has such a principal and resource together; a principal is a Workload or \
                 Unverified, the resource is the Service";
    for (policy, place, expected) in [
        ("permit(principal is Service, action, resource);".to_owned(), "1:1", scope),
        ("permit(principal, action, resource is Workload);".to_owned(), "1:1", scope),
        (when("context.hops.complete && false"), "1:1", impossible),
        (when("principal is Unverified"), "1:1", impossible),
        (
            when("context.http.path == \"/orders/*\""),
            "1:65",
            "\"/orders/*\" is compared as it stands, with its *; write `like` in place of == for a pattern",
        ),
        (
            when("context.http.path like \"^/orders/.*\""),
            "1:67",
            "\"^/orders/.*\" is no regular expression: only * means something, any text; write \"/orders/*\"",
        ),
        (when("context.http.method == \"get\""), "1:67", "no method is called \"get\"; write \"GET\""),
        (
            when("context.http.headers has \"X-Tenant\""),
            "1:69",
            "header \"X-Tenant\" is never there: names of headers are in lower case; write \"x-tenant\"",
        ),
        (
            when("context.http.headers has \"x-foo\""),
            "1:69",
            "header \"x-foo\" is never there: the schema does not declare it; do so in a file of \
             policy.schema_extensions: type Headers = { \"x-foo\"?: String };",
        ),
        (
            when("context has sourc.ip"),
            "1:56",
            "context.sourc.ip is never there: the schema does not declare it; `countersign policy schema` prints what there is",
        ),
    ] {
        check(&policy, &format!("warning: a.cedar:{place}: {expected}"));
    }
    let scopes = told("permit(principal is Service, action, resource);");
    assert!(!scopes.iter().any(|it| it.ends_with(impossible)), "that is said in better words: {scopes:?}");
}

#[test]
fn what_is_meant_is_no_warning() {
    for policy in [
        when("context.http.path like \"/orders/*\" && context.http.method == \"GET\""),
        when("context.http.headers has \"x-tenant\" && context.http.headers[\"x-tenant\"] like \"a.b\""),
        when("context has origin.path && context.origin.path == \"/a\""),
        "permit(principal in WorkloadGroup::\"operators\", action, resource);".to_owned(),
        "permit(principal, action, resource); @id(\"b\") permit(principal, action, resource == Service::\"elsewhere\");".to_owned(),
    ] {
        assert_eq!(told(&policy), [""; 0], "{policy}");
    }
}
