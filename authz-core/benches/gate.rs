//! What the gate costs: admission with and without revocations, one signal on a large set, one key. It measures; it asserts nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on stops")]
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "unlike the core, what measures it knows its process, and says what it found"
)]
#![allow(clippy::trivially_copy_pass_by_ref, reason = "how arguments arrive is the framework's choice")]

use std::sync::Arc;

use authz_core::{
    facts::{Caller, Facts, Headers, Http, Presented},
    gate::Gate,
    hops::{Chain, Reach},
    identity::{Credential, Digest, IssuerSerial, PathPrefix, SpiffeId, TrustDomain},
    plan::{Plan, PolicyDigest, Read, Rules},
    reading::Reading,
    revocation::{Mark, RevocationSet},
    scope::{Scope, ScopeKind},
    signal::{Action, Seq, Signal},
    time::Timestamp,
};
use divan::{Bencher, black_box};

fn main() {
    // Only where everything is run: a filter asks for something else.
    if !std::env::args().skip(1).any(|arg| !arg.starts_with('-')) {
        [1_000, 100_000, 1_000_000].into_iter().for_each(print_memory);
    }
    divan::main();
}

/// What a set takes from the system, texts of its scopes and allocator's losses included.
fn print_memory(count: u64) {
    let before = resident_bytes();
    let set = revocations(count);
    let bytes = resident_bytes().saturating_sub(before);
    println!("{} live revocations take {} KiB, {} bytes each", set.len(), bytes / 1024, bytes / count);
    black_box(set);
}

/// Linux only; elsewhere 0.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

/// The gate alone, on facts that are parsed already.
#[divan::bench(args = [0, 1, 1_000, 100_000, 1_000_000], sample_size = 2000)]
fn admit(bencher: Bencher, revoked: u64) {
    let (set, plan, caller) = (revocations(revoked), plan(), caller(WEB));
    let headers = headers();
    let facts = facts(&caller, &headers);
    bencher.bench_local(|| black_box(Gate::new(&set, &plan).admit(black_box(&facts), NOW)).is_ok());
}

/// A caller that is revoked, by its ID: never remembered, its scopes are looked up each time.
#[divan::bench(args = [1, 1_000, 100_000, 1_000_000], sample_size = 2000)]
fn refuse_a_revoked_caller(bencher: Bencher, revoked: u64) {
    let (mut set, plan, caller) = (revocations(revoked), plan(), caller(WEB));
    set.revoke(&format!("spiffe-id:{WEB}").parse().unwrap(), Mark::FOREVER);
    let headers = headers();
    let facts = facts(&caller, &headers);
    bencher.bench_local(|| black_box(Gate::new(&set, &plan).admit(black_box(&facts), NOW)).is_err());
}

/// The first request of a caller after a signal: every scope is looked up.
#[divan::bench(args = [1, 1_000, 100_000, 1_000_000], sample_size = 2000)]
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
#[divan::bench(args = [0, 100_000, 1_000_000], sample_size = 10_000, sample_count = 50)]
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
    let (reading, mut key) = (reading(&plan), Vec::new());
    bencher.bench_local(|| {
        let facts = facts(&caller, black_box(&headers) as &dyn Headers);
        let admitted = Gate::new(&set, &plan).admit(&facts, NOW).expect("nobody revoked this caller");
        admitted.write_key(&reading, &mut key);
        black_box(&key).len()
    });
}

/// The same for a caller that forwards for two others, with policies that ask who began and how far trust reaches.
#[divan::bench(args = [0, 100_000], sample_size = 2000)]
fn read_admit_and_key_three_hops(bencher: Bencher, revoked: u64) {
    let (set, plan, caller) = (revocations(revoked), plan_of_hops(), caller(GATEWAY));
    let headers = headers();
    let chain = Chain::new(vec![self::caller(EDGE), self::caller(WEB)], Reach::Origin);
    let (reading, mut key) = (reading(&plan), Vec::new());
    bencher.bench_local(|| {
        let facts = Facts { chain: black_box(&chain), ..facts(&caller, black_box(&headers) as &dyn Headers) };
        let admitted = Gate::new(&set, &plan).admit(&facts, NOW).expect("nobody revoked any of them");
        admitted.write_key(&reading, &mut key);
        black_box(&key).len()
    });
}

#[divan::bench]
fn write_key(bencher: Bencher) {
    let (set, plan, caller) = (RevocationSet::default(), plan(), caller(WEB));
    let headers = headers();
    let facts = facts(&caller, &headers);
    let admitted = Gate::new(&set, &plan).admit(&facts, NOW).expect("nobody is revoked");
    let (reading, mut key) = (reading(&plan), Vec::new());
    bencher.bench_local(|| {
        black_box(&admitted).write_key(&reading, &mut key);
        black_box(&key).len()
    });
}

/// One signal, as the sidecar applies it: on a copy, while requests still hold the set it was copied from.
#[divan::bench(args = [0, 1_000, 100_000, 1_000_000])]
fn apply_one(bencher: Bencher, revoked: u64) {
    let held = revocations(revoked);
    let mut number = 1_000_000;
    let fresh = || {
        number += 1;
        (Seq(number), signal(number, Action::Revoke(Mark::FOREVER)))
    };
    bencher.with_inputs(fresh).bench_local_refs(|(seq, signal)| {
        let mut next = held.clone();
        next.apply(*seq, signal);
        next
    });
}

/// As many signals as share one fsync, which take effect together.
#[divan::bench(args = [0, 1_000, 100_000, 1_000_000], sample_size = 1, sample_count = 20)]
fn apply_a_batch_of_1024(bencher: Bencher, revoked: u64) {
    let held = revocations(revoked);
    let batch: Vec<_> = (1_000_000..1_001_024).map(|number| signal(number, Action::Revoke(Mark::FOREVER))).collect();
    bencher.bench_local(|| {
        let mut next = held.clone();
        (1_000_000..).zip(&batch).for_each(|(seq, signal)| _ = next.apply(Seq(seq), signal));
        next
    });
}

#[divan::bench(args = [1_000, 100_000, 1_000_000])]
fn apply_one_restore(bencher: Bencher, revoked: u64) {
    let held = revocations(revoked);
    let restore = signal(0, Action::Restore);
    bencher.bench_local(|| {
        let mut next = held.clone();
        next.apply(Seq(2_000_000), black_box(&restore));
        next
    });
}

#[divan::bench(args = [100_000, 1_000_000], sample_count = 20)]
fn expire_when_nothing_is_over(bencher: Bencher, revoked: u64) {
    let mut set = revocations(revoked);
    bencher.bench_local(|| set.expire(NOW));
}

/// What ends while so many others do not.
#[divan::bench(args = [100_000, 1_000_000], sample_size = 1, sample_count = 20)]
fn expire_a_thousand(bencher: Bencher, revoked: u64) {
    let mut held = revocations(revoked);
    let over = Mark { expires_at: NOW, ..Mark::FOREVER };
    (0..1_000).for_each(|n| held.revoke(&stranger(ScopeKind::SpiffeId, 2_000_000 + n), over));
    bencher.with_inputs(|| held.clone()).bench_local_refs(|set| assert_eq!(set.expire(NOW), 1_000));
}

/// All positions that still matter, as a compaction of the log asks.
#[divan::bench(args = [100_000, 1_000_000], sample_count = 10)]
fn walk_all_positions(bencher: Bencher, revoked: u64) {
    let set = revocations(revoked);
    bencher.bench_local(|| set.positions().map(|seq| seq.0).sum::<u64>());
}

/// As a replay of the log does: batch after batch, each on a copy of what requests see.
#[divan::bench(args = [100_000, 1_000_000], sample_size = 1, sample_count = 3)]
fn replay(bencher: Bencher, count: u64) {
    let signals: Vec<_> = (1..=count).map(|number| signal(number, Action::Revoke(Mark::FOREVER))).collect();
    bencher.bench_local(|| {
        let mut seen = RevocationSet::default();
        let mut seqs = (1..).map(Seq);
        for batch in signals.chunks(1024) {
            let mut next = seen.clone();
            for signal in batch {
                next.apply(seqs.next().unwrap(), signal);
            }
            seen = next;
        }
        seen
    });
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

/// Everything whole.
fn reading(plan: &Plan) -> Reading {
    Reading::of(plan.reads().iter().cloned().collect())
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

/// About one of the above, or one more.
fn signal(number: u64, action: Action) -> Signal {
    let kinds = u64::try_from(ScopeKind::ALL.len()).unwrap();
    let kind = ScopeKind::ALL[usize::try_from(number % kinds).unwrap()];
    Signal {
        id: "bench".into(),
        scope: stranger(kind, number),
        action,
        who: "bench".into(),
        why: "bench".into(),
        source: "".into(),
        at: NOW,
        event_at: None,
    }
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
