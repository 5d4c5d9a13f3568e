//! The screen as it stands before somebody at 3 a.m., and the same for scripts.

use super::*;
use crate::{
    cli::{Format, status::json},
    status::{fine, problems},
};

fn screen(mut status: StatusResponse) -> String {
    status.problems = problems(&status);
    show(&status, &Output::new(&mut Vec::new(), Format::Json))
}

#[test]
fn a_sidecar_that_is_fine_says_so_first() {
    let expected = "\
FINE: orders, countersign 0.1.0, up for 2 h 5 min

identity  spiffe://a.test/sidecar from workload_api, ends in 30 min
bundles   a.test (file): 2 authorities, sequence 3, 12 s old
          b.test (federation): 2 authorities, sequence 3, 12 s old, asked again in 7 s
policy    12 policies, digest 0123456789ab, in force for 1 h
log       at 12, 3 revoked now, revocations are taken
filters   ingress 12345678: connected, at 12, lease for 2.1 s
audit     1234 written, none lost";
    assert_eq!(screen(fine()), expected);
}

#[test]
fn a_sidecar_that_is_not_says_why_and_what_to_do() {
    let mut status = fine();
    status.identity = Some(OwnStatus::default());
    status.policy.as_mut().unwrap().refused =
        "policy.cedar:2:4: no such attribute\npolicy.cedar:9:1: nor this".to_owned();
    status.policy.as_mut().unwrap().refused_at_ms = status.at_ms - 60_000;
    status.bundles[0].authorities = 0;
    (status.bundles[1].missing, status.bundles[1].trouble) = (true, "\x1b[2J".to_owned());
    (status.filters[0].enforced_seq, status.filters[0].behind_ms) = (10, 5000);
    status.audit = Some(AuditStatus { written: 7, lost: 2, lost_at_ms: status.at_ms - 3_600_000 });
    let expected = "\
NOT FINE: policy: the new files were refused, the old policies stay in force: policy.cedar:2:4: no such attribute (and 3 more)
  ! policy: the new files were refused, the old policies stay in force: policy.cedar:2:4: no such attribute
      policy.cedar:9:1: nor this
    do: run `countersign policy validate --config FILE`, it shows every mistake with its place
  ! bundles: a.test has no authorities: every SVID of it is revoked by its publisher
    do: if it is not meant, its publisher must serve authorities again; if it is, take it out of the configuration
  ! bundles: no bundle of b.test has come from federation, its workloads are denied: ?[2J
    do: mend the endpoint, or what identity.federation says about it
  ! filters: ingress has not put in force for 5 s what came after 10
    do: see whether its Envoy is overloaded; restart that Envoy to be sure

identity  none configured
bundles   a.test (file): EMPTY, all of it is revoked, sequence 3, 12 s old
          b.test (federation): MISSING, its workloads are denied, sequence 3, asked again in 7 s, IN TROUBLE
policy    12 policies, digest 0123456789ab, in force for 1 h; REFUSED others 1 min ago
log       at 12, 3 revoked now, revocations are taken
filters   ingress 12345678: connected, at 10, 2 BEHIND for 5 s, lease for 2.1 s
audit     7 written, 2 LOST, the last 1 h ago";
    assert_eq!(screen(status), expected);
}

#[test]
fn a_sidecar_without_anything_shows_every_part_all_the_same() {
    let mut status = fine();
    status.ready = false;
    (status.identity, status.policy) =
        (Some(OwnStatus { source: "files".to_owned(), ..OwnStatus::default() }), Some(PolicyStatus::default()));
    (status.bundles, status.filters) = (Vec::new(), Vec::new());
    status.log = Some(LogStatus::default());
    let text = screen(status);
    for line in [
        "identity  none yet from files",
        "bundles   none",
        "policy    NONE in force",
        "log       NOT REPLAYED",
        "filters   none connected",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn scripts_get_the_same_as_json() {
    let mut status = fine();
    status.bundles[1].authorities = 0;
    status.problems = problems(&status);
    let view = json::view(&status);
    assert_eq!((&view["fine"], view["problems"][0]["part"].as_str()), (&false.into(), Some("bundles")));
    assert_eq!((&view["bundles"][0]["revoked"], &view["bundles"][1]["revoked"]), (&false.into(), &true.into()));
    assert_eq!(
        (&view["bundles"][0]["age_seconds"], &view["bundles"][0]["next_refresh"]),
        (&12.into(), &serde_json::Value::Null)
    );
    assert_eq!(view["at"], "1970-04-26T17:46:40.000Z");
}
