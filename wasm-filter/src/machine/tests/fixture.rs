//! Callers, scopes and messages for tests: certificate `n` has digest `[n; 32]` and is issued at moment `n`.

use std::sync::Arc;

use authz_core::{
    facts::Caller,
    identity::{Credential, Digest, IssuerSerial, SpiffeId},
    scope::Scope,
    time::Timestamp,
};
use authz_wire::link;

/// The policy set of the tests.
pub const PLAN: [u8; 32] = [7; 32];

/// `spiffe://td<path>`, by certificate `n`.
pub fn caller(path: &str, n: u8) -> Arc<Caller> {
    let issued_by = IssuerSerial::new("CN=root", &format!("{:x}", u32::from(n) + 1)).unwrap();
    let (not_before, not_after) = (Timestamp::from_millis(u64::from(n)), Timestamp::NEVER);
    let id = SpiffeId::parse(&format!("spiffe://td{path}")).unwrap();
    let credential = Credential::new(id, Digest::from_bytes([n; 32]), issued_by, not_before, not_after);
    Caller::verified(credential.unwrap())
}

/// The scope of `spiffe://td<path>`.
pub fn scope(path: &str) -> Scope {
    format!("spiffe-id:spiffe://td{path}").parse().unwrap()
}

/// An allow that can be kept for ever.
pub fn allow(path: &str, n: u8, seq: u64) -> link::DecideResponse {
    respond(path, n, seq, link::Verdict::Allow, "permit")
}

/// A denial by policy that can be kept for ever.
pub fn deny(path: &str, n: u8, seq: u64) -> link::DecideResponse {
    respond(path, n, seq, link::Verdict::Deny, "no_permit")
}

/// Nobody behind the caller.
pub fn direct() -> link::Chain {
    link::Chain { hops: Vec::new(), reach: "origin".into() }
}

fn respond(path: &str, n: u8, seq: u64, verdict: link::Verdict, reason: &str) -> link::DecideResponse {
    let decision = link::Decision {
        id: vec![n; 16],
        verdict: i32::from(verdict),
        reason: reason.into(),
        policies: Vec::new(),
        holds_until_ms: u64::MAX,
    };
    let caller = caller(path, n);
    let credential = caller.credential();
    let caller = link::Caller {
        spiffe_id: credential.id().as_str().into(),
        digest: credential.digest().as_bytes().to_vec(),
        issuer: credential.issued_by().issuer().into(),
        serial: credential.issued_by().serial().into(),
        not_before_ms: credential.not_before().as_millis(),
        not_after_ms: credential.not_after().as_millis(),
    };
    link::DecideResponse {
        decision: Some(decision),
        caller: Some(caller),
        seq,
        plan: PLAN.to_vec(),
        cacheable: true,
        chain: Some(direct()),
        reading: Some(whole(&["header:x-tenant", "path"])),
    }
}

/// A reading in which these facts are as they are.
pub fn whole(reads: &[&str]) -> link::Reading {
    let whole = |read: &&str| link::Use { read: (*read).into(), whole: true, tests: Vec::new() };
    link::Reading { uses: reads.iter().map(whole).collect() }
}
