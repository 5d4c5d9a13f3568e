//! A small real TCP service whose first word is its own, as that of mail and database servers; it refuses nobody.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The service: sends [`GREETING`] to whoever connects, and then everything back that comes.
pub struct TcpService {
    address: SocketAddr,
    counts: Arc<Counts>,
    server: JoinHandle<()>,
}

/// What it says first.
pub const GREETING: &[u8] = b"220 ready\r\n";

#[derive(Default)]
struct Counts {
    connections: AtomicU64,
    open: AtomicU64,
    received: AtomicU64,
}

impl TcpService {
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

    /// How many connections it has had.
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// How many are open.
    pub fn open(&self) -> u64 {
        self.counts.open.load(Ordering::SeqCst)
    }

    /// How many bytes have come, on all connections.
    pub fn received(&self) -> u64 {
        self.counts.received.load(Ordering::SeqCst)
    }
}

impl Drop for TcpService {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, counts: Arc<Counts>) {
    while let Ok((stream, _)) = listener.accept().await {
        counts.connections.fetch_add(1, Ordering::SeqCst);
        counts.open.fetch_add(1, Ordering::SeqCst);
        let counts = Arc::clone(&counts);
        tokio::spawn(async move {
            echo(stream, &counts).await;
            counts.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn echo(mut stream: TcpStream, counts: &Counts) {
    let mut buffer = vec![0; 16 * 1024];
    if stream.write_all(GREETING).await.is_err() {
        return;
    }
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        counts.received.fetch_add(count as u64, Ordering::SeqCst);
        if stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
