//! The desk every door of the request path brings its requests to: identify, decide, note; it knows no transport.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use authz_core::{
    facts::{self, Caller, Claim, Facts, Presented, Unverified},
    hops::Chain,
    time::Timestamp,
};
use tracing::debug;

use crate::{
    audit::{Audit, DecisionRecord, Record, RequestLine, UnverifiedRecord},
    check::{Checker, Outcome},
    identity::{Identified, PresentedCertificate, Refusal},
    metrics::{Metrics, Mode},
};

/// One per sidecar.
pub struct Desk {
    /// Decides.
    pub checker: Arc<Checker>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Records.
    pub audit: Audit,
    /// The service whose requests are decided.
    pub service: Arc<str>,
}

/// One request as a door read it.
pub struct Asked<'a> {
    /// By which door it came.
    pub mode: Mode,
    /// What the hop presented.
    pub certificate: PresentedCertificate<'a>,
    /// What is asked for.
    pub asked: facts::Asked<'a>,
    /// Address of the other end.
    pub source_ip: Option<IpAddr>,
    /// Address it connected to.
    pub destination: Option<SocketAddr>,
    /// TLS server name.
    pub sni: Option<&'a str>,
    /// What of the request is kept for audit.
    pub line: RequestLine,
}

/// One answered request.
pub struct Answered {
    /// What was decided.
    pub outcome: Outcome,
    /// Who was proven to ask, or why nobody.
    pub identity: Result<Identified, Refusal>,
}

impl Answered {
    /// The verified caller, if there is one.
    pub fn caller(&self) -> Option<&Arc<Caller>> {
        self.identity.as_ref().ok().map(Identified::caller)
    }
}

impl Desk {
    /// Decides one request, counts it and records it; never waits and never fails.
    pub fn answer(&self, asked: Asked<'_>, now: Timestamp) -> Answered {
        let started = Instant::now();
        let identity = self.checker.identify(&asked.certificate, now);
        let stranger;
        let (caller, chain) = match &identity {
            Ok(identified) => (Presented::Verified(identified.caller()), identified.chain()),
            Err(refusal) => {
                let claim = refusal.claim().cloned().map(Claim::new);
                stranger = Unverified::new(refusal.reason(), claim).named(refusal.names());
                (Presented::Unverified(&stranger), Chain::direct())
            }
        };
        let Asked { mode, asked, source_ip, destination, sni, line, .. } = asked;
        let facts = Facts { caller, chain, asked, source_ip, destination, sni };
        let outcome = self.checker.decide(&facts, now);
        let answered = Answered { outcome, identity };
        self.metrics.decided(
            mode,
            answered.outcome.source,
            &answered.outcome.decision,
            started.elapsed().as_secs_f64(),
        );
        self.record(&answered, (mode, line), (source_ip, destination), now);
        answered
    }

    fn record(
        &self,
        answered: &Answered,
        (mode, request): (Mode, RequestLine),
        (source_ip, destination): (Option<IpAddr>, Option<SocketAddr>),
        at: Timestamp,
    ) {
        let Outcome { decision, source, seq, policy, action, revoked, .. } = answered.outcome.clone();
        debug!(
            decision_id = %decision.id, verdict = decision.verdict.as_str(), reason = decision.reason.as_str(),
            mode = mode.as_str(), source = source.as_str(), method = request.method, path = request.path, "decided"
        );
        let unverified = answered.identity.as_ref().err().map(|refusal| {
            Box::new(UnverifiedRecord {
                cause: refusal.reason(),
                claimed: refusal.claim().map(|claim| claim.id().clone()),
                names: refusal.names().to_vec(),
                detail: refusal.detail().to_owned(),
            })
        });
        self.audit.record(Record::Decision(DecisionRecord {
            at,
            mode,
            decision,
            source,
            identified: answered.identity.as_ref().ok().cloned(),
            unverified,
            revoked: revoked.map(|scope| scope.to_string()),
            seq,
            policy,
            service: Arc::clone(&self.service),
            request,
            action,
            source_ip,
            destination,
        }));
    }
}
