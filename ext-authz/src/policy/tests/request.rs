//! A request in one value, and what a policy set says to it.

use std::net::IpAddr;

use authz_core::{
    decision::{Decision, DecisionId},
    facts::{Caller, Facts, Http, Presented},
    gate::{Admitted, Gate},
    identity::{Credential, Digest, IssuerSerial, SpiffeId},
    plan::Plan,
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
        }
    }
}

impl TestRequest {
    /// Lets `judge` see the request as admitted under `plan`.
    pub fn admitted<T>(&self, plan: &Plan, judge: impl FnOnce(&Admitted<'_>) -> T) -> T {
        let caller = Caller::verified(
            Credential::new(
                SpiffeId::parse(&self.caller).unwrap(),
                Digest::from_bytes([7; 32]),
                IssuerSerial::new("CN=root", "1f").unwrap(),
                Timestamp::from_millis(0),
                NOT_AFTER,
            )
            .unwrap(),
        );
        let http =
            Http::new(&self.method, &self.target, &self.host, &self.scheme, &self.protocol, &self.headers).unwrap();
        let facts = Facts {
            caller: Presented::Verified(&caller),
            http: Ok(http),
            source_ip: self.ip,
            sni: self.sni.as_deref(),
        };
        let revocations = RevocationSet::default();
        judge(&Gate::new(&revocations, plan).admit(&facts, NOW).unwrap())
    }

    pub fn decide(&self, policies: &CompiledPolicies) -> Decision {
        self.admitted(policies.plan(), |admitted| policies.evaluate(admitted, DecisionId(1), NOW))
    }

    pub fn key(&self, policies: &CompiledPolicies) -> Vec<u8> {
        let mut key = Vec::new();
        self.admitted(policies.plan(), |admitted| admitted.write_key(&mut key));
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
