//! Tables: policies, request, verdict.

use authz_core::{decision::Verdict, reading::Use, reason::Reason, time::Timestamp};

use super::{
    request::{NOT_AFTER, NOW, TestRequest, said},
    *,
};

const ENTITIES: &str = r#"[
  {"uid": {"type": "WorkloadPath", "id": "spiffe://td/ns/shop"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "shops"}]},
  {"uid": {"type": "WorkloadGroup", "id": "shops"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "all"}]},
  {"uid": {"type": "Workload", "id": "spiffe://td/ns/ops/sa/cron"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "ops"}]},
  {"uid": {"type": "Service", "id": "cart"}, "attrs": {}, "parents": [{"type": "ServiceGroup", "id": "front"}]}
]"#;

const POLICIES: &str = r#"
@id("shop-reads") permit(principal in WorkloadPath::"spiffe://td/ns/shop", action in Action::"read", resource == Service::"cart");
@id("shops-write") permit(principal in WorkloadGroup::"all", action == Action::"POST", resource in ServiceGroup::"front");
@id("ops") permit(principal in WorkloadGroup::"ops", action, resource) when { principal.path == "/ns/ops/sa/cron" };
@id("partner") permit(principal in TrustDomain::"partner", action, resource) when { context.http.path like "/public/*" };
@id("no-admin") forbid(principal, action, resource) when { context.http.path like "/admin*" };
@id("tenant") forbid(principal, action, resource)
  when { context.http.headers has "x-tenant" && context.http.headers["x-tenant"] == "evil" };
@id("net") forbid(principal, action, resource)
  when { context.source has ip && context.source.ip.isInRange(ip("10.66.0.0/16")) };
@id("elsewhere") forbid(principal, action, resource == Service::"other") when { context.tls has sni };
"#;

fn request(caller: &str, method: &str, target: &str) -> TestRequest {
    TestRequest { caller: caller.into(), method: method.into(), target: target.into(), ..TestRequest::default() }
}

#[test]
fn callers_paths_groups_domains_methods_and_facts_decide() {
    let policies = compile(&with_entities(POLICIES, ENTITIES)).unwrap();
    let web = "spiffe://td/ns/shop/sa/web";
    let cases = [
        (request(web, "GET", "/orders"), "permit by shop-reads"),
        (request("spiffe://td/ns/shop", "HEAD", "/orders"), "permit by shop-reads"),
        (request("spiffe://td/ns/shopping/sa/web", "GET", "/orders"), "no_permit"),
        (request("spiffe://td2/ns/shop/sa/web", "GET", "/orders"), "no_permit"),
        (request(web, "POST", "/orders"), "permit by shops-write"),
        (request(web, "DELETE", "/orders"), "no_permit"),
        (request(web, "GET", "/admin/x"), "forbid by no-admin"),
        (request("spiffe://td/ns/ops/sa/cron", "DELETE", "/x"), "permit by ops"),
        (request("spiffe://td/ns/ops/sa/cron2", "DELETE", "/x"), "no_permit"),
        (request("spiffe://partner/a", "GET", "/public/x"), "permit by partner"),
        (request("spiffe://partner/a", "GET", "/private/x"), "no_permit"),
        (request(web, "PROPFIND", "/orders"), "method_unknown"),
        (request(web, "read", "/orders"), "method_unknown"),
        (request(web, "get", "/orders"), "method_unknown"),
        (
            TestRequest { headers: vec![("x-tenant".into(), "evil".into())], ..request(web, "GET", "/") },
            "forbid by tenant",
        ),
        (
            TestRequest { headers: vec![("x-tenant".into(), "good".into())], ..request(web, "GET", "/") },
            "permit by shop-reads",
        ),
        (TestRequest { ip: Some("10.66.1.2".parse().unwrap()), ..request(web, "GET", "/") }, "forbid by net"),
        (TestRequest { ip: Some("::ffff:10.66.1.2".parse().unwrap()), ..request(web, "GET", "/") }, "forbid by net"),
        (TestRequest { ip: Some("2001:db8::1".parse().unwrap()), ..request(web, "GET", "/") }, "permit by shop-reads"),
        (
            TestRequest { ip: Some("10.66.1.2".parse().unwrap()), ..request(web, "GET", "/admin") },
            "forbid by no-admin, net",
        ),
        (TestRequest { sni: Some("x".into()), ..request(web, "GET", "/") }, "permit by shop-reads"),
    ];
    for (request, expected) in cases {
        assert_eq!(said(&request.decide(&policies)), expected, "{request:?}");
    }
}

#[test]
fn an_erroring_candidate_denies_whatever_its_effect_and_whoever_permits() {
    // Overflow passes validation and fails at run time.
    let overflow = "9223372036854775807 + (if context.http.path == \"/x\" then 1 else 0) > 0";
    let cases = [
        (
            format!(
                "@id(\"p\") permit(principal, action, resource); @id(\"f\") forbid(principal, action, resource) when {{ {overflow} }};"
            ),
            "policy_error by f",
        ),
        (
            format!(
                "@id(\"p\") permit(principal, action, resource); @id(\"q\") permit(principal, action, resource) when {{ {overflow} }};"
            ),
            "policy_error by q",
        ),
        (
            format!(
                "@id(\"p\") permit(principal == Workload::\"spiffe://td/other\", action, resource) when {{ {overflow} }};@id(\"q\") permit(principal, action, resource);"
            ),
            "permit by q",
        ),
        (
            format!(
                "@id(\"g\") forbid(principal, action, resource); @id(\"f\") forbid(principal, action, resource) when {{ {overflow} }};"
            ),
            "forbid by g",
        ),
    ];
    for (policies, expected) in cases {
        let policies = compile(&sources(&policies)).unwrap();
        let request = TestRequest { target: "/x".into(), ..TestRequest::default() };
        assert_eq!(said(&request.decide(&policies)), expected);
        assert_ne!(TestRequest::default().decide(&policies).reason, Reason::PolicyError);
    }
}

#[test]
fn the_plan_holds_what_is_read_and_nothing_else() {
    let everything = "destination-ip destination-port grpc-method grpc-service header:content-type header:origin header:user-agent header:x-environment header:x-tenant hop-count hops hops-complete host origin path protocol query scheme sni source-ip";
    let headers = "header:content-type header:origin header:user-agent header:x-environment header:x-tenant";
    let cases = [
        ("true", ""),
        ("context.http.method == \"GET\"", ""),
        ("context.http.path == \"/\"", "path"),
        ("context[\"http\"][\"path\"] == \"/\"", "path"),
        ("context.http has query", "query"),
        ("context has http.query && context.http.query == \"a\"", "query"),
        ("context has http && context.http has headers", ""),
        ("context has tls.sni", "sni"),
        ("context.source has ip && context.source.ip.isLoopback()", "source-ip"),
        ("context.http.headers has \"x-tenant\" && context.http.headers[\"x-tenant\"] like \"a*\"", "header:x-tenant"),
        ("context.http.headers == context.http.headers", headers),
        ("context.http == {}.a || true", "?"),
        ("[context].contains(context)", everything),
        ("{\"context\": 1} has context && {\"path\": context.http.host}.path == \"a\"", "host"),
        (
            "\"context\" == \"http\" && (if principal.path == \"/\" then context.http.scheme == \"\" else context.http.protocol == \"\")",
            "protocol scheme",
        ),
        ("principal in WorkloadGroup::\"a\" && resource == Service::\"cart\"", ""),
    ];
    for (condition, expected) in cases {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        let Ok(policies) = compile(&sources(&text)) else {
            assert_eq!(expected, "?", "{condition}: {}", compile(&sources(&text)).err().unwrap());
            continue;
        };
        let reads: Vec<_> = policies.plan().reads().iter().map(ToString::to_string).collect();
        assert_eq!(reads.join(" "), expected, "{condition}");
        let unless = text.replace("when", "unless");
        assert_eq!(compile(&sources(&unless)).unwrap().plan().reads(), policies.plan().reads(), "{condition}");
    }
}

#[test]
fn facts_enter_keys_as_policies_use_them() {
    let cases = [
        ("context.http.path like \"/a*\" && context.http.path != \"/ab\"", "path[equals:/ab like:/a*]"),
        ("context.http.path == context.http.host", "host path"),
        ("context.http has query", "query[]"),
        ("context.hops.count > 1", "hop-count[at-most:1]"),
        ("2 > context.hops.count", "hop-count[at-most:1]"),
        ("context.hops.count == 2", "hop-count[at-most:1 at-most:2]"),
        ("context.source has ip && context.source.ip.isIpv6()", "source-ip[in-range:::/0]"),
        ("context has origin && context.origin == Workload::\"spiffe://td/a\"", "origin[equals:spiffe://td/a]"),
        ("context has origin && context.origin.path == \"/a\"", "origin"),
        ("context has origin.owner", "origin"),
        ("context has origin && context.origin in TrustDomain::\"td\"", "origin"),
        ("principal has risk && principal.risk > 70", "risk[at-most:70]"),
        ("principal has posture && principal.posture.compliant", "posture"),
        ("context has origin && context.origin has risk", "hop-standings origin posture risk"),
        (
            "principal has credential.lifetime && principal.credential.lifetime <= duration(\"1h\")",
            "credential-lifetime[at-most:3600000]",
        ),
    ];
    for (condition, expected) in cases {
        let policies =
            compile(&sources(&format!("permit(principal, action, resource) when {{ {condition} }};"))).unwrap();
        let reading = TestRequest::default()
            .admitted(policies.plan(), |admitted| policies.question(admitted).reading().as_ref().clone());
        let uses = reading.uses().iter().map(|(read, used)| match used {
            Use::Whole => read.to_string(),
            Use::Tests(tests) => {
                format!("{read}[{}]", tests.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
            }
        });
        assert_eq!(uses.collect::<Vec<_>>().join(" "), expected, "{condition}");
    }
}

#[test]
fn what_only_other_services_read_is_not_in_the_plan() {
    let policies = compile(&with_entities(POLICIES, ENTITIES)).unwrap();
    let reads: Vec<_> = policies.plan().reads().iter().map(ToString::to_string).collect();
    assert_eq!(reads, ["header:x-tenant", "path", "source-ip"]);
    assert_eq!((policies.len(), policies.applicable()), (8, 7));
}

#[test]
fn a_decision_holds_no_longer_than_its_limit_and_its_credential() {
    let cases = [
        ("permit(principal, action, resource);", 10, 1, Verdict::Allow, NOW.saturating_add_millis(10)),
        ("permit(principal, action, resource);", 60_000, 1, Verdict::Allow, NOT_AFTER),
        ("forbid(principal, action, resource);", 60_000, 7, Verdict::Deny, NOW.saturating_add_millis(7)),
        ("forbid(principal, action, resource);", 1, 60_000, Verdict::Deny, NOT_AFTER),
        ("forbid(principal, action, resource);", 1, 0, Verdict::Deny, NOW),
        ("permit(principal, action, resource);", u64::MAX, 1, Verdict::Allow, NOT_AFTER),
    ];
    for (text, limit_millis, deny_limit_millis, verdict, until) in cases {
        let policies = compile(&Sources { limit_millis, deny_limit_millis, ..sources(text) }).unwrap();
        let decision = TestRequest::default().decide(&policies);
        assert_eq!((decision.verdict, decision.holds_until), (verdict, until), "{text} {limit_millis}");
    }
    assert!(NOT_AFTER < Timestamp::NEVER);
}

#[test]
fn entities_named_in_conditions_keep_their_attributes_and_groups() {
    let schema = BUILT_IN_SCHEMA
        .replace(
            "entity WorkloadGroup in [WorkloadGroup];",
            "entity WorkloadGroup in [WorkloadGroup] { owner: Workload, open: Bool };",
        )
        .replace("  // With its leading slash.\n", "  team?: WorkloadGroup,\n");
    let entities = r#"[
      {"uid": {"type": "WorkloadGroup", "id": "a"}, "attrs": {"owner": {"type": "Workload", "id": "spiffe://td/boss"}, "open": true}, "parents": [{"type": "WorkloadGroup", "id": "b"}]},
      {"uid": {"type": "Workload", "id": "spiffe://td/boss"}, "attrs": {"team": {"type": "WorkloadGroup", "id": "a"}}, "parents": []}
    ]"#;
    let policies = r#"
      @id("open") permit(principal, action == Action::"GET", resource) when { WorkloadGroup::"a".open };
      @id("owner") permit(principal, action == Action::"PUT", resource) when { WorkloadGroup::"a".owner.path == "/boss" };
      @id("literal") permit(principal, action == Action::"POST", resource) when { WorkloadGroup::"a" in WorkloadGroup::"b" };
      @id("own") permit(principal, action == Action::"PATCH", resource) when { principal has team && principal.team.open && principal.team in WorkloadGroup::"b" };
    "#;
    let compiled =
        compile(&Sources { entities: with_entities("", entities).entities, ..with_schema(policies, &schema) }).unwrap();
    let cases = [
        ("spiffe://td/x", "GET", "permit by open"),
        ("spiffe://td/x", "PUT", "permit by owner"),
        ("spiffe://td/x", "POST", "permit by literal"),
        ("spiffe://td/x", "PATCH", "no_permit"),
        ("spiffe://td/boss", "PATCH", "permit by own"),
    ];
    for (caller, method, expected) in cases {
        assert_eq!(said(&request(caller, method, "/").decide(&compiled)), expected, "{caller} {method}");
    }
}

#[test]
fn a_schema_of_ones_own_decides_which_methods_and_headers_there_are() {
    let schema = r#"
      entity Workload; entity Service;
      action "GET", "PROPFIND" appliesTo { principal: Workload, resource: Service, context: { http: { headers: { "x-own"?: String } } } };
      action "POST" appliesTo { principal: Workload, resource: Service };
    "#;
    let text = r#"permit(principal, action == Action::"PROPFIND", resource) when { context.http.headers has "x-own" };
      permit(principal, action == Action::"POST", resource) when { context == {} };"#;
    let policies = compile(&with_schema(text, schema)).unwrap();
    let own = TestRequest { headers: vec![("x-own".into(), "1".into())], ..request("spiffe://td/a", "PROPFIND", "/") };
    assert_eq!(said(&own.decide(&policies)), "permit by a.cedar:1");
    assert_eq!(said(&request("spiffe://td/a", "PROPFIND", "/").decide(&policies)), "no_permit");
    assert_eq!(said(&request("spiffe://td/a", "POST", "/").decide(&policies)), "permit by a.cedar:2");
    assert_eq!(["GET", "PROPFIND", "PUT"].map(|method| policies.knows_method(method)), [true, true, false]);
}

#[test]
fn conditions_too_deep_to_evaluate_are_refused_and_end_nothing() {
    let nested = |open: &str, core: &str, close: &str, times: usize| {
        format!("{}{core}{}", open.repeat(times), close.repeat(times))
    };
    for (times, fits) in [(150, true), (300, false), (9_000, false), (90_000, false)] {
        let conditions = [
            (vec!["context.http.path == \"/\""; times].join(" || "), fits && times * 4 < 10_000),
            (vec!["1"; times].join(" + ") + " > 0", fits),
            (nested("if true then true else ", "true", "", times), fits),
            (nested("!(", "true", ")", times), fits),
            (nested("[", "1", "]", times) + " == [1]", false),
            (nested("{a: ", "1", "}", times) + " == {a: 1}", false),
            (format!("principal{}", ".path".repeat(times)), false),
            // Brackets alone leave nothing behind that could be deep.
            (nested("(", "true", ")", times), times < 10_000),
        ];
        for (condition, fits) in conditions {
            let set = compile(&sources(&format!("permit(principal, action, resource) when {{ {condition} }};")));
            let start: String = condition.chars().take(40).collect();
            assert_eq!(set.is_ok(), fits, "{times} times {start}");
            if let Ok(set) = set {
                assert_ne!(TestRequest::default().decide(&set).reason, Reason::PolicyError, "{times} times {start}");
            }
        }
    }
}

#[test]
fn policies_for_others_are_not_even_looked_at() {
    let others = |count: usize| {
        let one = |at: usize| {
            format!(
                "permit(principal == Workload::\"spiffe://td/w{at}\", action, resource);\n\
                 permit(principal in WorkloadGroup::\"g{at}\", action == Action::\"GET\", resource);\n\
                 forbid(principal in WorkloadPath::\"spiffe://td/p{at}\", action in Action::\"write\", resource);\n\
                 forbid(principal, action == Action::\"TRACE\", resource);\n\
                 permit(principal, action, resource == Service::\"s{at}\");\n"
            )
        };
        (0..count).map(one).collect::<String>()
    };
    let mine = "permit(principal in WorkloadPath::\"spiffe://td/ns\", action in Action::\"read\", resource);\n\
        forbid(principal, action, resource) when { context.http.path == \"/no\" };\n";
    for count in [0, 1, 300] {
        let set = compile(&sources(&format!("{mine}{}", others(count)))).unwrap();
        let candidates = TestRequest::default().admitted(set.plan(), |admitted| set.candidates(admitted));
        assert_eq!(candidates, 2, "with {count} others");
        assert_eq!((set.len(), set.applicable()), (2 + 5 * count, 2 + 4 * count));
    }
}
