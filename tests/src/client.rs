//! HTTP over mTLS as a workload would speak it, each connection under the caller's control; it never retries or pools.

mod raw;
mod stream;
mod tls;
mod websocket;

pub use raw::RawConnection;
pub use stream::{Chunk, OpenStream};
pub(crate) use tls::certified_key;
pub use websocket::WebSocket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::{fmt, io};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::version::TLS12;
use rustls::{ALL_VERSIONS, ClientConfig, SupportedProtocolVersion};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use crate::pki::{Authority, Svid};

/// Which HTTP to agree on by ALPN.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2
    Http2,
}

impl Protocol {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Http1, Self::Http2];

    fn alpn(self) -> Vec<u8> {
        match self {
            Self::Http1 => b"http/1.1".to_vec(),
            Self::Http2 => b"h2".to_vec(),
        }
    }
}

/// Who to call, as whom, trusting which server.
#[derive(Clone)]
pub struct Client {
    server: SocketAddr,
    roots: Vec<Vec<u8>>,
    identity: Option<Svid>,
    resuming: Option<[Arc<ClientConfig>; 2]>,
    versions: &'static [&'static SupportedProtocolVersion],
}

impl Client {
    /// A client of `server`, whose certificate must chain to `authority`.
    pub fn new(server: SocketAddr, authority: &Authority) -> Self {
        let roots = vec![authority.root_der().to_vec()];
        Self { server, roots, identity: None, resuming: None, versions: ALL_VERSIONS }
    }

    /// Presents `identity`; without it the client has no certificate.
    pub fn identity(mut self, identity: &Svid) -> Self {
        self.identity = Some(identity.clone());
        self
    }

    /// Asks to resume the TLS sessions of earlier connections, as many libraries do; without it, never. Comes last.
    pub fn resuming_sessions(mut self) -> Self {
        self.resuming = Some(Protocol::ALL.map(|protocol| {
            let mut config = self.config(protocol);
            config.resumption = Resumption::default();
            Arc::new(config)
        }));
        self
    }

    /// Speaks TLS 1.2 and nothing better.
    pub fn only_tls12(mut self) -> Self {
        static ONLY: &[&SupportedProtocolVersion] = &[&TLS12];
        self.versions = ONLY;
        self
    }

    /// Opens one connection for gRPC. When it ends, so does the channel: it never connects again.
    pub async fn grpc(&self) -> Result<Channel, ClientError> {
        let mut stream = Some(TokioIo::new(self.tls(Protocol::Http2).await?));
        let connector = tower::service_fn(move |_| {
            std::future::ready(stream.take().ok_or_else(|| io::Error::other("the connection is over")))
        });
        let endpoint = Endpoint::from_static("http://server.test");
        endpoint.connect_with_connector(connector).await.map_err(|error| ClientError::Tls(io::Error::other(error)))
    }

    /// The leaf that the server presents to new connections, DER.
    pub async fn server_leaf(&self) -> Result<Vec<u8>, ClientError> {
        let stream = self.tls(Protocol::Http2).await?;
        let chain = stream.get_ref().1.peer_certificates().expect("a server has a certificate");
        Ok(chain[0].to_vec())
    }

    /// Opens one connection.
    ///
    /// In TLS 1.3 a server refuses a client's certificate only after this has succeeded: the first request fails then.
    pub async fn connect(&self, protocol: Protocol) -> Result<Connection, ClientError> {
        let stream = self.tls(protocol).await?;
        let sender = match protocol {
            Protocol::Http1 => Sender::Http1(http1_handshake(stream).await?),
            Protocol::Http2 => Sender::Http2(http2_handshake(stream).await?),
        };
        Ok(Connection { sender, authority: self.server.to_string() })
    }

    /// Connects, sends one `GET path` and hangs up.
    pub async fn get(&self, protocol: Protocol, path: &str) -> Result<Reply, ClientError> {
        self.connect(protocol).await?.get(path).await
    }

    /// Opens a connection for bytes that no HTTP library would send.
    pub async fn raw(&self, protocol: Protocol) -> Result<RawConnection, ClientError> {
        Ok(RawConnection::new(self.tls(protocol).await?))
    }

    async fn tls(&self, protocol: Protocol) -> Result<TlsStream<TcpStream>, ClientError> {
        let config = match (&self.resuming, protocol) {
            (None, _) => Arc::new(self.config(protocol)),
            (Some([http1, _]), Protocol::Http1) => Arc::clone(http1),
            (Some([_, http2]), Protocol::Http2) => Arc::clone(http2),
        };
        let stream = TcpStream::connect(self.server).await.map_err(ClientError::Connect)?;
        stream.set_nodelay(true).map_err(ClientError::Connect)?;
        let name = ServerName::try_from("envoy.test").expect("a DNS name");
        TlsConnector::from(config).connect(name, stream).await.map_err(ClientError::Tls)
    }

    fn config(&self, protocol: Protocol) -> ClientConfig {
        tls::config(&self.roots, self.identity.as_ref(), protocol.alpn(), self.versions)
    }
}

/// One open connection.
pub struct Connection {
    sender: Sender,
    authority: String,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// `GET path`, whole answer.
    pub async fn get(&mut self, path: &str) -> Result<Reply, ClientError> {
        self.send(request(path)).await
    }

    /// Sends `request` (path only; the authority is filled in) and reads the whole answer.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Reply, ClientError> {
        let (parts, body) = self.exchange(request).await?.into_parts();
        let body = body.collect().await.map_err(ClientError::Http)?.to_bytes();
        Ok(Reply { status: parts.status, version: parts.version, headers: parts.headers, body })
    }

    /// Sends `GET path` and hands out the body as it comes.
    pub async fn stream(&mut self, path: &str) -> Result<OpenStream, ClientError> {
        self.open(request(path)).await
    }

    /// Sends `request` and hands out the body as it comes.
    pub async fn open(&mut self, request: Request<Full<Bytes>>) -> Result<OpenStream, ClientError> {
        Ok(OpenStream::new(self.exchange(request).await?))
    }

    /// Whether the other side has closed it, or is about to.
    pub fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    async fn exchange(&mut self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ClientError> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let exchanged = match &mut self.sender {
            Sender::Http1(sender) => {
                let host = HeaderValue::from_str(&self.authority).expect("an address is a header value");
                request.headers_mut().entry("host").or_insert(host);
                sender.ready().await.map_err(ClientError::Http)?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                *request.uri_mut() = format!("https://{}{path}", self.authority).parse().expect("a valid path");
                sender.ready().await.map_err(ClientError::Http)?;
                sender.send_request(request).await
            }
        };
        exchanged.map_err(ClientError::Http)
    }
}

/// A `GET` to be sent over a [`Connection`].
pub fn request(path: &str) -> Request<Full<Bytes>> {
    Request::builder().uri(path).body(Full::default()).expect("a valid path")
}

/// Adds a header, beside others of that name; the value may be any bytes HTTP can carry, UTF-8 or not.
pub fn with_header(mut request: Request<Full<Bytes>>, name: &str, value: &[u8]) -> Request<Full<Bytes>> {
    let name: HeaderName = name.parse().expect("a header name");
    request.headers_mut().append(name, HeaderValue::from_bytes(value).expect("no control bytes in a header value"));
    request
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// The HTTP version it came by.
    pub version: Version,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}) in {self:?}"))
    }
}

/// Why there is no answer; which variant says how far the connection came.
#[derive(Debug)]
pub enum ClientError {
    /// No TCP connection.
    Connect(io::Error),
    /// The connection broke during or after HTTP began: also how a refused client certificate looks in TLS 1.3.
    Http(hyper::Error),
    /// No TLS.
    Tls(io::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "no connection: {error}"),
            Self::Http(error) => write!(f, "no answer: {error:?}"),
            Self::Tls(error) => write!(f, "no TLS: {error}"),
        }
    }
}

impl std::error::Error for ClientError {}

async fn http1_handshake(stream: TlsStream<TcpStream>) -> Result<http1::SendRequest<Full<Bytes>>, ClientError> {
    let (sender, connection) =
        http1::Builder::new().max_headers(20_000).handshake(TokioIo::new(stream)).await.map_err(ClientError::Http)?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn http2_handshake(stream: TlsStream<TcpStream>) -> Result<http2::SendRequest<Full<Bytes>>, ClientError> {
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(ClientError::Http)?;
    tokio::spawn(connection);
    Ok(sender)
}
