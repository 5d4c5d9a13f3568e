//! A small real service (HTTP/1.1 and HTTP/2 without TLS) that says what reached it; it refuses nothing.

mod grpc;
mod socket;

pub use grpc::GrpcUpstream;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::interval;
use tokio_stream::wrappers::IntervalStream;

/// The service: `/stream` sends a chunk every 50 ms for ever, `/download` [`DOWNLOAD`] bytes as fast as they are taken,
/// `/websocket` is one, anything else echoes the request as JSON.
pub struct Upstream {
    address: SocketAddr,
    counts: Arc<Counts>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    open_streams: AtomicU64,
}

impl Upstream {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let server = tokio::spawn(serve(listener, Arc::clone(&counts)));
        Self { address, counts, server }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests have reached it.
    pub fn requests(&self) -> u64 {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// How many of `/stream`, `/download` and `/websocket` are open now.
    pub fn open_streams(&self) -> u64 {
        self.counts.open_streams.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The values of one header in an echoed request, in order; bytes above 127 appear as Latin-1.
pub fn echoed_header(echo: &Value, name: &str) -> Vec<String> {
    let headers = echo["headers"].as_array().expect("an echo has headers");
    let of_name = headers.iter().filter(|pair| pair[0] == name);
    of_name.map(|pair| pair[1].as_str().unwrap_or_default().to_owned()).collect()
}

async fn serve(listener: TcpListener, counts: Arc<Counts>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_connection(stream, Arc::clone(&counts)));
    }
}

async fn serve_connection(stream: TcpStream, counts: Arc<Counts>) {
    let service = service_fn(|request| answer(request, Arc::clone(&counts)));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().max_headers(20_000);
    server.http2().max_header_list_size(1 << 24);
    // A connection that breaks is what many tests are about; the client's side of it is what they look at.
    let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    counts: Arc<Counts>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    counts.requests.fetch_add(1, Ordering::SeqCst);
    match request.uri().path() {
        "/stream" => return Ok(Response::new(ticks(counts))),
        "/download" => return Ok(Response::builder().header("content-length", DOWNLOAD).body(zeros(counts)).unwrap()),
        "/websocket" => return Ok(socket::upgrade(request, counts).map(BodyExt::boxed)),
        _ => {}
    }
    Ok(Response::builder().header("content-type", "application/json").body(echo(request).await).unwrap())
}

async fn echo(request: Request<Incoming>) -> BoxBody<Bytes, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let echo = json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path_and_query().map(http::uri::PathAndQuery::as_str),
        "authority": parts.uri.authority().map(http::uri::Authority::as_str),
        "version": format!("{:?}", parts.version),
        "headers": pairs(&parts.headers),
        "body_bytes": body.len(),
    });
    Full::from(echo.to_string()).boxed()
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let latin_1 = |value: &[u8]| value.iter().map(|&byte| char::from(byte)).collect();
    headers.iter().map(|(name, value)| (name.to_string(), latin_1(value.as_bytes()))).collect()
}

fn ticks(counts: Arc<Counts>) -> BoxBody<Bytes, Infallible> {
    let open = OpenStream::new(counts);
    let frames = IntervalStream::new(interval(TICK)).enumerate().map(move |(number, _)| {
        let _held_until_the_body_is_dropped = &open;
        Ok(Frame::data(Bytes::from(format!("tick {number}\n"))))
    });
    BodyExt::boxed(StreamBody::new(frames))
}

fn zeros(counts: Arc<Counts>) -> BoxBody<Bytes, Infallible> {
    let open = OpenStream::new(counts);
    let chunks = stream::iter(0..DOWNLOAD / CHUNK.len()).map(move |_| {
        let _held_until_the_body_is_dropped = &open;
        Ok(Frame::data(Bytes::from_static(&CHUNK)))
    });
    BodyExt::boxed(StreamBody::new(chunks))
}

struct OpenStream(Arc<Counts>);

impl OpenStream {
    fn new(counts: Arc<Counts>) -> Self {
        counts.open_streams.fetch_add(1, Ordering::SeqCst);
        Self(counts)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.open_streams.fetch_sub(1, Ordering::SeqCst);
    }
}

/// More than the buffers between a service and a client who does not read can hold.
pub const DOWNLOAD: usize = 256 << 20;
static CHUNK: [u8; 64 << 10] = [0; 64 << 10];
const TICK: Duration = Duration::from_millis(50);
