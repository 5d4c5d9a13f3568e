//! `envoy.service.auth.v3.Authorization`: reads a `CheckRequest` into facts and answers it; it judges nothing.

use std::{net::IpAddr, sync::Arc};

use authz_core::{
    facts::{Http, InvalidHttp},
    time::Timestamp,
};
use envoy_types::pb::envoy::{
    config::core::v3::{Address, address::Address as AddressKind},
    service::auth::v3::{
        AttributeContext, CheckRequest, CheckResponse, attribute_context::HttpRequest,
        authorization_server::Authorization,
    },
};
use tonic::{Request, Response, Status};

use crate::{
    audit::RequestLine,
    clock,
    grpc::{
        desk::{Asked, Desk},
        response::check_response,
    },
    identity::PresentedCertificate,
    metrics::Mode,
};

/// The service over its desk.
pub struct ExtAuthz {
    desk: Arc<Desk>,
}

impl ExtAuthz {
    /// Answers checks at this desk.
    pub fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }

    /// Decides one request; total: whatever arrives, there is an answer.
    pub fn check_now(&self, request: &CheckRequest, now: Timestamp) -> CheckResponse {
        let parsed = Parsed::from(request);
        let asked = Asked {
            mode: Mode::ExtAuthz,
            certificate: parsed.certificate(),
            http: parsed.http(),
            source_ip: parsed.source_ip,
            sni: parsed.sni,
            line: parsed.line(),
        };
        let answered = self.desk.answer(asked, now);
        check_response(&answered.outcome, answered.caller.as_deref(), parsed.is_grpc())
    }
}

#[tonic::async_trait]
impl Authorization for ExtAuthz {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(self.check_now(request.get_ref(), clock::now())))
    }
}

/// A `CheckRequest` by its parts; what is absent is empty, and an empty thing is refused further on.
struct Parsed<'a> {
    certificate: &'a str,
    request: Option<&'a HttpRequest>,
    headers: Vec<(&'a str, &'a [u8])>,
    source_ip: Option<IpAddr>,
    sni: Option<&'a str>,
}

impl<'a> From<&'a CheckRequest> for Parsed<'a> {
    fn from(check: &'a CheckRequest) -> Self {
        let attributes: Option<&'a AttributeContext> = check.attributes.as_ref();
        let source = attributes.and_then(|it| it.source.as_ref());
        let request = attributes.and_then(|it| it.request.as_ref()).and_then(|it| it.http.as_ref());
        let sni = attributes.and_then(|it| it.tls_session.as_ref()).map(|tls| tls.sni.as_str());
        Self {
            certificate: source.map_or("", |peer| peer.certificate.as_str()),
            request,
            headers: request.map(header_lines).unwrap_or_default(),
            source_ip: source.and_then(|peer| peer.address.as_ref()).and_then(ip),
            sni: sni.filter(|name| !name.is_empty()),
        }
    }
}

impl Parsed<'_> {
    fn certificate(&self) -> PresentedCertificate<'_> {
        let xfcc = self.headers.iter().filter(|(name, _)| *name == "x-forwarded-client-cert").map(|(_, value)| *value);
        PresentedCertificate {
            source_certificate: Some(self.certificate).filter(|pem| !pem.is_empty()),
            xfcc: xfcc.collect(),
        }
    }

    fn http(&self) -> Result<Http<'_>, InvalidHttp> {
        let request = self.request.ok_or(InvalidHttp::Method)?;
        let HttpRequest { method, path, host, scheme, protocol, .. } = request;
        Http::new(method, path, host, scheme, protocol, &self.headers)
    }

    fn is_grpc(&self) -> bool {
        self.headers.iter().any(|(name, value)| *name == "content-type" && value.starts_with(b"application/grpc"))
    }

    fn line(&self) -> RequestLine {
        let Some(request) = self.request else { return RequestLine::default() };
        let request_id = self.headers.iter().find(|(name, _)| *name == "x-request-id");
        RequestLine::new(&request.method, &request.path, &request.host, request_id.map_or(&[], |(_, value)| *value))
    }
}

/// `header_map` where Envoy sends raw headers, else `headers`.
fn header_lines(request: &HttpRequest) -> Vec<(&str, &[u8])> {
    match &request.header_map {
        Some(map) => map
            .headers
            .iter()
            .map(|line| {
                let raw = if line.raw_value.is_empty() { line.value.as_bytes() } else { line.raw_value.as_slice() };
                (line.key.as_str(), raw)
            })
            .collect(),
        None => request.headers.iter().map(|(key, value)| (key.as_str(), value.as_bytes())).collect(),
    }
}

fn ip(address: &Address) -> Option<IpAddr> {
    match address.address.as_ref()? {
        AddressKind::SocketAddress(socket) => socket.address.parse().ok(),
        AddressKind::Pipe(_) | AddressKind::EnvoyInternalAddress(_) => None,
    }
}
