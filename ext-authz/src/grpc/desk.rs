//! The desk every door of the request path brings its requests to: identify, decide, note; it knows no transport.

use std::{net::IpAddr, sync::Arc, time::Instant};

use authz_core::{
    facts::{Caller, Facts, Http, InvalidHttp, Presented},
    time::Timestamp,
};
use tracing::debug;

use crate::{
    audit::{Audit, DecisionRecord, Record, RequestLine},
    check::{Checker, Outcome},
    identity::PresentedCertificate,
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
    /// The request, or what is wrong with it.
    pub http: Result<Http<'a>, InvalidHttp>,
    /// Address of the other end.
    pub source_ip: Option<IpAddr>,
    /// TLS server name.
    pub sni: Option<&'a str>,
    /// What of the request is kept for audit.
    pub line: RequestLine,
}

/// One answered request.
pub struct Answered {
    /// What was decided.
    pub outcome: Outcome,
    /// The verified caller, if there is one.
    pub caller: Option<Arc<Caller>>,
}

impl Desk {
    /// Decides one request, counts it and records it; never waits and never fails.
    pub fn answer(&self, asked: Asked<'_>, now: Timestamp) -> Answered {
        let started = Instant::now();
        let identified = self.checker.identify(&asked.certificate, now);
        let caller = match &identified {
            Ok(caller) => Presented::Verified(caller),
            Err(refusal) => Presented::Unverified(refusal.reason()),
        };
        let facts = Facts { caller, http: asked.http, source_ip: asked.source_ip, sni: asked.sni };
        let outcome = self.checker.decide(&facts, now);
        let (caller, detail) = match identified {
            Ok(caller) => (Some(caller), None),
            Err(refusal) => (None, Some(refusal.detail().to_owned())),
        };
        let answered = Answered { outcome, caller };
        self.metrics.decided(
            asked.mode,
            answered.outcome.source,
            &answered.outcome.decision,
            started.elapsed().as_secs_f64(),
        );
        self.record(&answered, detail, (asked.mode, asked.line, asked.source_ip), now);
        answered
    }

    fn record(
        &self,
        answered: &Answered,
        detail: Option<String>,
        asked: (Mode, RequestLine, Option<IpAddr>),
        at: Timestamp,
    ) {
        let (mode, request, source_ip) = asked;
        let Outcome { decision, source, seq, policy, revoked } = answered.outcome.clone();
        debug!(
            decision_id = %decision.id, verdict = decision.verdict.as_str(), reason = decision.reason.as_str(),
            mode = mode.as_str(), source = source.as_str(), method = request.method, path = request.path, "decided"
        );
        let revoked = revoked.map(|scope| scope.to_string());
        let (caller, service) = (answered.caller.clone(), Arc::clone(&self.service));
        self.audit.record(Record::Decision(DecisionRecord {
            at,
            mode,
            decision,
            source,
            caller,
            revoked,
            seq,
            policy,
            service,
            request,
            source_ip,
            detail,
        }));
    }
}
