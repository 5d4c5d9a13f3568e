//! What is said about a decision.

use authz_core::reason::{Class, Reason};

use super::*;

/// The explanation of the one case.
fn explained(policies: &str, case: &str) -> Explanation {
    let (runs, _) = ran(policies, &format!("- {{ name: a, expect: deny, {case} }}"));
    runs.into_iter().next().unwrap().explanation
}

#[test]
fn a_denial_for_want_of_a_permit_names_the_nearest_and_what_is_in_its_way() {
    let policies = "@id(\"far\") permit(principal == Workload::\"spiffe://td/other\", action == Action::\"PUT\", resource) when { context.http.host == \"x\" };\n\
        @id(\"near\") permit(principal, action, resource) when { context.http.path like \"/orders/*\" && context.http.method == \"GET\" };\n\
        @id(\"elsewhere\") permit(principal, action, resource == Service::\"other\");";
    let explanation = explained(policies, "caller: spiffe://td/web, request: GET /carts");
    let expected = "\
deny: no_permit
  no policy permits it, and what nobody permits is denied: add a policy that begins with permit, or widen one of those below
a.cedar:2:1: policy near would permit it, but for
  - when context.http.path like \"/orders/*\": false
      context.http.path (the path, without the query) is \"/carts\"
rests on the caller and the operation
  path = \"/carts\" (only like:/orders/*)
holds until 2026-01-05T12:00:05.000Z: a denial is reused for policy.deny_ttl at most";
    assert_eq!(explanation_text(&explanation), expected);
}

#[test]
fn a_scope_that_does_not_fit_is_named_with_what_the_caller_is_in() {
    let policies = "permit(principal in TrustDomain::\"other\", action in Action::\"read\", resource);";
    let note = explained(policies, "caller: spiffe://td/web, request: PUT /").nearest.remove(0);
    let said: Vec<(&str, Option<bool>)> = note.conditions.iter().map(|it| (it.condition.as_str(), it.holds)).collect();
    assert_eq!(
        said,
        [("principal in TrustDomain::\"other\"", Some(false)), ("action in [Action::\"read\"]", Some(false))]
    );
    assert!(note.conditions[0].facts[1].value.as_deref().unwrap().contains("TrustDomain::\"td\""), "{note:?}");
}

#[test]
fn every_alternative_and_what_a_not_turns_round_is_named() {
    let policies = "permit(principal, action, resource) when { !(context.http.path == \"/a\") && (context.http.host == \"x\" || context.http.host == \"y\") };";
    let of = |request: &str| -> Vec<(String, Option<bool>)> {
        let note = explained(policies, &format!("caller: spiffe://td/web, request: {request}")).nearest.remove(0);
        note.conditions.into_iter().map(|it| (it.condition, it.holds)).collect()
    };
    assert_eq!(of("{ path: /a, host: x }"), [("context.http.path == \"/a\"".to_owned(), Some(true))]);
    let hosts = ["x", "y"].map(|host| (format!("context.http.host == {host:?}"), Some(false)));
    assert_eq!(of("{ path: /b, host: z }"), hosts);
}

#[test]
fn an_unless_that_holds_is_in_the_way() {
    let policies = "permit(principal, action, resource) unless { context.http.path == \"/a\" };";
    let note = explained(policies, "caller: spiffe://td/web, request: GET /a").nearest.remove(0);
    assert_eq!((note.conditions[0].holds, note.conditions[0].met), (Some(true), false));
}

#[test]
fn a_policy_that_fails_says_at_which_condition_and_why() {
    let policies =
        "@id(\"sum\") permit(principal, action, resource) when { 9223372036854775807 + context.hops.count > 0 };";
    let explanation = explained(policies, "caller: spiffe://td/web");
    assert_eq!((explanation.reason, explanation.policies[0].policy.as_str()), ("policy_error", "sum"));
    let condition = &explanation.policies[0].conditions[0];
    assert!(condition.holds.is_none() && condition.error.as_deref().unwrap().contains("overflow"), "{condition:?}");
}

#[test]
fn a_permit_for_anybody_says_why_it_does_not_let_in_the_unverified_or_connections() {
    let policies = "permit(principal, action, resource);\npermit(principal == Unverified::\"192.0.2.1\", action, resource);\n\
                    permit(principal == Workload::\"spiffe://td/db\", action == Action::\"tcp:connect\", resource);";
    for case in ["unverified: certificate_missing", "caller: spiffe://td/web, connection: true"] {
        let explanation = explained(policies, case);
        let note = explanation.nearest.iter().find(|note| note.line == 1).unwrap();
        assert!(note.remark.as_deref().unwrap().contains("principal is Unverified"), "{note:?}");
    }
}

#[test]
fn a_decision_says_what_it_rests_on_and_until_when() {
    let policies = "permit(principal, action, resource) when { context.http.path like \"/a*\" && context.source has ip && \
                    context.http.host == context.http.scheme };";
    let explanation = explained(
        policies,
        "caller: { id: spiffe://td/web, issued: 59m ago, lifetime: '59m30s' }, request: { path: /a, host: https }, source: 10.0.0.1",
    );
    assert_eq!(explanation.verdict, "allow");
    let key: Vec<(&str, bool, Vec<&str>, Option<&str>)> = explanation
        .key
        .iter()
        .map(|it| (it.fact.as_str(), it.whole, it.tests.iter().map(String::as_str).collect(), it.value.as_deref()))
        .collect();
    let expected = [
        ("host", true, vec![], Some("\"https\"")),
        ("path", false, vec!["like:/a*"], Some("\"/a\"")),
        ("scheme", true, vec![], Some("\"https\"")),
        ("source-ip", false, vec![], Some("ip(\"10.0.0.1\")")),
    ];
    assert_eq!(key, expected);
    assert_eq!(explanation.holds.until.as_deref(), Some("2026-01-05T12:00:30.000Z"));
    assert_eq!(explanation.holds.because, "the caller's certificate ends then");
}

#[test]
fn what_is_never_reused_says_so() {
    let policies = "permit(principal is Unverified, action, resource);\npermit(principal, action, resource);";
    let unverified = explained(policies, "unverified: certificate_missing");
    assert_eq!((unverified.verdict, unverified.holds.until), ("allow", None));
    let old = explained(policies, "caller: spiffe://td/web, view_age: 5s");
    assert!(old.holds.until.is_none() && old.holds.because.contains("old view"));
    let refused = explained(policies, "caller: spiffe://td/web, request: GET /a/../b");
    assert!(refused.holds.until.is_none() && refused.policies.is_empty() && refused.nearest.is_empty());
}

#[test]
fn a_decision_by_the_time_says_when_it_turns_and_one_by_risk_what_the_risk_is() {
    let policies = "permit(principal, action, resource) when { context.clock.minute < 721 && principal has risk && principal.risk < 50 };";
    let explanation = explained(policies, "caller: { id: spiffe://td/a, risk: 20 }, at: '2026-01-05T12:00:30Z'");
    assert_eq!(explanation.holds.until.as_deref(), Some("2026-01-05T12:01:00.000Z"));
    assert!(explanation.holds.because.contains("that comparison turns then"), "{:?}", explanation.holds);
    assert_eq!(explanation.key[0].value.as_deref(), Some("20"), "{:?}", explanation.key);
    let other =
        "permit(principal, action, resource) when { context.now.offset(duration(\"1h\")) > datetime(\"2000-01-01\") };";
    let explanation = explained(other, "caller: spiffe://td/a");
    assert!(
        explanation.holds.until.is_some() || explanation.holds.because.contains("at any moment"),
        "{:?}",
        explanation.holds
    );
}

#[test]
fn every_reason_has_words_and_those_of_denials_say_what_to_do() {
    for reason in Reason::ALL {
        let words = words::meaning(*reason);
        assert!(words.len() > 20 && !words.ends_with('.'), "{reason}");
        assert!(reason.class() == Class::Allow || words.contains([':', ';']), "{reason}: {words}");
    }
}

#[test]
fn a_failing_case_says_what_was_expected_what_came_and_why() {
    let (runs, _) = ran(
        "@id(\"f\") forbid(principal, action, resource) when { context.http.path == \"/\" }; @id(\"p\") permit(principal, action, resource);",
        "- { name: may, caller: spiffe://td/a, expect: allow, policies: p }\n- { name: may not, caller: spiffe://td/a, expect: deny, reason: no_permit }",
    );
    let texts: Vec<String> = runs.iter().map(failure).collect();
    let why = "  a.cedar:1:1: policy f forbids it\n    + when context.http.path == \"/\": true\n        context.http.path (the path, without the query) is \"/\"";
    let first = "c.yaml:2: may\n  expected allow, but it is deny (forbid)\n  expected policy p to determine it, but it is policy f to determine it\n";
    assert_eq!(texts[0], format!("{first}{why}"));
    assert_eq!(texts[1], format!("c.yaml:3: may not\n  expected reason no_permit, but it is forbid\n{why}"));
    let xml = junit(&runs);
    assert!(xml.contains("<testsuites name=\"countersign policy test\" tests=\"2\" failures=\"2\">"), "{xml}");
    assert!(xml.contains("<testcase name=\"may\" classname=\"c.yaml\" file=\"c.yaml\" line=\"2\">\n      <failure message=\"expected allow, but"));
}
