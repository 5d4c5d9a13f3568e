//! Who may signal what, by the policies we publish and by small ones of each test.

use std::sync::Arc;

use authz_core::{
    identity::SpiffeId,
    revocation::Mark,
    scope::Scope,
    signal::{Action, Signal},
    standing::{Posture, RiskScore},
    time::Timestamp,
};

use super::*;
use crate::policy::source::Source;

const NOW: u64 = 1_800_000_000_000;
const EXAMPLE: &str = include_str!("../../../policy/control-example.cedar");

fn compiled(text: &str) -> ControlPolicies {
    compile(&[Source { name: "control.cedar".into(), text: text.into() }], "orders").unwrap()
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = compile(&[Source { name: "control.cedar".into(), text: text.into() }], "orders").err().unwrap();
    assert!(error.to_string().contains(expected), "{error}");
}

fn workload(id: &str) -> Principal {
    Principal::Workload(SpiffeId::parse(id).unwrap())
}

const EVER: Mark = Mark { issued_before: Timestamp::NEVER, expires_at: Timestamp::NEVER };
const ROOT: Principal = Principal::LocalUser { uid: 0, gid: 0 };

fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn signal_of(about: &str, action: Action, why: &str) -> Signal {
    Signal {
        id: "1".into(),
        scope: scope(about),
        action,
        who: "somebody".into(),
        why: why.into(),
        source: "".into(),
        at: at(NOW),
        event_at: None,
    }
}

fn revocation(about: &str) -> Signal {
    signal_of(about, Action::Revoke(EVER), "key leaked")
}

fn posture(compliant: bool) -> Arc<Posture> {
    Arc::new(Posture::new(compliant, Vec::new()).unwrap())
}

fn allows(policies: &ControlPolicies, who: &Principal, signal: &Signal) -> bool {
    policies.rule(who, &Asked::Signal { signal, position: 1 }).verdict == ControlVerdict::Allow
}

#[test]
fn without_policies_whoever_comes_in_may_do_everything() {
    let policies = default_policies("orders").unwrap();
    assert_eq!((policies.len(), policies.warnings().len()), (1, 0));
    let revocation = revocation("trust-domain:a.test");
    let subject = scope("token:1");
    let asked = [
        Asked::Await,
        Asked::DryRun(&subject),
        Asked::List,
        Asked::Signal { signal: &revocation, position: 1 },
        Asked::Status,
        Asked::Tail,
    ];
    for who in [&ROOT, &workload("spiffe://a.test/x")] {
        for asked in &asked {
            let ruling = policies.rule(who, asked);
            assert_eq!(ruling.verdict, ControlVerdict::Allow, "{who} {asked:?}");
            assert_eq!(ruling.policies, ["built-in-whoever-comes-in".into()]);
        }
    }
}

#[test]
fn an_identity_team_may_revoke_its_own_trust_domain_and_nothing_else() {
    let policies = compiled(EXAMPLE);
    let team = workload("spiffe://a.test/identity-team/alice");
    for own in ["trust-domain:a.test", "spiffe-id:spiffe://a.test/ns/x", "path-prefix:spiffe://a.test/ns"] {
        assert!(allows(&policies, &team, &revocation(own)), "{own}");
        assert!(allows(&policies, &team, &signal_of(own, Action::Restore, "mended")), "{own}");
        assert!(!allows(&policies, &team, &signal_of(own, Action::Revoke(EVER), "")), "no reason given: {own}");
        assert!(!allows(&policies, &team, &signal_of(own, Action::Risk(RiskScore::new(9).unwrap(), at(NOW + 1)), "x")));
        assert_eq!(policies.rule(&team, &Asked::DryRun(&scope(own))).verdict, ControlVerdict::Allow);
        assert!(allows(&policies, &ROOT, &signal_of(own, Action::Restore, "")), "the host may");
    }
    for other in [
        "trust-domain:b.test",
        "trust-domain:a.test.b.test",
        "spiffe-id:spiffe://b.test/identity-team",
        "path-prefix:spiffe://b.test/a.test",
        "token:a.test",
        "subject:https://a.test#bob",
        "issuer-serial:CN=a.test#1",
        "certificate:0000000000000000000000000000000000000000000000000000000000000000",
    ] {
        assert!(!allows(&policies, &team, &revocation(other)), "{other}");
        assert_eq!(policies.rule(&team, &Asked::DryRun(&scope(other))).verdict, ControlVerdict::Deny, "{other}");
        assert!(allows(&policies, &ROOT, &revocation(other)), "the host may: {other}");
    }
    for stranger in
        ["spiffe://a.test/identity-teams", "spiffe://b.test/identity-team", "spiffe://a.test/x/identity-team"]
    {
        assert!(!allows(&policies, &workload(stranger), &revocation("trust-domain:a.test")), "{stranger}");
    }
    for (asked, expected) in [
        (Asked::Await, ControlVerdict::Allow),
        (Asked::Status, ControlVerdict::Allow),
        (Asked::List, ControlVerdict::Deny),
        (Asked::Tail, ControlVerdict::Deny),
    ] {
        assert_eq!(policies.rule(&team, &asked).verdict, expected, "{asked:?}");
    }
}

#[test]
fn a_device_manager_reports_devices_as_it_saw_them_and_for_a_day() {
    let policies = compiled(EXAMPLE);
    let manager = workload("spiffe://a.test/device-manager");
    let day = at(NOW + 86_400_000);
    let seen = |about, event_at, until| {
        let signal = signal_of(about, Action::Posture(posture(false), until), "");
        allows(&policies, &manager, &Signal { event_at, ..signal })
    };
    assert!(seen("device:laptop-7", Some(at(NOW - 5)), day));
    assert!(seen("device:laptop-7", Some(at(NOW + 5)), day), "its clock may run ahead");
    assert!(!seen("device:laptop-7", None, day), "without time");
    assert!(!seen("device:laptop-7", Some(at(NOW)), Timestamp::NEVER), "for ever");
    assert!(!seen("device:laptop-7", Some(at(NOW)), at(NOW + 86_400_001)));
    assert!(!seen("agent:laptop-7", Some(at(NOW)), day));
    assert!(!allows(&policies, &manager, &revocation("device:laptop-7")));
}

#[test]
fn policies_see_who_sends_what_and_everything_around_it() {
    let risk = |score, until| signal_of("device:d", Action::Risk(RiskScore::new(score).unwrap(), until), "w");
    let sparing = Mark { issued_before: at(5), expires_at: at(NOW + 7) };
    let cases = [
        ("context.why == \"w\" && context.source == \"edr\"", "action", risk(3, Timestamp::NEVER), true),
        ("context.position == 4", "action", risk(3, Timestamp::NEVER), true),
        ("context.position < 4", "action", risk(3, Timestamp::NEVER), false),
        ("context.score == 3", "action == Action::\"risk\"", risk(3, Timestamp::NEVER), true),
        ("context has expires_in_ms", "action == Action::\"risk\"", risk(3, Timestamp::NEVER), false),
        (
            "context.compliant",
            "action == Action::\"posture\"",
            { signal_of("device:d", Action::Posture(posture(true), Timestamp::NEVER), "") },
            true,
        ),
        (
            "context.spares_newer && context has expires_in_ms && context.expires_in_ms == 7",
            "action == Action::\"revoke\"",
            signal_of("token:t", Action::Revoke(sparing), ""),
            true,
        ),
        ("context.spares_newer", "action == Action::\"revoke\"", revocation("token:t"), false),
        ("resource.kind == \"token\" && resource.value == \"t\"", "action", revocation("token:t"), true),
        ("resource has trust_domain", "action", revocation("token:t"), false),
        (
            "resource has trust_domain && resource.trust_domain == \"a.test\"",
            "action",
            { revocation("path-prefix:spiffe://a.test/ns") },
            true,
        ),
        (
            "resource in WorkloadPath::\"spiffe://a.test/ns\"",
            "action",
            { revocation("path-prefix:spiffe://a.test/ns") },
            true,
        ),
        (
            "resource in WorkloadPath::\"spiffe://a.test/ns/x\"",
            "action",
            { revocation("path-prefix:spiffe://a.test/ns") },
            false,
        ),
        ("resource == Scope::\"token:t\"", "action", revocation("token:t"), true),
    ];
    for (condition, action, signal, expected) in cases {
        let action = if action == "action" { "action in Action::\"signal\"" } else { action };
        let policies = compiled(&format!("permit(principal, {action}, resource) when {{ {condition} }};"));
        let signal = Signal { source: "edr".into(), ..signal };
        let ruling = policies.rule(&ROOT, &Asked::Signal { signal: &signal, position: 4 });
        assert_eq!(ruling.verdict == ControlVerdict::Allow, expected, "{condition}: {ruling:?}");
    }
}

#[test]
fn policies_see_users_their_groups_and_the_sidecar() {
    let user = Principal::LocalUser { uid: 7, gid: 9 };
    for (who, expected) in [
        ("principal == LocalUser::\"uid:7\"", true),
        ("principal == LocalUser::\"uid:0\"", false),
        ("principal in LocalGroup::\"gid:9\"", true),
        ("principal in LocalGroup::\"gid:0\"", false),
        ("principal is Workload", false),
    ] {
        let policies = compiled(&format!("permit({who}, action, resource);"));
        assert_eq!(allows(&policies, &user, &revocation("token:t")), expected, "{who}");
    }
    let sidecar = compiled("permit(principal, action, resource == Sidecar::\"orders\");");
    assert_eq!(sidecar.rule(&ROOT, &Asked::List).verdict, ControlVerdict::Allow);
}

#[test]
fn a_policy_that_can_not_be_evaluated_denies_and_is_named() {
    let failing = "@id(\"all\") permit(principal, action, resource);\n\
                   @id(\"bad\") forbid(principal, action == Action::\"risk\", resource) \
                   when { context.score + 9223372036854775807 > 0 };";
    let policies = compiled(failing);
    let risk = signal_of("device:d", Action::Risk(RiskScore::new(1).unwrap(), Timestamp::NEVER), "");
    let ruling = policies.rule(&ROOT, &Asked::Signal { signal: &risk, position: 1 });
    assert!(matches!(&ruling.verdict, ControlVerdict::Error(why) if why.contains("overflow")), "{ruling:?}");
    assert_eq!(ruling.policies, ["bad".into()]);
    assert!(allows(&policies, &ROOT, &revocation("device:d")), "it does not apply to revocations");
    let forbidding =
        compiled("@id(\"all\") permit(principal, action, resource); @id(\"no\") forbid(principal, action, resource);");
    let ruling = forbidding.rule(&ROOT, &Asked::List);
    assert_eq!((ruling.verdict, ruling.policies), (ControlVerdict::Deny, vec!["no".into()]));
}

#[test]
fn mistakes_are_told_with_their_place() {
    refused("permit(principal, action, resource)\n  when { context.whyy == \"\" };", "control.cedar:2:");
    refused("permit(principal, action == Action::\"revokee\", resource);", "control.cedar:1:");
    refused("permit(principal, action == Action::\"GET\", resource);", "control.cedar:1:");
    refused(
        "permit(principal, action == Action::\"revoke\", resource) when { context.score > 1 };",
        "control.cedar:1:",
    );
    refused("// nothing", "there is no policy here");
    refused("permit(principal, action, resource == Scope::\"spiffe://a.test/x\");", "can never match");
    refused("permit(principal, action, resource in TrustDomain::\"A.test\");", "can never match");
    refused("permit(principal == LocalUser::\"root\", action, resource);", "write it as uid:1000");
    refused("permit(principal == LocalUser::\"uid:007\", action, resource);", "write it as uid:1000");
    refused("permit(principal in LocalGroup::\"wheel\", action, resource);", "write it as gid:1000");
    let twice = "@id(\"a\") permit(principal, action, resource);\n@id(\"a\") permit(principal, action, resource);";
    refused(twice, "exists already");
    let deep = format!("{}true{}", "!(true && ".repeat(150), ")".repeat(150));
    refused(&format!("permit(principal, action, resource) when {{ {deep} }};"), "nested");
}

#[test]
fn every_action_of_the_schema_is_one_of_ours() {
    let (schema, _) = cedar_policy::Schema::from_cedarschema_str(CONTROL_SCHEMA).unwrap();
    let mut declared: Vec<String> = schema.actions().map(|uid| uid.id().unescaped().to_owned()).collect();
    declared.retain(|name| name != "read" && name != "signal");
    declared.sort_unstable();
    let mut ours: Vec<String> = ControlAction::ALL.iter().map(|action| action.as_str().to_owned()).collect();
    ours.sort_unstable();
    assert_eq!(declared, ours);
}
