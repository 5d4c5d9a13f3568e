//! `envoy.service.auth.v3.Authorization`: reads a `CheckRequest` into facts and answers it; it judges nothing.

use std::{net::SocketAddr, sync::Arc};

use authz_core::{
    facts::{self, Http},
    time::Timestamp,
};
use envoy_types::pb::envoy::{
    config::core::v3::{Address, address::Address as AddressKind, socket_address::PortSpecifier},
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
            // Only Envoy's network filter asks without a request.
            mode: if parsed.request.is_some() { Mode::ExtAuthz } else { Mode::Network },
            certificate: parsed.certificate(),
            asked: parsed.asked(),
            source_ip: parsed.source.map(|address| address.ip()),
            destination: parsed.destination,
            sni: parsed.sni,
            line: parsed.line(),
        };
        let answered = self.desk.answer(asked, now);
        check_response(&answered, parsed.is_grpc())
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
    source: Option<SocketAddr>,
    destination: Option<SocketAddr>,
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
            source: source.and_then(|peer| peer.address.as_ref()).and_then(socket),
            destination: attributes.and_then(|it| it.destination.as_ref()?.address.as_ref()).and_then(socket),
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

    fn asked(&self) -> facts::Asked<'_> {
        let Some(request) = self.request else { return facts::Asked::Connection };
        let HttpRequest { method, path, host, scheme, protocol, .. } = request;
        facts::Asked::Http(Http::new(method, path, host, scheme, protocol, &self.headers))
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

fn socket(address: &Address) -> Option<SocketAddr> {
    match address.address.as_ref()? {
        AddressKind::SocketAddress(socket) => {
            let port = match socket.port_specifier.as_ref()? {
                PortSpecifier::PortValue(port) => u16::try_from(*port).ok()?,
                PortSpecifier::NamedPort(_) => return None,
            };
            Some(SocketAddr::new(socket.address.parse().ok()?, port))
        }
        AddressKind::Pipe(_) | AddressKind::EnvoyInternalAddress(_) => None,
    }
}
