//! One thing wrong at a time: that it is found, and that what is right is left alone.

use super::*;

const NOW: u64 = 10_000_000_000;

/// A sidecar with nothing wrong.
pub(crate) fn fine() -> StatusResponse {
    StatusResponse {
        problems: Vec::new(),
        at_ms: NOW,
        started_ms: NOW - 7_500_000,
        service: "orders".to_owned(),
        version: "0.1.0".to_owned(),
        draining: false,
        ready: true,
        identity: Some(OwnStatus {
            source: "workload_api".to_owned(),
            id: "spiffe://a.test/sidecar".to_owned(),
            not_before_ms: NOW - 1_800_000,
            not_after_ms: NOW + 1_800_000,
        }),
        bundles: vec![bundle("a.test", "file", None), bundle("b.test", "federation", Some(NOW + 7000))],
        policy: Some(PolicyStatus {
            digest: "0123456789abcdef".to_owned(),
            policies: 12,
            accepted_at_ms: NOW - 3_600_000,
            refused: String::new(),
            refused_at_ms: 0,
        }),
        log: Some(LogStatus { replayed: true, head_seq: 12, revocations: 3, taken: true, ..LogStatus::default() }),
        filters: vec![FilterStatus {
            node: "ingress".to_owned(),
            instance: "12345678-9".to_owned(),
            connected: true,
            enforced_seq: 12,
            behind_ms: 0,
            lease_until_ms: NOW + 2100,
        }],
        audit: Some(AuditStatus { written: 1234, lost: 0, lost_at_ms: 0 }),
        control_policy: Some(ControlPolicyStatus::default()),
    }
}

fn bundle(trust_domain: &str, origin: &str, next_refresh_ms: Option<u64>) -> BundleStatus {
    BundleStatus {
        trust_domain: trust_domain.to_owned(),
        origin: origin.to_owned(),
        missing: false,
        authorities: 2,
        sequence: Some(3),
        fetched_at_ms: NOW - 12_000,
        next_refresh_ms,
        authorities_end_ms: Some(NOW + 1),
        trouble: String::new(),
    }
}

type Break = fn(&mut StatusResponse);

fn own(status: &mut StatusResponse) -> &mut OwnStatus {
    status.identity.as_mut().unwrap()
}

#[test]
fn nothing_is_wrong_where_nothing_is() {
    let cases: [(&str, Break); 9] = [
        ("as it is", |_| ()),
        ("no SVID configured", |it| it.identity = Some(OwnStatus::default())),
        ("half of its life over", |it| own(it).not_after_ms = NOW + 900_000),
        ("no filter", |it| it.filters.clear()),
        ("a fleet", |it| {
            let fleet = FleetStatus { reachable: true, caught_up: true, end_seq: 12, ..FleetStatus::default() };
            it.log.as_mut().unwrap().fleet = Some(fleet);
        }),
        ("behind for a moment", |it| (it.filters[0].enforced_seq, it.filters[0].behind_ms) = (11, 20)),
        ("gone, its lease over", |it| {
            (it.filters[0].connected, it.filters[0].behind_ms, it.filters[0].lease_until_ms) = (false, 9000, 0);
        }),
        ("a fetch that takes its time", |it| it.bundles[1].next_refresh_ms = Some(NOW - 20_000)),
        ("audit lost long ago", |it| it.audit = Some(AuditStatus { written: 1, lost: 1, lost_at_ms: NOW - 3_600_000 })),
    ];
    for (case, change) in cases {
        let mut status = fine();
        change(&mut status);
        assert_eq!(problems(&status), [], "{case}");
    }
}

#[test]
fn each_thing_that_is_wrong_is_told_with_its_part() {
    let cases: [(&str, &str, Break); 23] = [
        ("sidecar", "told to stop", |it| it.draining = true),
        ("sidecar", "not in yet", |it| it.ready = false),
        ("log", "not replayed", |it| it.log = Some(LogStatus::default())),
        ("log", "nobody can be revoked", |it| it.log.as_mut().unwrap().taken = false),
        ("log", "set back or exchanged, 1 min ago: filter x has seen 9", |it| {
            let log = it.log.as_mut().unwrap();
            (log.contradiction, log.contradicted_at_ms) = ("filter x has seen 9".to_owned(), NOW - 60_000);
        }),
        ("fleet", "is refused, no revocation arrives or leaves: it ends at 1", |it| {
            let (refused, remedy) = ("it ends at 1".to_owned(), "import".to_owned());
            it.log.as_mut().unwrap().fleet = Some(FleetStatus { refused, remedy, ..FleetStatus::default() });
        }),
        ("fleet", "is out of reach, no revocation arrives or leaves: none of a, b", |it| {
            let trouble = "none of a, b can be reached".to_owned();
            it.log.as_mut().unwrap().fleet = Some(FleetStatus { trouble, ..FleetStatus::default() });
        }),
        ("policy", "every request is denied", |it| it.policy = Some(PolicyStatus::default())),
        ("policy", "old policies stay in force: x.cedar:2", |it| {
            it.policy.as_mut().unwrap().refused = "x.cedar:2: no".to_owned();
        }),
        ("control", "old ones stay in force: x.cedar:2", |it| {
            it.control_policy = Some(ControlPolicyStatus { refused: "x.cedar:2: no".to_owned(), ..Default::default() });
        }),
        ("policy", "denied: x.cedar:2", |it| {
            it.policy = Some(PolicyStatus { refused: "x.cedar:2: no".to_owned(), ..PolicyStatus::default() });
        }),
        ("identity", "no SVID from workload_api", |it| own(it).id.clear()),
        ("identity", "has expired", |it| own(it).not_after_ms = NOW - 1),
        ("identity", "not valid yet", |it| own(it).not_before_ms = NOW + 1),
        ("identity", "was not rotated", |it| own(it).not_after_ms = NOW + 60_000),
        ("bundles", "no bundle of b.test has come from federation, its workloads are denied: refused", |it| {
            (it.bundles[1].missing, it.bundles[1].trouble) = (true, "refused".to_owned());
        }),
        ("bundles", "b.test has no authorities", |it| it.bundles[1].authorities = 0),
        ("bundles", "every authority of a.test has expired", |it| it.bundles[0].authorities_end_ms = Some(NOW - 1)),
        ("bundles", "the last one stays in force: no answer", |it| it.bundles[1].trouble = "no answer".to_owned()),
        ("bundles", "was not", |it| it.bundles[1].next_refresh_ms = Some(NOW - 61_000)),
        ("filters", "ingress has not put in force for 3 s what came after 11", |it| {
            (it.filters[0].enforced_seq, it.filters[0].behind_ms) = (11, 3000);
        }),
        ("filters", "ingress is not connected and may answer from memory for 2 s more", |it| {
            (it.filters[0].connected, it.filters[0].behind_ms) = (false, 1);
        }),
        ("audit", "5 audit records are lost, the last 1 min ago", |it| {
            it.audit = Some(AuditStatus { written: 1, lost: 5, lost_at_ms: NOW - 60_000 });
        }),
    ];
    for (part, what, change) in cases {
        let mut status = fine();
        change(&mut status);
        let found = problems(&status);
        assert_eq!(found.len(), 1, "{what}: {found:?}");
        assert!(found[0].part == part && found[0].what.contains(what), "{found:?} does not say {part}: {what}");
        assert!(!found[0].remedy.is_empty(), "{found:?}");
    }
}

#[test]
fn what_stops_everything_stands_before_what_stops_something() {
    let mut status = fine();
    status.audit = Some(AuditStatus { written: 1, lost: 5, lost_at_ms: NOW });
    status.bundles[0].authorities = 0;
    status.log = Some(LogStatus::default());
    let parts: Vec<String> = problems(&status).into_iter().map(|it| it.part).collect();
    assert_eq!(parts, ["log", "bundles", "audit"]);
}

#[test]
fn lengths_are_told_in_the_two_largest_units() {
    let cases = [
        (0, "0 ms"),
        (999, "999 ms"),
        (1999, "1 s"),
        (60_000, "1 min"),
        (61_000, "1 min 1 s"),
        (3_599_999, "59 min 59 s"),
        (7_500_000, "2 h 5 min"),
        (90_000_000, "1 d 1 h"),
    ];
    for (millis, expected) in cases {
        assert_eq!(length(millis), expected, "{millis}");
    }
}
