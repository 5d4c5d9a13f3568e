//! A bundle endpoint over real HTTPS that serves whatever a test says, right or wrong; it notes what it was asked with.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::client::certified_key;
use crate::pki::Svid;

/// What the endpoint answers.
#[derive(Clone, Debug)]
pub enum Serves {
    /// 200 with this body.
    Body(String),
    /// 200 with a body of a gigabyte.
    Gigabyte,
    /// Nothing: connections are closed as soon as they are open.
    Nothing,
    /// 302 to there.
    Redirect(String),
    /// This status, without a body.
    Status(u16),
}

/// The endpoint; it listens for as long as it lives.
pub struct BundleEndpoint {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    serves: Mutex<Serves>,
    certificate: Mutex<Arc<CertifiedKey>>,
    requests: AtomicU64,
    client_certificates: AtomicU64,
}

impl BundleEndpoint {
    /// Listens on a free port of 127.0.0.1 with the certificate of `identity`.
    pub async fn start(identity: &Svid, serves: Serves) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            serves: Mutex::new(serves),
            certificate: Mutex::new(Arc::new(certified_key(identity))),
            requests: AtomicU64::new(0),
            client_certificates: AtomicU64::new(0),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, task }
    }

    /// Its URL, by the name `localhost`.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/bundle", self.address.port())
    }

    /// Serves something else from now on.
    pub fn serve(&self, serves: Serves) {
        *self.shared.serves.lock().unwrap_or_else(PoisonError::into_inner) = serves;
    }

    /// Shows another certificate from now on.
    pub fn present(&self, identity: &Svid) {
        let key = Arc::new(certified_key(identity));
        *self.shared.certificate.lock().unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// Requests that came through TLS.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Connections whose client showed a certificate; all are asked for one.
    pub fn client_certificates(&self) -> u64 {
        self.shared.client_certificates.load(Ordering::SeqCst)
    }
}

impl Drop for BundleEndpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn serves(&self) -> Serves {
        self.serves.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(AskAnybody))
        .with_cert_resolver(Arc::clone(&shared) as Arc<dyn ResolvesServerCert>);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    while let Ok((stream, _)) = listener.accept().await {
        if !matches!(shared.serves(), Serves::Nothing) {
            tokio::spawn(serve_connection(stream, acceptor.clone(), Arc::clone(&shared)));
        }
    }
}

async fn serve_connection(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    // A client that does not like our certificate hangs up here.
    let Ok(stream) = acceptor.accept(stream).await else { return };
    if stream.get_ref().1.peer_certificates().is_some() {
        shared.client_certificates.fetch_add(1, Ordering::SeqCst);
    }
    let answer = service_fn(|_: Request<Incoming>| {
        shared.requests.fetch_add(1, Ordering::SeqCst);
        let response = answer(shared.serves());
        async { Ok::<_, Infallible>(response) }
    });
    // It ends with the client; how is not of interest.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

fn answer(serves: Serves) -> Response<BoxBody<Bytes, Infallible>> {
    let response = Response::builder();
    let empty = || Full::default().boxed();
    match serves {
        Serves::Body(body) => response.header("content-type", "application/json").body(Full::from(body).boxed()),
        Serves::Gigabyte => response.body(gigabyte()),
        Serves::Nothing => response.status(StatusCode::SERVICE_UNAVAILABLE).body(empty()),
        Serves::Redirect(to) => response.status(StatusCode::FOUND).header("location", to).body(empty()),
        Serves::Status(status) => response.status(status).body(empty()),
    }
    .unwrap()
}

/// Chunks of spaces, made as they are read; JSON may begin with any number of them.
fn gigabyte() -> BoxBody<Bytes, Infallible> {
    let chunk = Bytes::from(vec![b' '; 1 << 16]);
    let chunks = (0..1_u32 << 14).map(move |_| Ok(Frame::data(chunk.clone())));
    StreamBody::new(stream::iter(chunks)).boxed()
}

impl ResolvesServerCert for Shared {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.certificate.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Asks every client for a certificate, takes any, and goes on without one.
#[derive(Debug)]
struct AskAnybody;

impl ClientCertVerifier for AskAnybody {
    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
