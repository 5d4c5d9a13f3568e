//! What a signal costs a filter that knows many callers and has many streams open, and what a hit costs it. It measures; it asserts nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot go on stops")]

use std::cell::Cell;

use authz_core::{identity::Digest, time::Timestamp};
use authz_wire::link;
use divan::{Bencher, black_box};
use prost::Message;
use wasm_filter::{Answer, Arrival, Config, Identity, Machine, Next, Peer, Question, Subject, Wanted};

fn main() {
    divan::main();
}

const NOW: Timestamp = Timestamp::from_secs(1_000);
const PLAN: [u8; 32] = [7; 32];

/// A revocation that concerns nobody here.
#[divan::bench(args = [100, 1_000, 10_000], sample_size = 20)]
fn revoke_nobody(bencher: Bencher, callers: u32) {
    let mut machine = knowing(callers);
    let seq = Cell::new(1);
    bencher.bench_local(|| revoke(&mut machine, &seq, "spiffe-id:spiffe://example.org/ns/else/sa/x"));
}

/// A revocation of one caller with one decision and one open stream; each time another one.
#[divan::bench(args = [3_000, 10_000], sample_count = 100, sample_size = 20)]
fn revoke_one(bencher: Bencher, callers: u32) {
    let mut machine = knowing(callers);
    let seq = Cell::new(1);
    bencher.bench_local(|| {
        let scope = format!("spiffe-id:{}", id(u32::try_from(seq.get()).unwrap()));
        revoke(&mut machine, &seq, &scope);
    });
}

/// A request that memory answers, from its beginning to its end.
#[divan::bench(args = [100, 10_000], sample_size = 100)]
fn hit(bencher: Bencher, callers: u32) {
    let mut machine = knowing(callers);
    let headers = get();
    bencher.bench_local(|| {
        let asked = Wanted::Request { headers: black_box(&headers), protocol: "" };
        let arrival = Arrival { stream: u32::MAX, connection: 7, asked };
        let Some(Answer::Allow(..)) = machine.recall(&arrival, NOW) else { panic!("no hit") };
        machine.closed(u32::MAX);
    });
}

/// A machine under a lease that knows so many callers, each with a decision and an open stream.
fn knowing(callers: u32) -> Machine {
    let config = Config { max_callers: 20_000, max_connections: 20_000, max_decisions: 20_000, ..Config::default() };
    let mut machine = Machine::new(&config, Identity { instance: [9; 16], node: "bench".into() });
    machine.tick(NOW);
    let plan = link::Plan { digest: PLAN.to_vec(), reads: vec!["path".into()], operations: vec![] };
    let lease = Some(link::Lease { beat: 1, ttl_ms: 1_000_000 });
    let update = link::Update { plan: Some(plan), resync: true, seq: 1, lease, ..Default::default() };
    machine.update(&update.encode_to_vec(), NOW);
    for n in 0..callers {
        let peer = Peer { digest: Some(digest(n)), ..Peer::default() };
        machine.meet(u64::from(n), peer);
        let subject = Subject::Request { headers: get(), protocol: String::new() };
        machine.ask(Question { stream: n, connection: u64::from(n), subject, peer_certificate: Vec::new() });
        let Next::Answer(Answer::Allow(..)) = machine.answered(n, Some(&allow(n)), NOW) else { panic!("not allowed") };
    }
    machine
}

fn revoke(machine: &mut Machine, seq: &Cell<u64>, scope: &str) {
    seq.set(seq.get() + 1);
    let (seq, scope) = (seq.get(), scope.to_owned());
    let revoke = link::Invalidation { seq, scope, revoke: true, issued_before_ms: u64::MAX, expires_at_ms: u64::MAX };
    let update = link::Update { invalidations: vec![revoke], seq, ..Default::default() };
    black_box(machine.update(&update.encode_to_vec(), NOW));
}

fn allow(n: u32) -> Vec<u8> {
    let decision = link::Decision {
        id: u128::from(n).to_be_bytes().to_vec(),
        verdict: link::Verdict::Allow.into(),
        reason: "permit".into(),
        policies: Vec::new(),
        holds_until_ms: u64::MAX,
    };
    let caller = link::Caller {
        spiffe_id: id(n),
        digest: digest(n).as_bytes().to_vec(),
        issuer: "CN=root".into(),
        serial: format!("{:x}", n + 1),
        not_before_ms: 0,
        not_after_ms: u64::MAX,
    };
    let chain = link::Chain { hops: Vec::new(), reach: "origin".into() };
    link::DecideResponse {
        decision: Some(decision),
        caller: Some(caller),
        seq: 1,
        plan: PLAN.to_vec(),
        cacheable: true,
        chain: Some(chain),
        reading: Some(link::Reading::default()),
    }
    .encode_to_vec()
}

fn id(n: u32) -> String {
    format!("spiffe://example.org/ns/n{}/sa/w{n}", n % 50)
}

fn digest(n: u32) -> Digest {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes());
    bytes[4..8].copy_from_slice(&n.to_be_bytes());
    Digest::from_bytes(bytes)
}

fn get() -> Vec<(String, Vec<u8>)> {
    let lines = [(":method", "GET"), (":path", "/orders/7"), (":authority", "orders"), (":scheme", "https")];
    lines.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into()
}
