//! What the gate costs: admission with and without revocations, one signal on a large set, one key. It measures; it asserts nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on stops")]
#![allow(clippy::trivially_copy_pass_by_ref, reason = "how arguments arrive is the framework's choice")]

use std::sync::Arc;

use authz_core::{
    facts::{Caller, Facts, Headers, Http, Presented},
    gate::Gate,
    hops::{Chain, Reach},
    identity::{Credential, Digest, IssuerSerial, PathPrefix, SpiffeId, TrustDomain},
    plan::{Plan, PolicyDigest, Read, Rules},
    revocation::{Mark, RevocationSet},
    scope::{Scope, ScopeKind},
    time::Timestamp,
};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// The gate alone, on facts that are parsed already.
#[divan::bench(args = [0, 1, 1_000, 100_000], sample_size = 2000)]
fn admit(bencher: Bencher, revoked: u64) {
    let (set, plan, caller) = (revocations(revoked), plan(), caller(WEB));
    let headers = headers();
    let facts = facts(&caller, &headers);
    bencher.bench_local(|| black_box(Gate::new(&set, &plan).admit(black_box(&facts), NOW)).is_ok());
}

/// The first request of a caller after a signal: every scope is looked up.
#[divan::bench(args = [1, 100_000], sample_size = 2000)]
fn admit_right_after_a_signal(bencher: Bencher, revoked: u64) {
    let (before, plan, caller) = (revocations(revoked), plan(), caller(WEB));
    let mut after = before.clone();
    after.revoke(&stranger(ScopeKind::SpiffeId, 1_000_000), Mark::FOREVER);
    let headers = headers();
    let facts = facts(&caller, &headers);
    let mut sets = [&before, &after].into_iter().cycle();
    bencher.bench_local(|| black_box(Gate::new(sets.next().unwrap(), &plan).admit(black_box(&facts), NOW)).is_ok());
}

/// The same with 10,000 callers in turn: nothing of theirs is in the processor's caches.
#[divan::bench(args = [0, 100_000], sample_size = 10_000, sample_count = 50)]
fn admit_ten_thousand_callers(bencher: Bencher, revoked: u64) {
    let (set, plan) = (revocations(revoked), plan());
    let callers: Vec<_> =
        (0..10_000).map(|n| caller(&format!("spiffe://demo.test/ns/shop{}/sa/web{n}", n % 50))).collect();
    let headers = headers();
    let first = caller(WEB);
    let any = facts(&first, &headers);
    let mut next = callers.iter().cycle();
    bencher.bench_local(|| {
        let facts = Facts { caller: Presented::Verified(next.next().unwrap()), ..any };
        black_box(Gate::new(&set, &plan).admit(black_box(&facts), NOW)).is_ok()
    });
}

/// The same, when all 100,000 are of one kind, as from a CRL.
#[divan::bench(args = ScopeKind::ALL, sample_size = 2000)]
fn admit_with_100_000_of_one_kind(bencher: Bencher, kind: &ScopeKind) {
    let mut set = RevocationSet::default();
    (0..100_000).for_each(|n| set.revoke(&stranger(*kind, n), Mark::FOREVER));
    let (plan, caller) = (plan(), caller(WEB));
    let headers = headers();
    let facts = facts(&caller, &headers);
    bencher.bench_local(|| black_box(Gate::new(&set, &plan).admit(black_box(&facts), NOW)).is_ok());
}

/// What a request pays before a cache is asked: reading HTTP, the gate, the key.
#[divan::bench(args = [0, 100_000], sample_size = 2000)]
fn read_admit_and_key(bencher: Bencher, revoked: u64) {
    let (set, plan, caller) = (revocations(revoked), plan(), caller(WEB));
    let headers = headers();
    let mut key = Vec::new();
    bencher.bench_local(|| {
        let facts = facts(&caller, black_box(&headers) as &dyn Headers);
        let admitted = Gate::new(&set, &plan).admit(&facts, NOW).expect("nobody revoked this caller");
        admitted.write_key(&mut key);
        black_box(&key).len()
    });
}

/// The same for a caller that forwards for two others, with policies that ask who began and how far trust reaches.
#[divan::bench(args = [0, 100_000], sample_size = 2000)]
fn read_admit_and_key_three_hops(bencher: Bencher, revoked: u64) {
    let (set, plan, caller) = (revocations(revoked), plan_of_hops(), caller(GATEWAY));
    let headers = headers();
    let chain = Chain::new(vec![self::caller(EDGE), self::caller(WEB)], Reach::Origin);
    let mut key = Vec::new();
    bencher.bench_local(|| {
        let facts = Facts { chain: black_box(&chain), ..facts(&caller, black_box(&headers) as &dyn Headers) };
        let admitted = Gate::new(&set, &plan).admit(&facts, NOW).expect("nobody revoked any of them");
        admitted.write_key(&mut key);
        black_box(&key).len()
    });
}

#[divan::bench]
fn write_key(bencher: Bencher) {
    let (set, plan, caller) = (RevocationSet::default(), plan(), caller(WEB));
    let headers = headers();
    let facts = facts(&caller, &headers);
    let admitted = Gate::new(&set, &plan).admit(&facts, NOW).expect("nobody is revoked");
    let mut key = Vec::new();
    bencher.bench_local(|| {
        black_box(&admitted).write_key(&mut key);
        black_box(&key).len()
    });
}

/// One signal, as the sidecar applies it: on a copy, while requests still hold the set it was copied from.
#[divan::bench(args = [0, 1_000, 100_000])]
fn revoke_one_while_a_clone_is_held(bencher: Bencher, revoked: u64) {
    let held = revocations(revoked);
    let mut number = 0;
    bencher
        .with_inputs(|| {
            number += 1;
            stranger(ScopeKind::SpiffeId, 1_000_000 + number)
        })
        .bench_local_refs(|scope| {
            let mut next = held.clone();
            next.revoke(scope, Mark::FOREVER);
            next
        });
}

#[divan::bench(args = [100_000])]
fn restore_one_while_a_clone_is_held(bencher: Bencher, revoked: u64) {
    let held = revocations(revoked);
    let scope = stranger(ScopeKind::Certificate, 0);
    bencher.bench_local(|| {
        let mut next = held.clone();
        next.restore(black_box(&scope));
        next
    });
}

#[divan::bench(args = [100_000], sample_count = 20)]
fn expire_when_nothing_is_over(bencher: Bencher, revoked: u64) {
    let mut set = revocations(revoked);
    bencher.bench_local(|| set.expire(NOW));
}

#[divan::bench(args = [100_000], sample_count = 20)]
fn build_from_nothing(revoked: u64) -> RevocationSet {
    revocations(revoked)
}

const WEB: &str = "spiffe://demo.test/ns/shop/sa/web";

const EDGE: &str = "spiffe://demo.test/gw/edge";
const GATEWAY: &str = "spiffe://demo.test/gw/mid";

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn caller(id: &str) -> Arc<Caller> {
    let credential = Credential::new(
        SpiffeId::parse(id).unwrap(),
        Digest::from_bytes([7; 32]),
        IssuerSerial::new("CN=demo", "7").unwrap(),
        Timestamp::from_secs(1_799_999_000),
        Timestamp::from_secs(1_800_003_600),
    );
    Caller::verified(credential.unwrap())
}

type Line = (&'static str, &'static str);

fn headers() -> Vec<Line> {
    let mut lines = vec![
        (":authority", "shop.demo.test"),
        (":method", "GET"),
        (":path", "/orders/4711/items?page=2"),
        (":scheme", "https"),
        ("accept", "*/*"),
        ("user-agent", "curl/8.14.1"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "2f6d6a6e-6e0c-4a6e-9d7c-4a4a4a4a4a4a"),
        ("x-tenant", "acme"),
    ];
    lines.extend([("x-filler", "0123456789abcdef"); 6]);
    lines
}

fn facts<'a>(caller: &'a Caller, headers: &'a dyn Headers) -> Facts<'a> {
    Facts::of_http(Presented::Verified(caller), Http::from_headers(headers, "HTTP/2"))
}

fn plan() -> Plan {
    Plan::new(PolicyDigest([1; 32]), [Read::Path, Read::Host, Read::Header("x-tenant".into())], Rules::default())
}

/// The same, and who stands behind the caller.
fn plan_of_hops() -> Plan {
    let reads = [Read::Path, Read::Host, Read::Header("x-tenant".into())];
    let of_hops = [Read::Origin, Read::HopCount, Read::HopsComplete];
    Plan::new(PolicyDigest([1; 32]), reads.into_iter().chain(of_hops), Rules::default())
}

/// Every kind alike, so that no lookup is spared; none of them is the caller.
fn revocations(count: u64) -> RevocationSet {
    let mut set = RevocationSet::default();
    let kinds = ScopeKind::ALL.iter().cycle();
    kinds.zip(0..count).for_each(|(kind, n)| set.revoke(&stranger(*kind, n), Mark::FOREVER));
    set
}

fn stranger(kind: ScopeKind, n: u64) -> Scope {
    let text = format!("spiffe://demo.test/ns/n{}/sa/s{n}", n % 100);
    match kind {
        ScopeKind::Agent | ScopeKind::Device | ScopeKind::Session | ScopeKind::Token => {
            format!("{}:{n}", kind.as_str()).parse().unwrap()
        }
        ScopeKind::Subject => Scope::subject("https://idp.test", &n.to_string()).unwrap(),
        ScopeKind::Certificate => {
            let mut bytes = [0; 32];
            bytes.iter_mut().zip(n.to_be_bytes()).for_each(|(to, from)| *to = from);
            Scope::certificate(&Digest::from_bytes(bytes))
        }
        ScopeKind::IssuerSerial => Scope::issuer_serial(&IssuerSerial::new("CN=demo", &format!("1{n:x}")).unwrap()),
        ScopeKind::PathPrefix => Scope::path_prefix(&PathPrefix::parse(&text).unwrap()),
        ScopeKind::SpiffeId => Scope::spiffe_id(&SpiffeId::parse(&text).unwrap()),
        ScopeKind::TrustDomain => Scope::trust_domain(&TrustDomain::parse(&format!("d{n}.test")).unwrap()),
    }
}
