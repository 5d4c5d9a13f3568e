//! Every way not to pass, and which of several reasons is given: identity, validity, revocation, form.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{
    facts::{Claim, InvalidHttp, NoHeaders},
    hops::{Chain, Reach},
    identity::{Credential, Digest, IssuerSerial},
    plan::{PolicyDigest, Rules},
    revocation::Mark,
};

type Lines = Vec<(&'static str, &'static [u8])>;

/// What is wrong with a request: all of it may be, and the gate names the first.
#[derive(Clone, Default, Debug)]
struct Wrong {
    identity: bool,
    validity: bool,
    revocation: bool,
    form: bool,
    header: bool,
}

/// Within the validity of [`caller`].
const NOW: Timestamp = Timestamp::from_millis(150);

fn caller() -> Arc<Caller> {
    workload("/ns/shop/web")
}

fn workload(path: &str) -> Arc<Caller> {
    let id = SpiffeId::parse(&format!("spiffe://demo.test{path}")).unwrap();
    let serial = IssuerSerial::new("CN=root", "1").unwrap();
    let (from, to) = (Timestamp::from_millis(100), Timestamp::from_millis(200));
    Caller::verified(Credential::new(id, Digest::from_bytes([1; 32]), serial, from, to).unwrap())
}

fn plan() -> Plan {
    Plan::new(PolicyDigest([0; 32]), [Read::Header("x-tenant".into()), Read::Path], Rules::default())
}

fn revoked() -> RevocationSet {
    let mut set = RevocationSet::default();
    set.revoke(&"path-prefix:spiffe://demo.test/ns".parse().unwrap(), Mark::FOREVER);
    set
}

fn http(headers: &Lines) -> Result<Http<'_>, InvalidHttp> {
    Http::new("GET", "/", "demo.test", "https", "HTTP/2", headers)
}

fn outcome(wrong: &Wrong, now: Timestamp) -> Result<(), Denial> {
    let (caller, plan) = (caller(), plan());
    let revocations = if wrong.revocation { revoked() } else { RevocationSet::default() };
    let lines: Lines = vec![("x-tenant", if wrong.header { b"\xff" } else { b"acme" })];
    let stranger = Unverified::new(Reason::ChainInvalid, None);
    let presented = if wrong.identity { Presented::Unverified(&stranger) } else { Presented::Verified(&caller) };
    let behind = Chain::new(vec![workload("/behind")], Reach::Origin);
    let http = if wrong.form { Err(InvalidHttp::Path) } else { http(&lines) };
    let facts = Facts { chain: &behind, ..Facts::of_http(presented, http) };
    Gate::new(&revocations, &plan).admit(&facts, now).map(|_| ())
}

#[test]
fn a_host_that_policies_read_may_not_be_shouted() {
    let (caller, revocations) = (caller(), RevocationSet::default());
    let admitted = |host: &str, reads: Vec<Read>| {
        let http = Http::new("GET", "/", host, "https", "HTTP/2", &NoHeaders);
        let facts = Facts::of_http(Presented::Verified(&caller), http);
        Gate::new(&revocations, &Plan::new(PolicyDigest([0; 32]), reads, Rules::default()))
            .admit(&facts, NOW)
            .map(|_| ())
    };
    let refused = Err(Denial::of(Reason::RequestMalformed));
    assert_eq!(admitted("orders.test", vec![Read::Host]), Ok(()));
    assert_eq!(admitted("Orders.test", vec![Read::Host]), refused);
    assert_eq!(admitted("Orders.test", vec![Read::Path]), Ok(()), "nobody reads it");
}

#[test]
fn a_proven_caller_in_force_with_a_well_formed_request_passes() {
    assert_eq!(outcome(&Wrong::default(), NOW), Ok(()));
}

#[test]
fn each_fault_has_its_reason_and_the_first_of_several_is_named() {
    let denial = |reason, scope: Option<&str>| Denial { reason, scope: scope.map(|text| text.parse().unwrap()) };
    let order = [
        denial(Reason::ChainInvalid, None),
        denial(Reason::CertificateExpired, None),
        denial(Reason::Revoked, Some("path-prefix:spiffe://demo.test/ns")),
        denial(Reason::RequestMalformed, None),
        denial(Reason::HeaderAmbiguous, None),
    ];
    for faults in 1..32u8 {
        let has = |fault: u8| faults & (1 << fault) != 0;
        let wrong = Wrong { identity: has(0), validity: has(1), revocation: has(2), form: has(3), header: has(4) };
        let now = if wrong.validity { Timestamp::from_millis(201) } else { NOW };
        let expected = &order[faults.trailing_zeros() as usize];
        assert_eq!(outcome(&wrong, now).as_ref(), Err(expected), "{wrong:?}");
    }
}

#[test]
fn a_credential_counts_from_its_first_moment_to_its_last() {
    let early = Some(Reason::CertificateNotYetValid);
    let late = Some(Reason::CertificateExpired);
    for (now, expected) in [(0, early), (99, early), (100, None), (200, None), (201, late), (u64::MAX, late)] {
        let denial = outcome(&Wrong::default(), Timestamp::from_millis(now)).err();
        assert_eq!(denial.map(|it| it.reason), expected, "{now}");
    }
}

#[test]
fn every_reason_why_there_is_no_identity_is_passed_on_and_none_of_them_can_allow() {
    let (revocations, plan) = (RevocationSet::default(), plan());
    for reason in Reason::ALL {
        let lines = Lines::new();
        let stranger = Unverified::new(*reason, None);
        let facts = Facts::of_http(Presented::Unverified(&stranger), http(&lines));
        let denial = Gate::new(&revocations, &plan).admit(&facts, NOW).err().unwrap();
        let expected = if reason.class() == Class::Allow { Reason::Internal } else { *reason };
        assert_eq!(denial, Denial { reason: expected, scope: None });
    }
}

#[test]
fn a_header_must_be_one_and_text_if_policies_read_it() {
    let ambiguous = Some(Reason::HeaderAmbiguous);
    let cases: [(Lines, Option<Reason>); 8] = [
        (vec![], None),
        (vec![("x-tenant", b"acme")], None),
        (vec![("x-tenant", b"")], None),
        (vec![("x-tenant", b"acme"), ("x-tenant", b"acme")], ambiguous),
        (vec![("x-tenant", b"acme"), ("x-other", b"1"), ("x-tenant", b"evil")], ambiguous),
        (vec![("x-tenant", b"\xff")], ambiguous),
        (vec![("x-tenant", b"\xff"), ("x-tenant", b"acme")], ambiguous),
        (vec![("x-other", b"\xff"), ("x-other", b"2")], None),
    ];
    let (caller, plan, revocations) = (caller(), plan(), RevocationSet::default());
    for (lines, expected) in cases {
        let facts = Facts::of_http(Presented::Verified(&caller), http(&lines));
        let denial = Gate::new(&revocations, &plan).admit(&facts, NOW).err();
        assert_eq!(denial.map(|it| it.reason), expected, "{lines:?}");
    }
}

#[test]
fn a_query_parameter_must_be_one_and_the_same_to_all_if_policies_read_it() {
    let ambiguous = Some(Reason::QueryAmbiguous);
    let reads = |name: &str| [Read::QueryParameter(name.into())];
    let cases = [
        ("/", None),
        ("/?role=user", None),
        ("/?other=1&other=2&role=user", None),
        ("/?role=user&role=admin", ambiguous),
        ("/?role=user&%72ole=admin", ambiguous),
        ("/?role=%ff", ambiguous),
        ("/?a=1;role=admin", ambiguous),
    ];
    for (target, expected) in cases {
        assert_eq!(denied(target, &Lines::new(), &reads("role")), expected, "{target}");
        assert_eq!(denied(target, &Lines::new(), &reads("unheard-of")), None, "nobody reads it");
    }
}

#[test]
fn a_content_type_that_is_no_text_is_refused_where_policies_tell_grpc_by_it() {
    let lines: Lines = vec![("content-type", b"application/grpc\xff")];
    for read in [Read::GrpcService, Read::GrpcMethod] {
        assert_eq!(denied("/a/b", &lines, &[read]), Some(Reason::HeaderAmbiguous));
    }
    assert_eq!(denied("/a/b", &lines, &[Read::Path]), None);
}

fn denied(target: &str, lines: &Lines, reads: &[Read]) -> Option<Reason> {
    let (caller, revocations) = (caller(), RevocationSet::default());
    let facts = Facts::of_http(Presented::Verified(&caller), Http::new("POST", target, "", "https", "HTTP/2", lines));
    let plan = Plan::new(PolicyDigest([0; 32]), reads.to_vec(), Rules::default());
    Gate::new(&revocations, &plan).admit(&facts, NOW).err().map(|it| it.reason)
}

#[test]
fn a_request_keeps_the_plan_it_was_admitted_under() {
    let (caller, plan, revocations) = (caller(), plan(), RevocationSet::default());
    let http = Http::new("GET", "/", "", "", "", &NoHeaders);
    let facts = Facts::of_http(Presented::Verified(&caller), http);
    let admitted = Gate::new(&revocations, &plan).admit(&facts, NOW).unwrap();
    assert_eq!(admitted.plan(), &plan);
    assert_eq!(admitted.caller().unwrap().credential(), caller.credential());
}

#[test]
fn headers_that_may_be_there_once_are_refused_twice_whoever_reads_them() {
    let caller = caller();
    let cases: [(Lines, bool); 5] = [
        (vec![("authorization", b"a"), ("content-type", b"b"), ("host", b"c"), ("origin", b"d")], true),
        (vec![("authorization", b"a"), ("authorization", b"a")], false),
        (vec![("content-type", b"a"), ("x", b"1"), ("content-type", b"b")], false),
        (vec![("cookie", b"a"), ("cookie", b"b")], true),
        (vec![("authorization", b"\xff")], true),
    ];
    for (lines, passes) in cases {
        let facts = Facts::of_http(Presented::Verified(&caller), http(&lines));
        let reason = admit(&facts, Rules::default(), &RevocationSet::default());
        assert_eq!(reason, (!passes).then_some(Reason::HeaderAmbiguous), "{lines:?}");
    }
}

fn admit(facts: &Facts<'_>, rules: Rules, revocations: &RevocationSet) -> Option<Reason> {
    let plan = Plan::new(PolicyDigest([0; 32]), [Read::Path], rules);
    Gate::new(revocations, &plan).admit(facts, NOW).err().map(|it| it.reason)
}

#[test]
fn a_revoked_workload_behind_the_caller_denies_with_a_reason_of_its_own() {
    let (caller, lines) = (caller(), Lines::new());
    let mut revocations = RevocationSet::default();
    revocations.revoke(&"spiffe-id:spiffe://demo.test/origin".parse().unwrap(), Mark::FOREVER);
    let chains = [vec!["/gateway"], vec!["/origin"], vec!["/gateway", "/origin"], vec!["/origin", "/gateway"]];
    for hops in chains {
        let is_in = hops.contains(&"/origin");
        let chain = Chain::new(hops.iter().map(|path| workload(path)).collect(), Reach::Origin);
        let facts = Facts { chain: &chain, ..Facts::of_http(Presented::Verified(&caller), http(&lines)) };
        let plan = plan();
        let denial = Gate::new(&revocations, &plan).admit(&facts, NOW).err();
        let expected = is_in.then(|| "spiffe-id:spiffe://demo.test/origin".parse().unwrap());
        assert_eq!(denial.as_ref().map(|it| it.reason), is_in.then_some(Reason::HopRevoked), "{hops:?}");
        assert_eq!(denial.and_then(|it| it.scope), expected);
        assert_eq!(admit(&facts, Rules::default(), &RevocationSet::default()), None);
    }
}

#[test]
fn a_connection_needs_no_request() {
    let caller = caller();
    let any = Facts::of_http(Presented::Verified(&caller), Err(InvalidHttp::Method));
    let facts = Facts { asked: Asked::Connection, ..any };
    assert_eq!(admit(&facts, Rules::default(), &RevocationSet::default()), None);
    assert_eq!(admit(&any, Rules::default(), &RevocationSet::default()), Some(Reason::RequestMalformed));
    assert_eq!(admit(&facts, Rules::default(), &revoked()), Some(Reason::Revoked));
}

#[test]
fn who_proves_nothing_gets_to_policies_only_where_one_may_let_it_in_and_never_if_its_claim_is_revoked() {
    let lines = Lines::new();
    let claim = Claim::new(caller().credential().clone());
    let stranger = Unverified::new(Reason::CertificateExpired, Some(claim));
    let facts = Facts::of_http(Presented::Unverified(&stranger), http(&lines));
    let judged = Rules { judge_unverified: true, ..Rules::default() };
    let nothing = RevocationSet::default();
    assert_eq!(admit(&facts, Rules::default(), &nothing), Some(Reason::CertificateExpired));
    assert_eq!(admit(&facts, Rules::default(), &revoked()), Some(Reason::CertificateExpired));
    assert_eq!(admit(&facts, judged, &nothing), None);
    assert_eq!(admit(&facts, judged, &revoked()), Some(Reason::Revoked));
}

#[test]
fn path_parameters_are_refused_where_that_is_wanted() {
    let caller = caller();
    let strict = Rules { refuse_path_parameters: true, ..Rules::default() };
    for (path, has) in [("/a", false), ("/a;v=1", true), ("/a%3bb", true), ("/a%3Bb", true), ("/a?x;y", false)] {
        let http = Http::new("GET", path, "", "", "", &NoHeaders);
        let facts = Facts::of_http(Presented::Verified(&caller), http);
        let nothing = RevocationSet::default();
        assert_eq!(admit(&facts, Rules::default(), &nothing), None, "{path}");
        assert_eq!(admit(&facts, strict, &nothing), has.then_some(Reason::PathAmbiguous), "{path}");
    }
}

proptest! {
    #[test]
    fn who_is_revoked_never_passes_whatever_the_request_is(
        target in ".{0,12}", host in ".{0,8}", value in any::<Vec<u8>>(), now in 100..=200u64,
    ) {
        let (caller, plan, revocations) = (caller(), plan(), revoked());
        let lines = vec![("x-tenant", value)];
        let http = Http::new("GET", &target, &host, "https", "HTTP/2", &lines);
        let facts = Facts::of_http(Presented::Verified(&caller), http);
        let denial = Gate::new(&revocations, &plan).admit(&facts, Timestamp::from_millis(now)).err();
        prop_assert_eq!(denial.map(|it| it.reason), Some(Reason::Revoked));
    }
}
