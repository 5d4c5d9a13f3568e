//! Policies that look at the time: how long what they say holds, what of it is in the key, and what is said of those that keep nothing.

use std::{cell::Cell, time::Duration};

use authz_core::{decision::DecisionId, plan::Read, time::Timestamp};
use cedar_policy::RestrictedExpression;
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::json;

use super::{
    differential::{in_berlin, one_of, plain, policies, request},
    request::{NOT_AFTER, NOW, TestRequest, said},
    *,
};
use crate::cache::DecisionCache;

fn when(condition: &str) -> CompiledPolicies {
    compile(&sources(&format!("permit(principal, action, resource) when {{ {condition} }};"))).unwrap()
}

/// A long-lived request of somebody behind whom stands somebody.
fn lasting(now: Timestamp) -> TestRequest {
    let hops = vec!["spiffe://td/origin".to_owned()];
    TestRequest { now, hops, validities: vec![(Timestamp::default(), Timestamp::NEVER); 2], ..TestRequest::default() }
}

#[test]
fn a_decision_holds_until_its_limit_its_certificate_or_the_first_comparison_that_comes_out_otherwise() {
    let second = |seconds| Timestamp::from_secs(seconds);
    let cases = [
        // NOW is second 1000: 16:40 minutes past midnight.
        ("true", second(1_030)),
        (r#"context.now < datetime("1970-01-01T00:17:00Z")"#, second(1_020)),
        (r#"context.now < datetime("1970-01-01T00:17:00.123Z")"#, Timestamp::from_millis(1_020_123)),
        (r#"context.now < datetime("1970-01-01T00:17:00Z") && context.clock.minute < 18"#, second(1_020)),
        (r#"context.now < datetime("1970-01-01T00:17:40Z")"#, NOT_AFTER),
        // Denials too, which hold for five seconds at most.
        (r#"context.now >= datetime("1970-01-01T00:16:42Z")"#, second(1_002)),
        ("context.clock.minute > 16", second(1_005)),
        ("context.clock.minute + 0 > 16", Timestamp::default()),
        ("context.clock.minute + 0 > 15", Timestamp::default()),
        (
            r#"principal has credential && principal.credential.age <= duration("1005s")"#,
            Timestamp::from_millis(1_005_001),
        ),
        (r#"principal has credential && principal.credential.expires_in > duration("10s")"#, second(1_020)),
        (r#"principal has credential && principal.credential.lifetime > duration("10s")"#, second(1_030)),
        (r#"context has origin.credential && context.origin.credential.age < duration("1001s")"#, second(1_001)),
    ];
    for (condition, expected) in cases {
        assert_eq!(TestRequest::default().decide(&when(condition)).holds_until, expected, "{condition}");
    }
}

#[test]
fn only_policies_that_can_match_bound_a_decision() {
    let policies = compile(&sources(
        r#"permit(principal, action == Action::"GET", resource);
        permit(principal, action == Action::"POST", resource) when { context.now < datetime("1970-01-01T00:16:41Z") };
        permit(principal == Workload::"spiffe://td/other", action, resource) when { context.clock.minute * 2 > 3 };"#,
    ))
    .unwrap();
    let ends =
        |method: &str| TestRequest { method: method.into(), ..TestRequest::default() }.decide(&policies).holds_until;
    assert_eq!((ends("GET"), ends("POST")), (NOT_AFTER, Timestamp::from_secs(1_001)));
}

#[test]
fn of_credentials_the_key_holds_what_policies_compare_and_of_the_time_nothing() {
    for (condition, reads) in [
        (r#"context.now < datetime("2026-01-01") && context.clock.minute < 9 && context has now"#, vec![]),
        ("principal has credential", vec![]),
        (r#"principal has credential && principal.credential.age < duration("1h")"#, vec![Read::CredentialNotBefore]),
        (
            r#"principal has credential && principal.credential.expires_in < duration("1h")"#,
            vec![Read::CredentialNotAfter],
        ),
        (
            r#"principal has credential && principal.credential.lifetime < duration("1h")"#,
            vec![Read::CredentialLifetime],
        ),
        (
            r#"context has origin.credential && context.origin.credential.lifetime < duration("1h")"#,
            vec![Read::HopCredentials, Read::Origin],
        ),
    ] {
        assert_eq!(when(condition).plan().reads(), reads, "{condition}");
    }
}

#[test]
fn a_credential_is_there_for_the_caller_and_everybody_behind_and_for_nobody_else() {
    for (condition, expected) in [
        ("principal has credential", true),
        ("context has origin && context.origin has credential", true),
        (r#"Workload::"spiffe://td/origin" has credential"#, true),
        (r#"Workload::"spiffe://td/absent" has credential"#, false),
        (r#"principal has credential.age && principal.credential.age == duration("1000s")"#, true),
    ] {
        let decision = lasting(NOW).decide(&when(condition));
        assert_eq!(said(&decision) == "permit by a.cedar:1", expected, "{condition}: {decision:?}");
    }
}

#[test]
fn who_comes_more_than_once_has_the_certificate_nearest_to_us() {
    let caller = TestRequest::default().caller;
    let from = |seconds| (Timestamp::from_secs(seconds), NOT_AFTER);
    let again = |hops: &[&str]| TestRequest {
        hops: hops.iter().map(|id| (*id).to_owned()).collect(),
        validities: vec![from(900), from(800), from(700)],
        ..TestRequest::default()
    };
    for (request, age) in
        [(again(&["spiffe://td/gw", &caller]), 100), (again(&["spiffe://td/gw", "spiffe://td/gw"]), 200)]
    {
        let condition =
            format!("context has origin.credential && context.origin.credential.age == duration(\"{age}s\")");
        assert_eq!(said(&request.decide(&when(&condition))), "permit by a.cedar:1", "{request:?}");
    }
}

#[test]
fn a_caller_keeps_its_groups_attributes_and_tags_with_its_credential() {
    let schema = BUILT_IN_SCHEMA
        .replace("  // With its leading slash.\n", "  team?: String,\n")
        .replace("  credential?: Credential,\n};", "  credential?: Credential,\n} tags String;");
    let entities = r#"[{"uid": {"type": "Workload", "id": "spiffe://td/ns/shop/sa/web"}, "attrs": {"team": "t"}, "tags": {"k": "v"},
        "parents": [{"type": "WorkloadGroup", "id": "g"}]}]"#;
    let text = r#"permit(principal, action, resource) when { principal has credential && principal.credential.age > duration("1s")
        && principal has team && principal.team == "t" && principal.hasTag("k") && principal.getTag("k") == "v"
        && principal in WorkloadGroup::"g" && principal in TrustDomain::"td" && principal.trust_domain == "td" };"#;
    let compiled =
        compile(&Sources { entities: with_entities("", entities).entities, ..with_schema(text, &schema) }).unwrap();
    assert_eq!(said(&TestRequest::default().decide(&compiled)), "permit by a.cedar:1");
}

#[test]
fn policies_that_keep_decisions_from_being_reused_are_told_of_with_what_to_write_instead() {
    let told = |text: &str| {
        compile(&sources(text)).unwrap().warnings().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        told(
            "permit(principal, action, resource);\n  @id(\"odd\") forbid(principal, action, resource) when { context.clock.minute * 2 == 4 };"
        ),
        "a.cedar:2:3: policy \"odd\" keeps decisions from being reused, for no moment is known until which \
         `context.clock.minute` leads to the same; compare it with constants, as in `context.clock.minute < 17 * 60` \
         or `[6, 7].contains(context.clock.weekday)`"
    );
    assert_eq!(told("permit(principal, action, resource) when { context.clock.minute < 4 };"), "");
    let elsewhere = r#"permit(principal, action, resource == Service::"elsewhere") when { context.clock.minute * 2 == 4 };
        permit(principal, action, resource);"#;
    assert_eq!(told(elsewhere), "", "policies of other services keep nothing from being reused");
}

#[test]
fn what_bounds_decisions_can_be_asked() {
    let text = r#"@id("hours") permit(principal, action, resource) when { context.clock.minute < 17 * 60 };
        @id("fresh") forbid(principal, action, resource)
        unless { principal has credential && principal.credential.age < duration("1h") };"#;
    let bounds = compile(&sources(text)).unwrap().lifetime_bounds();
    let bounds: Vec<_> = bounds.iter().map(|(policy, test)| format!("{policy}: {test}")).collect();
    let expected = ["fresh: principal.credential.age < duration(\"1h\")", "hours: context.clock.minute < (17 * 60)"];
    assert_eq!(bounds, expected);
}

#[test]
fn schemas_and_entities_can_not_give_facts_of_time_another_meaning() {
    let refused = |sources: &Sources| compile(sources).map(|_| ()).unwrap_err().to_string();
    let text = "permit(principal, action, resource);";
    let schema = |from: &str, to: &str| with_schema(text, &BUILT_IN_SCHEMA.replace(from, to));
    let cases = [
        (schema("  now: datetime,", "  now: Long,"), "context.now has another type; declare it as datetime"),
        (schema("  minute: Long,", "  minute: String,"), "context.clock.minute has another type; declare it as Long"),
        (schema("  lifetime: duration,\n", ""), "declare it as `credential?: { age: duration,"),
        (schema("  age: duration,", "  age: Long,"), "declare it as `credential?: { age: duration,"),
        (schema("credential?: Credential", "credential: Credential"), "declare it as `credential?`"),
    ];
    for (sources, expected) in cases {
        let problems = refused(&sources);
        assert!(problems.starts_with("s.cedarschema:") && problems.contains(expected), "{problems}");
    }
    let without = BUILT_IN_SCHEMA.replace("  credential?: Credential,\n", "").replace("  now: datetime,\n", "");
    assert!(compile(&with_schema(text, &without)).is_ok(), "a schema may leave them out");
    let entities = r#"[{"uid": {"type": "Workload", "id": "spiffe://td/a"}, "parents": [],
        "attrs": {"credential": {"age": {"__extn": {"fn": "duration", "arg": "1s"}}}}}]"#;
    let problems = refused(&with_entities(text, entities));
    assert!(problems.contains("is what its certificate says at each request; remove it"), "{problems}");
}

/// The certificate nearest to us, of a workload that comes once or more often.
pub fn plain_credential(request: &TestRequest, id: &str) -> Option<serde_json::Value> {
    let chain = [&request.caller].into_iter().chain(&request.hops);
    let (from, until) = request.validity(chain.enumerate().find(|(_, it)| *it == id)?.0);
    let millis = |from: Timestamp, until: Timestamp| json!({"__extn": {"fn": "duration", "arg": format!("{}ms", until.as_millis() - from.as_millis())}});
    let now = request.now;
    Some(json!({"age": millis(from, now), "lifetime": millis(from, until), "expires_in": millis(now, until)}))
}

/// The first of January 1970 was a Thursday, in Berlin an hour ahead.
pub fn plain_clock(request: &TestRequest) -> RestrictedExpression {
    let minute = i64::try_from(request.now.as_millis()).unwrap() / 60_000 + 60;
    let parts = [("weekday", 4), ("minute", minute)];
    let parts = parts.map(|(name, value)| (name.to_owned(), RestrictedExpression::new_long(value)));
    RestrictedExpression::new_record(parts).unwrap()
}

/// Conditions on facts of time, around the second 1000.
pub fn conditions() -> impl Strategy<Value = &'static str> {
    one_of(&[
        "context.now < datetime(\"1970-01-01T00:16:50Z\")",
        "context has now",
        "context.now.toTime() >= duration(\"17m\")",
        "context.clock.minute < 77",
        "[1, 4].contains(context.clock.weekday)",
        "context.now.offset(duration(\"1m\")).toTime().toMinutes() > context.hops.count",
        "(principal has credential && principal.credential.age < duration(\"1005s\"))",
        "(principal has credential && principal.credential.expires_in.toMinutes() > 1)",
        "(principal has credential.lifetime && principal.credential.lifetime <= duration(\"1h\"))",
        "(context has origin.credential && context.origin.credential.age < duration(\"1005s\"))",
        "(context has origin.credential.lifetime && context.origin.credential.lifetime <= duration(\"1h\"))",
        "(Workload::\"spiffe://td/b\" has credential && Workload::\"spiffe://td/b\".credential.age < duration(\"1005s\"))",
        // Fails from a quarter past on, UTC.
        "context.now.offset(duration(\"9223372036853875807ms\")) > context.now",
        "context.now.offset(duration(\"9223372036853875807ms\")) > datetime(\"2026-01-01\")",
    ])
}

/// Around the moments that policies name.
pub fn moments() -> impl Strategy<Value = Timestamp> {
    let named = prop::sample::select(vec![900_000_u64, 1_000_000, 1_005_000, 1_010_000, 1_020_000]);
    (named, 0..3_u64).prop_map(|(named, beside)| Timestamp::from_millis(named + beside - 1))
}

/// Before and beyond those.
pub fn validity() -> impl Strategy<Value = (Timestamp, Timestamp)> {
    let not_before = prop::sample::select(vec![0_u64, 1, 5_000]).prop_map(Timestamp::from_millis);
    let not_after = prop::sample::select(vec![1_030_u64, 1_080, 3_600, 90_000]).prop_map(Timestamp::from_secs);
    (not_before, not_after)
}

/// Steps from one request to the next, so that some lie beside the moments that policies name.
fn steps() -> impl Strategy<Value = Vec<(usize, u64)>> {
    let step = prop::sample::select(vec![0_u64, 1, 2, 999, 1_000, 4_999, 5_000, 10_000, 30_000]);
    prop::collection::vec((0..3_usize, step), 1..24)
}

/// Invariant 3 in time: what the cache gives at any moment is what plain Cedar would say at that moment.
#[test]
fn the_cache_answers_at_each_moment_as_plain_cedar_does_then() {
    let hits = Cell::new(0_u32);
    let requests = prop::collection::vec(request(), 1..3);
    let mut runner = TestRunner::new(ProptestConfig { cases: 120, ..ProptestConfig::default() });
    let outcome = runner.run(&(policies(), requests, steps()), |(text, mut requests, steps)| {
        let limits = Sources { limit_millis: 3_600_000, deny_limit_millis: 3_600_000, ..in_berlin(&text) };
        let (set, cache) = (compile(&limits).unwrap(), DecisionCache::new(100, Duration::from_hours(1)));
        // The same from elsewhere, with other certificates: policies decide whether that is another key.
        let mut renewed = requests[0].clone();
        renewed.validities = vec![(Timestamp::from_millis(10_000), Timestamp::from_secs(4_000)); 3];
        requests.push(renewed);
        let mut now = Timestamp::from_millis(899_990);
        for (which, step) in steps {
            now = now.saturating_add_millis(step);
            let which = which % requests.len();
            let request = TestRequest { now, ..requests[which].clone() };
            if (0..=request.hops.len()).any(|at| now > request.validity(at).1) {
                continue;
            }
            let answer = request.admitted(set.plan(), |admitted| {
                let question = set.question(admitted);
                cache.get_with(admitted, question.reading(), now, || {
                    set.answer(&question, admitted, DecisionId(1), now, 0)
                })
            });
            hits.set(hits.get() + u32::from(answer.cached));
            prop_assert_eq!(said(&answer.decision), plain(&text, &request), "cached: {} {:?}", answer.cached, request);
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(hits.get() > 200, "{} answers came from the cache, which shows little", hits.get());
}
