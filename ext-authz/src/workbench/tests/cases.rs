//! How cases are read, and what becomes facts.

use proptest::prelude::*;

use super::*;

const PERMIT: &str = "permit(principal, action, resource);";

/// Everything that is wrong with a file.
fn wrong(text: &str) -> Vec<String> {
    let problems = CaseFile::parse(text, Path::new("c.yaml")).map(|_| ()).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

/// Whether exactly one condition holds of a request, by the verdict.
#[track_caller]
fn holds(condition: &str, case: &str) {
    let text = format!("- name: a\n  caller: spiffe://td/ns/web\n  expect: allow\n{case}");
    let (runs, _) = ran(&format!("permit(principal, action, resource) when {{ {condition} }};"), &text);
    assert!(runs[0].passed, "{condition}: {}", failure(&runs[0]));
}

#[test]
fn every_word_of_a_case_becomes_the_fact_it_names() {
    for (condition, case) in [
        ("principal == Workload::\"spiffe://td/ns/web\" && context.http.method == \"GET\"", ""),
        (
            "context.http.method == \"PUT\" && context.http.path == \"/a\" && context.http.query == \"b\"",
            "  request: PUT /a?b",
        ),
        ("context.http.path == \"/a\"", "  request: { path: /a }"),
        ("context.http.host == \"h\" && context.http.scheme == \"http\"", "  request: { host: h, scheme: http }"),
        ("context.http.protocol == \"HTTP/1.1\"", "  request: { protocol: HTTP/1.1 }"),
        ("context.http.headers[\"x-tenant\"] == \"a\"", "  request: { headers: { x-tenant: a } }"),
        ("context.source.ip == ip(\"10.0.0.1\")", "  source: 10.0.0.1:99"),
        ("context.source.ip == ip(\"::1\")", "  source: ::1"),
        ("context.destination.ip == ip(\"10.0.0.2\") && context.destination.port == 80", "  destination: 10.0.0.2:80"),
        ("context.tls.sni == \"x.test\"", "  sni: x.test"),
        ("context.hops.count == 2 && context.origin == Workload::\"spiffe://td/b\"", "  hops: spiffe://td/b"),
        ("!context.hops.complete && !(context has origin)", "  hops: [spiffe://td/b]\n  hops_complete: false"),
        ("context.view_age == 90000", "  view_age: 90s"),
        (
            "context.now == datetime(\"2026-03-02T08:30:00Z\") && context.clock.minute == 510",
            "  at: 2026-03-02T09:30:00+01:00",
        ),
        ("context.clock.weekday == 1 && context.clock.minute == 720", ""),
    ] {
        let guards = [
            "context.http.query",
            "context.source.ip",
            "context.tls.sni",
            "context.origin",
            "context.destination.ip",
            "context.destination.port",
        ];
        let guarded = guards.iter().filter(|path| condition.contains(*path) && !condition.contains(" has "));
        let guards: Vec<String> =
            guarded.map(|path| format!("context has {} && ", path.trim_start_matches("context."))).collect();
        let has = guards.concat();
        let has =
            if condition.contains("x-tenant") { "context.http.headers has \"x-tenant\" && ".to_owned() } else { has };
        holds(&format!("{has}{condition}"), case);
    }
}

#[test]
fn a_caller_has_the_age_the_risk_and_the_posture_that_its_case_says() {
    let policies = "permit(principal, action, resource) when { principal has credential && \
        principal.credential.age == duration(\"1h\") && principal.credential.lifetime == duration(\"12h\") && \
        principal has risk && principal.risk == 80 && principal has posture && !principal.posture.compliant && \
        principal.posture.attributes has os && principal.posture.attributes.os == \"linux\" };";
    let caller =
        |text: &str| format!("- {{ name: '{text}', caller: {{ id: spiffe://td/a, {text} }}, expect: deny }}\n");
    let whole = "issued: 1h ago, lifetime: 12h, risk: 80, posture: { compliant: false, attributes: { os: linux } }";
    let others = ["12h", "80", "false", "linux"].map(|word| {
        caller(&whole.replace(
            word,
            match word {
                "12h" => "13h",
                "80" => "81",
                "false" => "true",
                _ => "other",
            },
        ))
    });
    for run in ran(policies, &[others.concat(), caller(whole).replace("deny", "allow")].concat()).0 {
        assert!(run.passed, "{}", failure(&run));
    }
}

#[test]
fn callers_without_proof_and_connections_are_asked_about_as_in_production() {
    let policies = "permit(principal is Unverified, action, resource) when { principal.cause == \"certificate_expired\" && \
        principal has claimed_id && principal.claimed_id == \"spiffe://td/a\" && principal.claimed_names.contains(\"a.test\") };\n\
        permit(principal == Workload::\"spiffe://td/db\", action == Action::\"tcp:connect\", resource);";
    let (runs, _) = ran(
        policies,
        "- { name: a, unverified: certificate_expired, caller: spiffe://td/a, claimed_names: a.test, expect: allow, reason: permit_unverified }\n\
         - { name: b, unverified: certificate_missing, expect: deny, reason: certificate_missing }\n\
         - { name: c, caller: spiffe://td/db, connection: {}, expect: allow, policies: 'a.cedar:2' }\n\
         - { name: d, caller: spiffe://td/db, request: GET /, expect: deny, reason: no_permit }\n\
         - { name: e, caller: spiffe://td/a, connection: true, expect: deny, reason: no_permit }",
    );
    for run in runs {
        assert!(run.passed, "{}", failure(&run));
    }
}

#[test]
fn what_the_gate_refuses_is_refused_here_for_the_same_reason() {
    let policies = "permit(principal, action, resource) when { context.http.headers has \"x-tenant\" && \
                    context.http.headers[\"x-tenant\"] == \"a\" && context.http.host == \"h\" };";
    let (runs, _) = ran(
        policies,
        "- { name: a, caller: spiffe://td/a, request: { headers: { x-tenant: [a, b] } }, expect: deny, reason: header_ambiguous }\n\
         - { name: b, caller: spiffe://td/a, request: GET /a/../b, expect: deny, reason: path_ambiguous }\n\
         - { name: c, caller: spiffe://td/a, request: { host: H }, expect: deny, reason: request_malformed }\n\
         - { name: d, caller: { id: spiffe://td/a, issued: 2h ago, lifetime: 1h }, expect: deny, reason: certificate_expired }\n\
         - { name: e, caller: { id: spiffe://td/a, issued: '2026-01-05T12:00:01Z' }, expect: deny, reason: certificate_not_yet_valid }\n\
         - { name: f, caller: { id: spiffe://td/a, issued: 30m ago, lifetime: 1h }, at: '2026-01-05T12:00:00Z', request: { headers: { x-tenant: a }, host: h }, expect: allow }\n\
         - { name: g, caller: spiffe://td/a, hops: { id: spiffe://td/b, issued: 2h ago }, expect: deny, reason: certificate_expired }\n\
         - { name: h, caller: spiffe://td/a, request: FETCH /, expect: deny, reason: method_unknown }",
    );
    for run in runs {
        assert!(run.passed, "{}", failure(&run));
    }
}

#[test]
fn defaults_hold_for_every_case_that_says_nothing_else() {
    let text = "defaults: { caller: spiffe://td/a, method: PUT, path: /d, host: h, headers: { x-tenant: d, origin: o }, source: 10.0.0.1 }\n\
        cases:\n\
        - { name: a, expect: allow }\n\
        - { name: b, request: { path: /other }, expect: deny }\n\
        - { name: c, request: { headers: { x-tenant: other } }, expect: deny }\n\
        - { name: d, source: 10.0.0.2, expect: deny }\n\
        - { name: e, unverified: certificate_missing, expect: deny, reason: certificate_missing }\n\
        - { name: f, request: { headers: { origin: o } }, expect: allow }";
    let file = CaseFile::parse(text, Path::new("c.yaml")).unwrap();
    let inspector = inspector(
        "permit(principal, action == Action::\"PUT\", resource) when { context.http.path == \"/d\" && \
         context.http.headers has \"x-tenant\" && context.http.headers[\"x-tenant\"] == \"d\" && \
         context.http.headers has origin && context.http.headers.origin == \"o\" && \
         context.source has ip && context.source.ip == ip(\"10.0.0.1\") };",
    );
    for run in run(&inspector, &file, &mut Coverage::of(&inspector)).unwrap() {
        assert!(run.passed, "{}", failure(&run));
    }
}

#[test]
fn all_mistakes_are_told_at_once_with_place_and_remedy() {
    let text = "policys: [a.cedar]\nservice: cart\ndefaults: { caler: x, path: 1 }\ncases:\n\
        - { name: a, caller: spiffe:/td/a, expect: allow }\n\
        - { name: b, caller: { id: spiffe://td, issued: yesterday }, expect: maybe }\n\
        - { caller: spiffe://td/a, request: /orders, expect: allow, reason: forbid }\n\
        - { name: c, caller: spiffe://td/a, request: GET /, connection: true, expect: deny, reason: no_permt }\n\
        - { name: d, request: { headers: { X-Tenant: a, x-number: 1 } } }\n\
        - { name: e, unverified: certificate_mising, source: home, destination: 10.0.0.1, at: now, expect: deny }\n\
        - { name: f, name: f, caller: spiffe://td/a, view_age: 5, hops: [1], expect: deny }\n\
        - { name: h, caller: { id: spiffe://td/a, risk: 101, posture: { attributes: 1 } }, expect: deny }\n\
        - just text";
    let expected = [
        ("c.yaml:1:1: policys is unknown in a file of cases; did you mean policies?"),
        ("c.yaml:2:10: service stands without policies; write policies: [FILE, …]"),
        ("c.yaml:3:13: caler is unknown in defaults; did you mean caller?"),
        ("c.yaml:3:29: path is 1, which is no text; put it in quotes"),
        ("c.yaml:5:22: caller is no SPIFFE ID:"),
        ("c.yaml:6:28: id is spiffe://td, which is a trust domain and no workload; write an ID with a path"),
        ("c.yaml:6:49: issued is \"yesterday\"; write it as 2026-11-22T12:00:00Z, or as 1h ago"),
        ("c.yaml:6:70: expect is \"maybe\"; write allow or deny"),
        ("c.yaml:7:3: a case has no name; write name: and what it shows"),
        ("c.yaml:7:37: request is \"/orders\"; write method and path, such as GET /orders/1"),
        ("c.yaml:7:69: reason forbid is one to deny; make expect say the same"),
        ("c.yaml:8:3: a case asks for a request and for a connection; keep one of them"),
        ("c.yaml:8:93: reason is \"no_permt\"; did you mean no_permit?"),
        ("c.yaml:9:3: a case expects nothing; write expect: allow, or expect: deny"),
        ("c.yaml:9:3: nobody asks"),
        ("c.yaml:9:36: header \"X-Tenant\" is not as Envoy delivers it; write its name in lower case"),
        ("c.yaml:9:59: header x-number is 1, which is no text; put it in quotes"),
        ("c.yaml:10:26: unverified is \"certificate_mising\"; did you mean certificate_missing?"),
        ("c.yaml:10:54: source is \"home\"; write an IP address, such as 10.0.0.1 or 10.0.0.1:40000"),
        ("c.yaml:10:73: destination is \"10.0.0.1\"; write an IP address and a port, such as 10.0.0.1:8443"),
        ("c.yaml:10:87: at is now, which makes a case that changes"),
        ("c.yaml:11:14: name is set twice; keep one of them"),
        ("c.yaml:11:56: view_age is 5; write 0, or a length of time such as 90s"),
        ("c.yaml:11:66: hops is 1"),
        ("c.yaml:12:49: risk is 101; write a number from 0 to 100"),
        ("c.yaml:12:63: posture does not say whether it complies; write compliant: true or false"),
        ("c.yaml:12:77: attributes is 1; write name: value, line by line"),
        ("c.yaml:13:3: a case is \"just text\"; write a section with name, request, expect"),
    ];
    let found = wrong(text);
    assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
    for start in expected {
        assert!(found.iter().any(|problem| problem.starts_with(start)), "{start}\n{}", found.join("\n"));
    }
}

#[test]
fn a_file_without_cases_or_with_a_name_twice_is_refused() {
    for (text, start) in [
        ("{}", "c.yaml:1:1: there are no cases; write cases: and a list of them"),
        ("cases: []", "c.yaml:1:8: cases is a list; write a list with at least one case"),
        ("cases: [", "c.yaml:1:"),
        ("[]", "c.yaml:1:1: a file of cases is a list; write a section with config"),
        (
            "config: c\npolicies: [p]\ncases: [{ name: a, caller: spiffe://td/a, expect: deny }]",
            "c.yaml:2:11: policies stands beside config",
        ),
        (
            "cases:\n- { name: a, caller: spiffe://td/a, expect: deny }\n- { name: a, caller: spiffe://td/a, expect: deny }",
            "c.yaml:3:3: case \"a\" stands already in line 2; give it another name",
        ),
    ] {
        let found = wrong(text);
        assert!(found[0].starts_with(start), "{text}: {found:?}");
    }
}

#[test]
fn paths_of_policies_are_relative_to_the_file_of_cases() {
    let text = "policies: [p/*.cedar, /abs.cedar]\nschema_extensions: [x.cedarschema]\nentities: e.json\nservice: s\npath_parameters: refuse\ntime_zone: Europe/Berlin\n\
                cases: [{ name: a, caller: spiffe://td/a, expect: deny }]";
    let file = CaseFile::parse(text, Path::new("dir/c.yaml")).unwrap();
    let expected = PolicySource::Files {
        policies: vec!["dir/p/*.cedar".into(), "/abs.cedar".into()],
        schema: None,
        schema_extensions: vec!["dir/x.cedarschema".into()],
        entities: Some("dir/e.json".into()),
        service: Some("s".into()),
        refuse_path_parameters: true,
        time_zone: crate::policy::TimeZone::parse("Europe/Berlin").unwrap(),
    };
    assert_eq!(file.policies, Some(expected));
}

#[test]
fn an_expected_policy_that_does_not_exist_is_a_mistake_in_the_file() {
    let inspector = inspector(&format!("@id(\"reads\") {PERMIT}"));
    let cases = cases("- { name: a, caller: spiffe://td/a, expect: allow, policies: [raeds] }");
    let problems = run(&inspector, &cases, &mut Coverage::of(&inspector)).unwrap_err();
    assert_eq!(problems[0].to_string(), "c.yaml:2:63: there is no policy \"raeds\"; did you mean reads?");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_of_cases_panic(text in "[a-z:{}\\[\\],'\" \n-]{0,80}", tail in any::<String>()) {
        let _ = CaseFile::parse(&text, Path::new("c.yaml"));
        let _ = CaseFile::parse(&format!("cases:\n- name: a\n  caller: {text}\n  request: {tail}\n  at: {text}"), Path::new("c.yaml"));
    }
}
