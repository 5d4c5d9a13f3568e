//! Signals of risk and posture: what they change for whom, also for decisions in the cache.

use std::time::Instant;

use authz_core::{
    signal::{Action, Signal},
    standing::{Posture, RiskScore},
};

use super::*;
use crate::signals::Entry;

const POLICIES: &str = r#"
permit(principal, action, resource);
@id("risky") forbid(principal, action, resource) when { principal has risk && principal.risk > 70 };
@id("loose") forbid(principal == Workload::"spiffe://td/web", action, resource)
when { principal has posture && (!principal.posture.compliant || principal.posture.attributes has os && principal.posture.attributes.os == "old") };
@id("upstream") forbid(principal, action == Action::"POST", resource) when { context has origin && context.origin has risk && context.origin.risk > 20 };
"#;

fn tell(checker: &Checker, seq: u64, scope: &str, action: Action) {
    let text = || Arc::<str>::from("");
    let (who, why, source) = (text(), text(), text());
    let signal =
        Signal { id: text(), scope: scope.parse().unwrap(), action, who, why, source, at: at(NOW), event_at: None };
    checker.state.apply(&mut [Entry::new(Seq(seq), Arc::new(signal), Instant::now())]);
}

fn risk(score: u32, ends: &str) -> Action {
    Action::Risk(RiskScore::new(score).unwrap(), at(ends))
}

fn posture(compliant: bool, os: &str) -> Action {
    Action::Posture(Arc::new(Posture::new(compliant, vec![("os".into(), os.into())]).unwrap()), Timestamp::NEVER)
}

const NOW: &str = "2026-11-25T12:00:00Z";
const LATER: &str = "2026-11-25T13:00:00Z";

fn ask(checker: &Checker, who: &str, now: &str) -> (&'static str, Source) {
    let (reason, source, _) = ask_for("GET", checker, who, &[], now);
    (reason, source)
}

fn ask_for(
    method: &str,
    checker: &Checker,
    who: &str,
    behind: &[&str],
    now: &str,
) -> (&'static str, Source, Timestamp) {
    let workload = |name: &&str| {
        let id = SpiffeId::parse(&format!("spiffe://td/{name}")).unwrap();
        let serial = IssuerSerial::new("CN=root", "1f").unwrap();
        let credential = Credential::new(id, Digest::from_bytes([7; 32]), serial, at(LONG.0), at(LONG.1));
        Caller::verified(credential.unwrap())
    };
    let caller = workload(&who);
    let chain = authz_core::hops::Chain::new(behind.iter().map(workload).collect(), authz_core::hops::Reach::Origin);
    let http = Http::new(method, "/", "cart", "https", "HTTP/2", &NoHeaders);
    let facts = Facts { chain: &chain, ..Facts::of_http(Presented::Verified(&caller), http) };
    let outcome = checker.decide(&facts, at(now));
    (outcome.decision.reason.as_str(), outcome.source, outcome.decision.holds_until)
}

#[test]
fn risk_denies_the_next_request_and_lets_it_in_again_and_touches_nobody_else() {
    let checker = checker(POLICIES);
    for who in ["web", "db"] {
        assert_eq!(ask(&checker, who, NOW), ("permit", Source::Policy));
    }
    tell(&checker, 1, "spiffe-id:spiffe://td/web", risk(71, LATER));
    assert_eq!(ask(&checker, "web", NOW), ("forbid", Source::Policy));
    assert_eq!(ask(&checker, "web", NOW), ("forbid", Source::Cache));
    assert_eq!(ask(&checker, "db", NOW), ("permit", Source::Cache));
    tell(&checker, 2, "spiffe-id:spiffe://td/web", risk(70, LATER));
    assert_eq!(ask(&checker, "web", NOW), ("permit", Source::Policy), "whether anything is said is asked, too");
    tell(&checker, 3, "spiffe-id:spiffe://td/web", risk(9, LATER));
    assert_eq!(ask(&checker, "web", NOW), ("permit", Source::Cache), "another number of the same class");
    tell(&checker, 4, "trust-domain:td", risk(99, LATER));
    assert_eq!([ask(&checker, "web", NOW).0, ask(&checker, "db", NOW).0], ["forbid"; 2]);
}

#[test]
fn what_was_said_until_a_moment_counts_until_then_and_bounds_the_decision() {
    let checker = checker(POLICIES);
    tell(&checker, 1, "path-prefix:spiffe://td/web", risk(90, LATER));
    let (reason, _, holds_until) = ask_for("GET", &checker, "web", &[], NOW);
    assert_eq!((reason, holds_until), ("forbid", at(LATER)));
    assert_eq!(ask(&checker, "web", "2026-11-25T12:59:59.999Z"), ("forbid", Source::Cache));
    assert_eq!(ask(&checker, "web", LATER).0, "permit");
}

#[test]
fn posture_is_read_whole_and_certificates_have_none() {
    let checker = checker(POLICIES);
    tell(&checker, 1, "spiffe-id:spiffe://td/web", posture(true, "new"));
    assert_eq!(ask(&checker, "web", NOW).0, "permit");
    tell(&checker, 2, "spiffe-id:spiffe://td/web", posture(true, "old"));
    assert_eq!(ask(&checker, "web", NOW), ("forbid", Source::Policy));
    tell(&checker, 3, "spiffe-id:spiffe://td/web", posture(true, "new"));
    assert_eq!(ask(&checker, "web", NOW), ("permit", Source::Cache), "as before");
    tell(&checker, 4, &format!("certificate:{}", "07".repeat(32)), posture(false, "old"));
    assert_eq!(ask(&checker, "web", NOW), ("permit", Source::Cache));
    tell(&checker, 5, "trust-domain:td", posture(false, "new"));
    assert_eq!([ask(&checker, "web", NOW).0, ask(&checker, "db", NOW).0], ["forbid", "permit"]);
}

#[test]
fn the_risk_of_who_began_counts_where_a_policy_looks_at_it() {
    let checker = checker(POLICIES);
    let post = |behind: &[&str]| ask_for("POST", &checker, "gateway", behind, NOW).0;
    tell(&checker, 1, "spiffe-id:spiffe://td/phone", risk(21, LATER));
    assert_eq!([post(&["phone"]), post(&["laptop"]), post(&["phone", "laptop"])], ["forbid", "permit", "permit"]);
    tell(&checker, 2, "spiffe-id:spiffe://td/phone", risk(20, LATER));
    assert_eq!(post(&["phone"]), "permit");
    tell(&checker, 3, "spiffe-id:spiffe://td/laptop", risk(30, LATER));
    assert_eq!([post(&["laptop"]), post(&["phone", "laptop"])], ["forbid"; 2]);
    assert_eq!(ask_for("GET", &checker, "gateway", &["laptop"], NOW).0, "permit");
}
