//! `countersign.link.v1.Link`: answers filters' misses and opens their watches; it decides nothing itself.

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use authz_core::{
    decision::Verdict,
    facts::{self, Caller, Http},
    hops::Chain,
    plan::Read,
    reading::{Reading, Use},
    reason::Class,
};
use futures_util::Stream;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    audit::RequestLine,
    check::{Outcome, Source},
    clock,
    grpc::{
        basis::basis,
        desk::{Answered, Asked, Desk},
        outbox::outbox,
        watch::{Watch, Watching},
    },
    identity::{PresentedCertificate, TrustDigest},
    metrics::Mode,
    wire::link::{self, DecideRequest, DecideResponse, Report, Update, link_server::Link},
};

/// The service over its desk.
pub struct LinkService {
    desk: Arc<Desk>,
    watching: Arc<Watching>,
    stopped: watch::Receiver<bool>,
}

impl LinkService {
    /// Answers filters at this desk; their watches end once `stopped` holds true.
    pub fn new(desk: Arc<Desk>, watching: Arc<Watching>, stopped: watch::Receiver<bool>) -> Self {
        Self { desk, watching, stopped }
    }

    fn decide_now(&self, request: &DecideRequest) -> DecideResponse {
        let of_connection = request.asked() == link::Asked::Connection;
        // A connection has no headers; whoever sends some along gets no identity or fact from them.
        let lines = if of_connection { &[][..] } else { &request.headers[..] };
        let headers: Vec<(&str, &[u8])> = lines.iter().map(|it| (it.name.as_str(), it.value.as_slice())).collect();
        let xfcc =
            headers.iter().filter(|(name, _)| *name == "x-forwarded-client-cert").map(|(_, value)| *value).collect();
        let certificate = std::str::from_utf8(&request.peer_certificate).ok().filter(|pem| !pem.is_empty());
        let (mode, asked) = if of_connection {
            (Mode::LinkNetwork, facts::Asked::Connection)
        } else {
            (Mode::Link, facts::Asked::Http(Http::from_headers(&headers, &request.protocol)))
        };
        let asked = Asked {
            mode,
            certificate: PresentedCertificate { source_certificate: certificate, xfcc },
            asked,
            source_ip: request.source_address.parse().ok().map(|address: SocketAddr| address.ip()),
            destination: request.destination_address.parse().ok(),
            sni: Some(request.sni.as_str()).filter(|name| !name.is_empty()),
            line: request_line(&headers),
        };
        // Asked before the caller is verified: if bundles change in between, the answer names the old ones and is not kept.
        let trust = self.desk.checker.trust();
        wire_response(&self.desk.answer(asked, clock::now()), trust, &request.reading_under)
    }
}

#[tonic::async_trait]
impl Link for LinkService {
    async fn decide(&self, request: Request<DecideRequest>) -> Result<Response<DecideResponse>, Status> {
        Ok(Response::new(self.decide_now(request.get_ref())))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<Update, Status>> + Send>>;

    async fn watch(&self, request: Request<Streaming<Report>>) -> Result<Response<Self::WatchStream>, Status> {
        let (updates, outgoing) = outbox();
        let filter = Watch::new(Arc::clone(&self.watching), updates);
        let mut stopped = self.stopped.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = filter.run(request.into_inner()) => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
        Ok(Response::new(Box::pin(outgoing)))
    }
}

fn request_line(headers: &[(&str, &[u8])]) -> RequestLine {
    let value = |wanted: &str| headers.iter().find(|(name, _)| *name == wanted).map_or(&[][..], |(_, value)| *value);
    let text = |wanted: &str| String::from_utf8_lossy(value(wanted));
    RequestLine::new(&text(":method"), &text(":path"), &text(":authority"), value("x-request-id"))
}

fn wire_response(answered: &Answered, trust: Option<TrustDigest>, told_under: &[u8]) -> DecideResponse {
    let Outcome { decision, source, seq, policy, reading, .. } = &answered.outcome;
    let plan = policy.zip(trust).map_or_else(Vec::new, |(policy, trust)| basis(policy, trust).to_vec());
    let cacheable = answered.identity.is_ok() && *source != Source::Gate && decision.reason.class() != Class::Error;
    // The same caller and operation under the same plan have the same reading.
    let is_news = cacheable && told_under != plan;
    let verdict = match decision.verdict {
        Verdict::Allow => link::Verdict::Allow,
        Verdict::Challenge => link::Verdict::Challenge,
        Verdict::Deny => link::Verdict::Deny,
    };
    DecideResponse {
        decision: Some(link::Decision {
            id: decision.id.0.to_be_bytes().to_vec(),
            verdict: verdict.into(),
            reason: decision.reason.as_str().to_owned(),
            policies: decision.policies.iter().map(ToString::to_string).collect(),
            holds_until_ms: decision.holds_until.as_millis(),
        }),
        caller: answered.caller().map(AsRef::as_ref).map(wire_caller),
        chain: answered.identity.as_ref().ok().map(|identified| wire_chain(identified.chain())),
        seq: seq.0,
        plan,
        cacheable,
        reading: reading.as_ref().filter(|_| is_news).map(|reading| wire_reading(reading)),
    }
}

fn wire_reading(reading: &Reading) -> link::Reading {
    let wire_use = |(read, used): (&Read, &Use)| {
        let tests = match used {
            Use::Tests(tests) => tests.iter().map(ToString::to_string).collect(),
            Use::Whole => Vec::new(),
        };
        link::Use { read: read.to_string(), whole: *used == Use::Whole, tests }
    };
    link::Reading { uses: reading.uses().iter().map(wire_use).collect() }
}

fn wire_chain(chain: &Chain) -> link::Chain {
    let hops = chain.hops().iter().map(|hop| wire_caller(hop)).collect();
    link::Chain { hops, reach: chain.reach().as_str().to_owned() }
}

fn wire_caller(caller: &Caller) -> link::Caller {
    let credential = caller.credential();
    link::Caller {
        spiffe_id: credential.id().as_str().to_owned(),
        digest: credential.digest().as_bytes().to_vec(),
        issuer: credential.issued_by().issuer().to_owned(),
        serial: credential.issued_by().serial().to_owned(),
        not_before_ms: credential.not_before().as_millis(),
        not_after_ms: credential.not_after().as_millis(),
    }
}
