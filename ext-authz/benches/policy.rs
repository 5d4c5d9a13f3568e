//! What a fresh decision costs, by how many policies exist for other callers, against Cedar over all of them; and what compiling costs. It measures; it asserts nothing.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use std::{fmt::Write, sync::Arc};

use authz_core::{
    decision::DecisionId,
    facts::{Caller, Facts, Http, Presented},
    gate::Gate,
    identity::{Credential, Digest, IssuerSerial, SpiffeId},
    revocation::RevocationSet,
    time::Timestamp,
};
use cedar_policy::{Authorizer, Context, Entities, EntityUid, PolicySet, Request};
use countersign::policy::{CompiledPolicies, Source, Sources, TimeZone, compile};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

const NOW: Timestamp = Timestamp::from_secs(1_000);
const CALLER: &str = "spiffe://example.org/ns/shop/sa/w5";

/// A miss of the decision cache for a caller seen before.
#[divan::bench(args = [10, 100, 1_000, 10_000], sample_size = 100)]
fn evaluate(bencher: Bencher, policies: usize) {
    let set = compiled(policies);
    decide(bencher, &set, &[caller(CALLER)]);
}

/// The same for callers never seen before.
#[divan::bench(args = [10, 10_000], sample_size = 10)]
fn evaluate_for_new_callers(bencher: Bencher, policies: usize) {
    let set = compiled(policies);
    let callers: Vec<_> = (0..100_000).map(|at| caller(&format!("spiffe://example.org/ns/shop/sa/n{at}"))).collect();
    decide(bencher, &set, &callers);
}

/// What Cedar takes without an index.
#[divan::bench(args = [10, 100, 1_000, 10_000])]
fn plain_cedar(bencher: Bencher, policies: usize) {
    let set: PolicySet = text(policies).parse().unwrap();
    let uid = |text: &str| text.parse::<EntityUid>().unwrap();
    let (principal, action) = (uid(&format!("Workload::\"{CALLER}\"")), uid("Action::\"GET\""));
    let request = Request::new(principal, action, uid("Service::\"cart\""), Context::empty(), None).unwrap();
    let (authorizer, entities) = (Authorizer::new(), Entities::empty());
    bencher.bench_local(|| authorizer.is_authorized(black_box(&request), &set, &entities).decision());
}

#[divan::bench(args = [10, 1_000, 10_000], sample_count = 5, sample_size = 1)]
fn compile_a_set(bencher: Bencher, policies: usize) {
    let sources = sources(policies);
    bencher.bench_local(|| compile(black_box(&sources)).is_ok());
}

/// The same with so many workloads in the entities file, each in a group.
#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 3, sample_size = 1)]
fn load_entities(bencher: Bencher, entities: usize) {
    let mut text = String::from("[");
    for at in 0..entities {
        let (namespace, group) = (at % 1_000, at % 100);
        let _ = writeln!(
            text,
            r#"{{"uid": {{"type": "Workload", "id": "spiffe://example.org/ns/n{namespace}/sa/w{at}"}}, "attrs": {{}}, "parents": [{{"type": "WorkloadGroup", "id": "g{group}"}}]}},"#
        );
    }
    text.push_str(r#"{"uid": {"type": "WorkloadGroup", "id": "g0"}, "attrs": {}, "parents": []}]"#);
    let sources = Sources { entities: Some(Source { name: "bench.json".into(), text }), ..sources(10) };
    assert!(compile(&sources).is_ok());
    bencher.bench_local(|| compile(black_box(&sources)).is_ok());
}

fn decide(bencher: Bencher, set: &CompiledPolicies, callers: &[Arc<Caller>]) {
    let (revocations, headers) = (RevocationSet::default(), Vec::<(String, String)>::new());
    let mut callers = callers.iter().cycle();
    bencher.bench_local(|| {
        let http = Http::new("GET", "/orders/1", "cart", "https", "HTTP/2", &headers);
        let caller = Presented::Verified(callers.next().unwrap());
        let facts = Facts::of_http(caller, http);
        let admitted = Gate::new(&revocations, set.plan()).admit(&facts, NOW).unwrap();
        set.evaluate(black_box(&admitted), DecisionId(1), NOW)
    });
}

fn compiled(policies: usize) -> CompiledPolicies {
    compile(&sources(policies)).unwrap()
}

fn sources(policies: usize) -> Sources {
    Sources {
        policies: vec![Source { name: "bench.cedar".into(), text: text(policies) }],
        schema: None,
        schema_extensions: vec![],
        entities: None,
        service: "cart".into(),
        limit_millis: 60_000,
        deny_limit_millis: 5_000,
        refuse_path_parameters: false,
        time_zone: TimeZone::utc(),
    }
}

/// Policies as in a mesh: one per workload, and the same one rule for the namespace.
fn text(policies: usize) -> String {
    let mut text = String::from(
        "forbid(principal, action, resource) when { principal == Workload::\"spiffe://example.org/evil\" };\n",
    );
    for at in 1..policies {
        let _ = writeln!(
            text,
            "permit(principal == Workload::\"spiffe://example.org/ns/shop/sa/w{at}\", action in Action::\"read\", resource == Service::\"cart\");"
        );
    }
    text
}

fn caller(id: &str) -> Arc<Caller> {
    let issuer = IssuerSerial::new("CN=root", "1f").unwrap();
    let (id, digest) = (SpiffeId::parse(id).unwrap(), Digest::from_bytes([7; 32]));
    let credential = Credential::new(id, digest, issuer, Timestamp::from_secs(0), Timestamp::from_secs(9_000));
    Caller::verified(credential.unwrap())
}
