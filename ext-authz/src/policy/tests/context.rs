//! What policies see besides the request: who stands behind the caller, who proved nothing, connections.

use authz_core::{decision::DecisionId, hops::Reach, plan::Read, reason::Reason};

use super::{
    request::{NOW, TestRequest, said},
    *,
};

const GATEWAY: &str = "spiffe://td/gw/1";

fn behind(hops: &[&str], reach: Reach) -> TestRequest {
    let hops = hops.iter().map(|id| (*id).to_owned()).collect();
    TestRequest { caller: GATEWAY.into(), hops, reach, ..TestRequest::default() }
}

#[track_caller]
fn check_when(condition: &str, cases: &[(TestRequest, bool)]) {
    let policies = compile(&sources(&format!("permit(principal, action, resource) when {{ {condition} }};"))).unwrap();
    for (request, expected) in cases {
        let reason = request.decide(&policies).reason;
        assert_eq!(reason == Reason::Permit, *expected, "{condition}: {request:?} is {reason}");
    }
}

#[test]
fn only_through_the_gateway() {
    check_when(
        r#"context.hops.workloads.contains(Workload::"spiffe://td/gw/1")"#,
        &[
            (behind(&["spiffe://td/web"], Reach::Origin), true),
            (TestRequest::default(), false),
            (TestRequest { hops: vec![GATEWAY.into()], ..TestRequest::default() }, true),
        ],
    );
}

#[test]
fn no_more_than_two_hops_and_nothing_unknown_behind() {
    check_when(
        "context.hops.complete && context.hops.count <= 2",
        &[
            (TestRequest::default(), true),
            (behind(&["spiffe://td/web"], Reach::Origin), true),
            (behind(&["spiffe://td/web"], Reach::Proof), false),
            (behind(&["spiffe://td/gw/2", "spiffe://td/web"], Reach::Origin), false),
        ],
    );
}

#[test]
fn the_origin_is_a_workload_with_all_that_follows_from_its_id() {
    let cases = [
        (behind(&["spiffe://td/web"], Reach::Origin), true),
        (behind(&["spiffe://other/web"], Reach::Origin), false),
        (behind(&["spiffe://td/web"], Reach::Forwarder), false),
        (TestRequest::default(), true),
    ];
    check_when(r#"context has origin && context.origin in TrustDomain::"td""#, &cases);
    check_when(r#"context has origin && context.origin.trust_domain == "td""#, &cases);
    check_when(r#"context has origin && context.origin in WorkloadPath::"spiffe://td/web""#, &cases[..3]);
}

#[test]
fn groups_of_the_entities_file_hold_for_the_origin_too() {
    let entities = r#"[{"uid": {"type": "TrustDomain", "id": "td"}, "attrs": {}, "parents": [{"type": "WorkloadGroup", "id": "ours"}]},
        {"uid": {"type": "WorkloadGroup", "id": "ours"}, "attrs": {}, "parents": []}]"#;
    let text = r#"permit(principal, action, resource) when { context has origin && context.origin in WorkloadGroup::"ours" };"#;
    let policies = compile(&with_entities(text, entities)).unwrap();
    assert_eq!(said(&behind(&["spiffe://td/web"], Reach::Origin).decide(&policies)), "permit by a.cedar:1");
    assert_eq!(said(&behind(&["spiffe://other/web"], Reach::Origin).decide(&policies)), "no_permit");
}

#[test]
fn of_the_chain_the_key_holds_what_policies_read_and_no_more() {
    let reads = |condition: &str| {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        compile(&sources(&text)).unwrap().plan().reads().to_vec()
    };
    assert_eq!(reads("context.hops.count <= 2"), [Read::HopCount]);
    assert_eq!(reads("context.hops.complete"), [Read::HopsComplete]);
    assert_eq!(reads("context has origin"), [Read::Origin]);
    assert_eq!(reads(r#"context has origin && context.origin.path like "/a*""#), [Read::Origin]);
    assert_eq!(reads(r#"context has origin.path && context.origin.path like "/a*""#), [Read::Origin]);
    assert_eq!(reads("context.hops.workloads.isEmpty()"), [Read::Hops]);
    assert_eq!(reads("context.hops == context.hops"), [Read::HopCount, Read::Hops, Read::HopsComplete]);
    assert_eq!(reads("true"), []);
}

const LEGACY: &str = r#"
@id("everybody") permit(principal, action == Action::"GET", resource);
@id("legacy") permit(principal is Unverified, action == Action::"POST", resource)
when { principal.cause == "certificate_missing" && principal has ip && principal.ip.isInRange(ip("10.1.0.0/16")) };
@id("one") permit(principal == Unverified::"192.0.2.7", action == Action::"PUT", resource);
@id("never") forbid(principal, action, resource) when { context.http.path like "/admin*" };
"#;

fn stranger(method: &str, ip: &str, cause: Reason) -> TestRequest {
    TestRequest {
        method: method.into(),
        ip: Some(ip.parse().unwrap()),
        unverified: Some(cause),
        ..TestRequest::default()
    }
}

#[test]
fn who_proves_nothing_is_let_in_only_by_a_policy_that_says_so() {
    use Reason::{CertificateExpired, CertificateMissing};
    let policies = compile(&sources(LEGACY)).unwrap();
    let cases = [
        (stranger("POST", "10.1.2.3", CertificateMissing), "permit_unverified by legacy"),
        (stranger("POST", "::ffff:10.1.2.3", CertificateMissing), "permit_unverified by legacy"),
        (stranger("POST", "10.2.2.3", CertificateMissing), "certificate_missing"),
        (stranger("POST", "10.1.2.3", CertificateExpired), "certificate_expired"),
        (stranger("PUT", "192.0.2.7", CertificateExpired), "permit_unverified by one"),
        (stranger("PUT", "192.0.2.8", CertificateExpired), "certificate_expired"),
        // A permit for anybody is one for the verified.
        (stranger("GET", "10.1.2.3", CertificateMissing), "certificate_missing"),
        (stranger("BREW", "10.1.2.3", CertificateMissing), "certificate_missing"),
        (
            TestRequest { target: "/admin".into(), ..stranger("POST", "10.1.2.3", CertificateMissing) },
            "forbid by never",
        ),
        (TestRequest { method: "POST".into(), ..TestRequest::default() }, "no_permit"),
        (TestRequest::default(), "permit by everybody"),
    ];
    for (request, expected) in cases {
        let decision = request.decide(&policies);
        assert_eq!(said(&decision), expected, "{request:?}");
        assert!(request.unverified.is_none() || !decision.holds_at(super::request::NOW), "never to be reused");
    }
}

#[test]
fn what_an_unverified_caller_claims_is_a_fact_and_no_identity() {
    let text = r#"permit(principal is Unverified, action, resource)
        when { principal has claimed_id && principal.claimed_id == "spiffe://td/ns/shop/sa/web" };"#;
    let policies = compile(&sources(text)).unwrap();
    let claims = stranger("GET", "10.0.0.1", Reason::CertificateExpired);
    assert_eq!(claims.decide(&policies).reason, Reason::PermitUnverified);
    let by_id = compile(&sources(
        r#"permit(principal == Workload::"spiffe://td/ns/shop/sa/web", action, resource);
        permit(principal is Unverified, action == Action::"PUT", resource);"#,
    ))
    .unwrap();
    assert_eq!(claims.decide(&by_id).reason, Reason::CertificateExpired);
}

/// Policies without a name are called by their line.
fn lines(text: &str) -> String {
    text.replace("; ", ";\n")
}

#[test]
fn the_names_in_a_certificate_are_facts_of_one_who_is_unverified() {
    let text =
        r#"permit(principal is Unverified, action, resource) when { principal.claimed_names.contains("old.test") };"#;
    let policies = compile(&sources(text)).unwrap();
    let named =
        |name: &str| TestRequest { names: vec![name.into()], ..stranger("GET", "10.0.0.1", Reason::UriSanMissing) };
    assert_eq!(named("old.test").decide(&policies).reason, Reason::PermitUnverified);
    assert_eq!(named("new.test").decide(&policies).reason, Reason::UriSanMissing);
}

#[test]
fn policies_are_asked_about_strangers_only_if_one_may_let_them_in() {
    let judges = |text: &str| compile(&sources(&lines(text))).unwrap().plan().rules().judge_unverified;
    assert!(judges("permit(principal is Unverified, action, resource);"));
    assert!(judges(r#"permit(principal == Unverified::"10.0.0.1", action, resource);"#));
    assert!(!judges("permit(principal, action, resource);"));
    assert!(!judges("forbid(principal is Unverified, action, resource); permit(principal, action, resource);"));
    assert!(!judges(
        r#"permit(principal is Unverified, action, resource == Service::"elsewhere"); permit(principal, action, resource);"#
    ));
}

#[test]
fn a_policy_that_lets_strangers_in_is_told_of_when_it_is_loaded() {
    let told = |text: &str| {
        compile(&sources(text)).unwrap().warnings().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert!(
        told(LEGACY).contains("\"legacy\" lets in") && told(LEGACY).contains("\"one\" lets in"),
        "{}",
        told(LEGACY)
    );
    assert_eq!(told("permit(principal, action, resource);"), "");
}

#[test]
fn a_forbid_that_reads_what_strangers_lack_is_a_mistake_only_once_they_may_come_in() {
    let forbid = r#"forbid(principal, action, resource) unless { principal.trust_domain == "td" };"#;
    let verified = format!("permit(principal, action, resource);\n{forbid}");
    assert!(compile(&sources(&verified)).is_ok());
    let both = format!("permit(principal is Unverified, action, resource);\n{verified}");
    let problems = compile(&sources(&both)).map(|_| ()).unwrap_err().to_string();
    assert!(problems.contains("trust_domain") && problems.contains("Unverified"), "{problems}");
    assert!(compile(&sources(&both.replace("forbid(principal,", "forbid(principal is Workload,"))).is_ok());
}

#[test]
fn connections_have_an_action_that_no_method_can_take() {
    let text = r#"permit(principal, action == Action::"tcp:connect", resource)
        when { context has tls.sni && context.tls.sni == "db.test" && context has destination.port && context.destination.port == 5432 };"#;
    let policies = compile(&sources(text)).unwrap();
    let connection = TestRequest {
        connection: true,
        sni: Some("db.test".into()),
        destination: Some("10.0.0.9:5432".parse().unwrap()),
        ..TestRequest::default()
    };
    assert_eq!(connection.decide(&policies).reason, Reason::Permit);
    let other = TestRequest { destination: Some("10.0.0.9:22".parse().unwrap()), ..connection.clone() };
    assert_eq!(other.decide(&policies).reason, Reason::NoPermit);
    assert_eq!(TestRequest { sni: None, ..connection.clone() }.decide(&policies).reason, Reason::NoPermit);
    assert_eq!(TestRequest { connection: false, ..connection.clone() }.decide(&policies).reason, Reason::NoPermit);
    assert_ne!(connection.key(&policies), TestRequest { connection: false, ..connection }.key(&policies));
}

#[test]
fn a_schema_may_declare_the_chain_only_as_what_it_is() {
    for (good, bad) in [
        ("count: Long", "count: String"),
        ("complete: Bool", "complete: Long"),
        ("workloads: Set<Workload>", "workloads: Set<String>"),
        ("origin?: Workload", "origin?: Service"),
        ("port?: Long", "port: Long"),
    ] {
        let schema = BUILT_IN_SCHEMA.replace(good, bad);
        assert_ne!(schema, BUILT_IN_SCHEMA);
        let refused = compile(&Sources {
            schema: Some(Source { name: "my.cedarschema".into(), text: schema }),
            ..sources("permit(principal, action, resource);")
        });
        assert!(refused.is_err(), "{bad}");
    }
}

#[test]
fn a_permit_for_any_action_is_one_for_requests_and_a_forbid_one_for_connections_too() {
    let connection = TestRequest { connection: true, ..TestRequest::default() };
    let said_by = |text: &str| said(&connection.decide(&compile(&sources(&lines(text))).unwrap()));
    let (any, named) =
        ("permit(principal, action, resource); ", r#"permit(principal, action == Action::"tcp:connect", resource); "#);
    assert_eq!(said_by(any), "no_permit");
    assert_eq!(said_by(named), "permit by a.cedar:1");
    assert_eq!(said_by(&format!("{named}forbid(principal, action, resource);")), "forbid by a.cedar:2");
    // While no connection is permitted, a policy on paths is no mistake; from then on it must say what it is about.
    let paths = r#"forbid(principal, action, resource) when { context.http.path like "/admin*" };"#;
    assert_eq!(said_by(&format!("{any}{paths}")), "no_permit");
    let problems = compile(&sources(&lines(&format!("{named}{paths}")))).map(|_| ()).unwrap_err().to_string();
    assert!(problems.contains("http") && problems.contains("tcp:connect"), "{problems}");
}

#[test]
fn the_age_of_the_view_is_seen_by_policies_and_what_rests_on_it_is_never_reused() {
    let policies = compile(&sources("permit(principal, action, resource) when { context.view_age < 60000 };")).unwrap();
    let decide = |view_age: i64| {
        let request = TestRequest::default();
        request.admitted(policies.plan(), |admitted| {
            let decision = policies.evaluate_on_view(admitted, DecisionId(1), NOW, view_age);
            (decision.reason, decision.holds_at(NOW))
        })
    };
    let seen = [0, 59_999, 60_000, i64::MAX].map(decide);
    let (permit, none) = (Reason::Permit, Reason::NoPermit);
    assert_eq!(seen, [(permit, true), (permit, false), (none, false), (none, false)]);
    assert!(policies.plan().reads().is_empty(), "no key holds it");
}

#[test]
fn the_method_of_a_grpc_call_is_a_fact_and_of_another_request_there_is_none() {
    let condition = r#"context has grpc.service && context.grpc.service == "shop.Orders" && context has grpc.method && context.grpc.method == "Get""#;
    let call = |kind: &str, target: &str| TestRequest {
        method: "POST".into(),
        target: target.into(),
        headers: vec![("content-type".into(), kind.into())],
        ..TestRequest::default()
    };
    check_when(
        condition,
        &[
            (call("application/grpc", "/shop.Orders/Get"), true),
            (call("application/grpc+proto", "/shop.Orders/Get"), true),
            (call("application/grpc", "/shop.Orders/List"), false),
            (call("application/grpc", "/shop.Orders/Get/x"), false),
            (call("application/json", "/shop.Orders/Get"), false),
            (TestRequest { headers: vec![], ..call("", "/shop.Orders/Get") }, false),
        ],
    );
    let policies = compile(&sources("permit(principal, action, resource) when { context.grpc has service };")).unwrap();
    assert_eq!(policies.plan().reads(), [Read::GrpcService], "and not the method, the path or a header");
}
