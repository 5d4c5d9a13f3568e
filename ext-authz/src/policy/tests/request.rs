//! A request in one value, and what a policy set says to it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use authz_core::{
    decision::{Decision, DecisionId},
    facts::{Asked, Caller, Claim, Facts, Http, Presented, Unverified},
    gate::{Admitted, Gate},
    hops::{Chain, Reach},
    identity::{Credential, Digest, IssuerSerial, SpiffeId},
    plan::Plan,
    reason::Reason,
    revocation::RevocationSet,
    time::Timestamp,
};

use super::CompiledPolicies;

/// All facts of a request; the default is what most cases ask.
#[derive(Clone, Debug)]
pub struct TestRequest {
    pub caller: String,
    pub method: String,
    pub target: String,
    pub host: String,
    pub scheme: String,
    pub protocol: String,
    pub headers: Vec<(String, String)>,
    pub ip: Option<IpAddr>,
    pub sni: Option<String>,
    /// Who stands behind the caller, the nearest first.
    pub hops: Vec<String>,
    pub reach: Reach,
    pub destination: Option<SocketAddr>,
    /// Whether a connection is asked for, and not a request.
    pub connection: bool,
    /// Why the caller proves nothing, if so; it then only claims to be `caller`.
    pub unverified: Option<Reason>,
    /// The names its certificate then has.
    pub names: Vec<String>,
    /// When it is.
    pub now: Timestamp,
    /// From when until when the certificates of the caller and of those behind it are valid, the nearest first; where
    /// none is told, from 0 to [`NOT_AFTER`].
    pub validities: Vec<(Timestamp, Timestamp)>,
}

pub const NOW: Timestamp = Timestamp::from_secs(1_000);
pub const NOT_AFTER: Timestamp = Timestamp::from_secs(1_030);

impl Default for TestRequest {
    fn default() -> Self {
        Self {
            caller: "spiffe://td/ns/shop/sa/web".into(),
            method: "GET".into(),
            target: "/orders/1".into(),
            host: "cart.local".into(),
            scheme: "https".into(),
            protocol: "HTTP/2".into(),
            headers: vec![],
            ip: None,
            sni: None,
            hops: vec![],
            reach: Reach::Origin,
            destination: None,
            connection: false,
            unverified: None,
            names: vec![],
            now: NOW,
            validities: vec![],
        }
    }
}

fn workload(id: &str, (not_before, not_after): (Timestamp, Timestamp)) -> Arc<Caller> {
    let serial = IssuerSerial::new("CN=root", "1f").unwrap();
    let id = SpiffeId::parse(id).unwrap();
    Caller::verified(Credential::new(id, Digest::from_bytes([7; 32]), serial, not_before, not_after).unwrap())
}

impl TestRequest {
    /// Lets `judge` see the request as admitted under `plan`.
    pub fn admitted<T>(&self, plan: &Plan, judge: impl FnOnce(&Admitted<'_>) -> T) -> T {
        let caller = workload(&self.caller, self.validity(0));
        let stranger = self.unverified.map(|cause| {
            Unverified::new(cause, Some(Claim::new(caller.credential().clone()))).named(self.names.clone())
        });
        let presented = stranger.as_ref().map_or(Presented::Verified(&caller), Presented::Unverified);
        let hops = self.hops.iter().enumerate().map(|(at, id)| workload(id, self.validity(at + 1)));
        let chain = Chain::new(hops.collect(), self.reach);
        let http =
            Http::new(&self.method, &self.target, &self.host, &self.scheme, &self.protocol, &self.headers).unwrap();
        let facts = Facts {
            caller: presented,
            chain: &chain,
            asked: if self.connection { Asked::Connection } else { Asked::Http(Ok(http)) },
            source_ip: self.ip,
            destination: self.destination,
            sni: self.sni.as_deref(),
        };
        let revocations = RevocationSet::default();
        judge(&Gate::new(&revocations, plan).admit(&facts, self.now).unwrap())
    }

    /// From when until when the certificate of the caller (0) or of one behind it is valid.
    pub fn validity(&self, at: usize) -> (Timestamp, Timestamp) {
        self.validities.get(at).copied().unwrap_or((Timestamp::from_millis(0), NOT_AFTER))
    }

    pub fn decide(&self, policies: &CompiledPolicies) -> Decision {
        self.admitted(policies.plan(), |admitted| policies.evaluate(admitted, DecisionId(1), self.now))
    }

    pub fn key(&self, policies: &CompiledPolicies) -> Vec<u8> {
        let mut key = Vec::new();
        self.admitted(policies.plan(), |admitted| admitted.write_key(policies.question(admitted).reading(), &mut key));
        key
    }
}

/// What matters of a decision, as text: `reason by policy, policy`.
pub fn said(decision: &Decision) -> String {
    match decision.policies.len() {
        0 => decision.reason.to_string(),
        _ => format!("{} by {}", decision.reason, decision.policies.join(", ")),
    }
}
