//! Each use leaves one line in the trail and one count, whatever becomes of it.

use std::{fs, sync::Arc};

use authz_core::{
    revocation::Mark,
    scope::Scope,
    signal::{Action, Signal},
    time::Timestamp,
};
use serde_json::Value;

use super::*;
use crate::{
    audit::{self, AuditWriter, Target},
    policy::{Source, control::compile},
};

const ALICE: Principal = Principal::LocalUser { uid: 7, gid: 7 };

struct Stand {
    guard: Arc<Guard>,
    metrics: Arc<Metrics>,
    writer: AuditWriter,
    directory: tempfile::TempDir,
}

impl Stand {
    fn new(policies: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let target = Target::File(directory.path().join("audit"));
        let (audit, writer) = audit::open(&target, 100, Arc::clone(&metrics)).unwrap();
        let policies = compile(&[Source { name: "c".into(), text: policies.into() }], "orders").unwrap();
        Self { guard: Arc::new(Guard::new(policies, Arc::clone(&metrics), audit)), metrics, writer, directory }
    }

    /// All lines of the trail, without their times, which are checked to be there.
    fn trail(self) -> Vec<Value> {
        drop(self.guard);
        self.writer.close();
        let text = fs::read_to_string(self.directory.path().join("audit")).unwrap();
        let line = |line: &str| {
            let mut value: Value = serde_json::from_str(line).unwrap();
            assert!(value.as_object_mut().unwrap().remove("time").unwrap().is_string());
            value
        };
        text.lines().map(line).collect()
    }

    fn counted(&self, action: &str, result: UseResult) -> u64 {
        self.metrics.control_requests.with_label_values(&[action, result.as_str()]).get()
    }
}

fn revocation(scope: &str) -> Signal {
    Signal {
        id: "s-1".into(),
        scope: scope.parse().unwrap(),
        action: Action::Revoke(Mark { issued_before: Timestamp::NEVER, expires_at: Timestamp::NEVER }),
        who: "uid:7 (alice)".into(),
        why: "leaked".into(),
        source: "".into(),
        at: Timestamp::from_millis(1),
        event_at: None,
    }
}

const OWN: &str = "@id(\"own\") permit(principal, action in Action::\"signal\", resource in TrustDomain::\"a.test\");\n\
                   @id(\"bad\") forbid(principal, action == Action::\"risk\", resource) when { context.score + 9223372036854775807 > 0 };\n\
                   @id(\"read\") permit(principal, action == Action::\"list\", resource);";

#[test]
fn a_permitted_use_is_recorded_once_with_what_became_of_it() {
    let stand = Stand::new(OWN);
    let signal = revocation("trust-domain:a.test");
    let asked = Asked::Signal { signal: &signal, position: 1 };
    stand.guard.admit(&ALICE, &asked).unwrap().done_at(Seq(3));
    stand.guard.admit(&ALICE, &asked).unwrap().failed("disk full");
    drop(stand.guard.admit(&ALICE, &asked).unwrap());
    stand.guard.admit(&ALICE, &Asked::List).unwrap().done();
    assert_eq!(
        (stand.counted("revoke", UseResult::Allowed), stand.counted("revoke", UseResult::Failed)),
        (2, 1),
        "one left"
    );
    assert_eq!(stand.counted("list", UseResult::Allowed), 1);
    let trail = stand.trail();
    assert_eq!(trail.len(), 4);
    let first = serde_json::json!({
        "kind": "control", "who": "uid:7 (alice)", "action": "revoke", "scope": "trust-domain:a.test",
        "result": "allowed", "policies": ["own"], "seq": 3, "id": "s-1", "why": "leaked", "detail": "",
    });
    assert_eq!(trail[0], first);
    assert_eq!((&trail[1]["result"], &trail[1]["detail"]), (&"failed".into(), &"disk full".into()));
    assert!(trail[2]["detail"].as_str().unwrap().contains("left before the answer"));
    let list = serde_json::json!({
        "kind": "control", "who": "uid:7", "action": "list", "scope": null, "result": "allowed",
        "policies": ["read"], "seq": null, "id": null, "why": "", "detail": "",
    });
    assert_eq!(trail[3], list);
}

#[test]
fn what_is_not_permitted_not_understood_or_not_decidable_is_recorded_too() {
    let stand = Stand::new(OWN);
    let signal = revocation("trust-domain:b.test");
    let error = stand.guard.admit(&ALICE, &Asked::Signal { signal: &signal, position: 1 }).err().unwrap();
    assert!(error.to_string().starts_with("uid:7 may not revoke trust-domain:b.test;"), "{error}");
    let risk = Signal {
        action: Action::Risk(authz_core::standing::RiskScore::new(1).unwrap(), Timestamp::NEVER),
        ..revocation("trust-domain:a.test")
    };
    let error = stand.guard.admit(&ALICE, &Asked::Signal { signal: &risk, position: 1 }).err().unwrap();
    assert!(error.to_string().starts_with("uid:7 may not risk trust-domain:a.test;"), "{error}");
    assert_eq!(stand.guard.admit(&ALICE, &Asked::Tail).err().unwrap().what, "tail");
    stand.guard.misunderstood("uid:7", "no such kind".to_owned());
    let results: Vec<_> = stand.trail().iter().map(|line| (line["action"].clone(), line["result"].clone())).collect();
    let expected = [("revoke", "denied"), ("risk", "error"), ("tail", "denied"), ("unknown", "invalid")];
    assert_eq!(results, expected.map(|(action, result)| (action.into(), result.into())));
}

#[test]
fn other_policies_count_from_when_they_replace_the_old() {
    let stand = Stand::new(OWN);
    assert!(stand.guard.admit(&ALICE, &Asked::Tail).is_err());
    stand.guard.replace(crate::policy::control::default_policies("orders").unwrap());
    stand.guard.admit(&ALICE, &Asked::Tail).unwrap().done();
}

#[test]
fn a_batch_is_one_line_and_each_signal_that_was_kept_out_another() {
    let stand = Stand::new(OWN);
    let mut tally = Tally::new(Arc::clone(&stand.guard), ALICE);
    let (own, other) = (revocation("trust-domain:a.test"), revocation("trust-domain:b.test"));
    for _ in 0..3 {
        let position = tally.count_next();
        tally.admit(&Asked::Signal { signal: &own, position }).unwrap();
        tally.settle("revoke", UseResult::Allowed);
    }
    let position = tally.count_next();
    assert_eq!(position, 4);
    assert!(tally.admit(&Asked::Signal { signal: &other, position }).is_err());
    tally.misunderstood("no such scope".to_owned());
    drop(tally);
    assert_eq!((stand.counted("revoke", UseResult::Allowed), stand.counted("batch", UseResult::Allowed)), (3, 1));
    let trail = stand.trail();
    assert_eq!(trail.len(), 3, "{trail:?}");
    assert_eq!((&trail[0]["scope"], &trail[0]["result"]), (&"trust-domain:b.test".into(), &"denied".into()));
    assert_eq!(trail[1]["result"], "invalid");
    assert_eq!((&trail[2]["action"], &trail[2]["policies"]), (&"batch".into(), &serde_json::json!(["own"])));
    assert_eq!(trail[2]["detail"], "3 allowed, 1 denied, 1 invalid");
}

#[test]
fn a_scope_is_asked_about_for_a_dry_run() {
    let stand = Stand::new("permit(principal, action == Action::\"dryRun\", resource in TrustDomain::\"a.test\");");
    let scope: Scope = "spiffe-id:spiffe://a.test/x".parse().unwrap();
    stand.guard.admit(&ALICE, &Asked::DryRun(&scope)).unwrap().done();
    let other: Scope = "spiffe-id:spiffe://b.test/x".parse().unwrap();
    assert!(stand.guard.admit(&ALICE, &Asked::DryRun(&other)).is_err());
    assert_eq!(stand.trail()[0]["scope"], "spiffe-id:spiffe://a.test/x");
}
