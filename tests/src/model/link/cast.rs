//! Who and what takes part: one caller with one certificate, somebody else, the messages about them; it knows no state.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use authz_core::{
    facts::Caller,
    identity::{Credential, Digest, IssuerSerial, SpiffeId},
    revocation::Mark,
    signal::{Action, Outcome, Seq, Signal},
    time::Timestamp,
};
use authz_wire::link;
use countersign::{
    filters::session::Terms,
    signals::{Entry, Fingerprint, History},
};

use super::bounds::Said;

/// A second of the model; the product counts in milliseconds.
pub(super) const SECOND: u64 = 1000;
/// What the sidecar counts with, and what a filter is told: its clock may stand still for a second meanwhile.
pub(super) const TERMS: Terms = Terms { lease: Duration::from_secs(3), ttl: Duration::from_secs(2) };
/// The name of policies and bundles, which never change here.
pub(super) const BASIS: [u8; 32] = [7; 32];
/// The one connection that requests come by.
pub(super) const CONNECTION: u64 = 1;

static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
static CALLER: LazyLock<Arc<Caller>> = LazyLock::new(|| {
    let issued_by = IssuerSerial::new("CN=root", "2").unwrap();
    let id = SpiffeId::parse("spiffe://td/a").unwrap();
    let credential = Credential::new(id, digest(), issued_by, Timestamp::from_millis(1), Timestamp::NEVER).unwrap();
    Caller::verified(credential)
});

/// A moment of the sidecar's clock.
pub(super) fn instant(now: u64) -> Instant {
    *BEGINNING + Duration::from_millis(now)
}

/// A moment of the filter's clock, which is nowhere near the sidecar's.
pub(super) fn timestamp(now: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + now)
}

pub(super) fn caller() -> &'static Caller {
    &CALLER
}

pub(super) fn digest() -> Digest {
    Digest::from_bytes([1; 32])
}

pub(super) fn headers() -> Vec<(String, Vec<u8>)> {
    let lines = [(":method", "GET"), (":path", "/x"), (":authority", "a.test"), (":scheme", "https")];
    lines.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into()
}

pub(super) fn plan() -> link::Plan {
    link::Plan { digest: Vec::new(), reads: vec!["path".to_owned()], operations: vec![] }
}

/// The entry at `seq` as the sidecar has it.
pub(super) fn entry(seq: u64, said: Said) -> Entry {
    let (scope, action) = match said {
        Said::Restore => ("spiffe-id:spiffe://td/a", Action::Restore),
        Said::Revoke => ("spiffe-id:spiffe://td/a", Action::Revoke(Mark::FOREVER)),
        Said::RevokeOther => ("spiffe-id:spiffe://td/b", Action::Revoke(Mark::FOREVER)),
    };
    let signal = Signal {
        id: seq.to_string().into(),
        scope: scope.parse().unwrap(),
        action,
        who: "".into(),
        why: "".into(),
        source: "".into(),
        at: timestamp(0),
        event_at: None,
    };
    Entry { seq: Seq(seq), signal: Arc::new(signal), received: instant(0), outcome: Outcome::Unchanged }
}

/// What the sidecar answers about the caller's requests at `seq`.
pub(super) fn decision(seq: u64, revoked: bool) -> link::DecideResponse {
    let (verdict, reason) = if revoked { (link::Verdict::Deny, "revoked") } else { (link::Verdict::Allow, "permit") };
    let decision = link::Decision {
        id: vec![u8::from(revoked); 16],
        verdict: verdict.into(),
        reason: reason.to_owned(),
        policies: Vec::new(),
        holds_until_ms: u64::MAX,
    };
    let credential = caller().credential();
    let caller = link::Caller {
        spiffe_id: credential.id().as_str().to_owned(),
        digest: credential.digest().as_bytes().to_vec(),
        issuer: credential.issued_by().issuer().to_owned(),
        serial: credential.issued_by().serial().to_owned(),
        not_before_ms: credential.not_before().as_millis(),
        not_after_ms: credential.not_after().as_millis(),
    };
    link::DecideResponse {
        decision: Some(decision),
        caller: Some(caller),
        seq,
        plan: BASIS.to_vec(),
        cacheable: !revoked,
        chain: Some(link::Chain { hops: Vec::new(), reach: "origin".to_owned() }),
        reading: Some(link::Reading::default()),
    }
}

/// Whether the caller is revoked after these entries.
pub(super) fn revoked(log: &[Said]) -> bool {
    log.iter().fold(false, |revoked, said| match said {
        Said::Restore => false,
        Said::Revoke => true,
        Said::RevokeOther => revoked,
    })
}

/// What the log says of its past: a name for each of its beginnings.
pub(super) struct Past<'l>(pub &'l [Said]);

impl History for Past<'_> {
    fn head(&self) -> Seq {
        Seq(self.0.len() as u64)
    }

    fn fingerprint(&self, seq: Seq) -> Option<Fingerprint> {
        let entries = self.0.get(..usize::try_from(seq.0).ok()?)?;
        let mut name = [0; 32];
        for (byte, said) in name.iter_mut().zip(entries) {
            *byte = 1 + *said as u8;
        }
        Some(Fingerprint::from_bytes(name))
    }
}
