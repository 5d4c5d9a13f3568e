//! One connection: sends a request, reads its answer. It must not pipeline, retry or reconnect.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::line::Target;
use super::response::{self, Head, InvalidResponse};
use crate::endpoint::Endpoint;

/// An open connection that is between two exchanges.
pub struct Connection {
    endpoint: Endpoint,
    stream: Box<dyn Duplex>,
    buffer: Vec<u8>,
}

impl Connection {
    /// Opens a connection, with TLS if `target` says so.
    pub async fn open(target: &Target) -> Result<Self, ExchangeFailed> {
        let endpoint = target.endpoint;
        let failed = |source| ExchangeFailed::Connect { endpoint, source };
        let stream = TcpStream::connect(endpoint.address()).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let stream: Box<dyn Duplex> = match &target.tls {
            Some(tls) => Box::new(tls.connect(stream).await.map_err(failed)?),
            None => Box::new(stream),
        };
        Ok(Self { endpoint, stream, buffer: vec![0; READ_SIZE] })
    }

    /// Sends `request`, reads the whole answer and returns its status; the server must keep the connection open.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<u16, ExchangeFailed> {
        let Head { status, closes, .. } = self.ask(request).await?;
        if closes { Err(ExchangeFailed::Closed { endpoint: self.endpoint, status }) } else { Ok(status) }
    }

    /// The same, then closes; the server may have done so before.
    pub async fn exchange_last(mut self, request: &[u8]) -> Result<u16, ExchangeFailed> {
        let Head { status, closes, .. } = self.ask(request).await?;
        if !closes {
            self.close().await?;
        }
        Ok(status)
    }

    /// Says goodbye as a client should: the end of TLS, then of TCP.
    pub async fn close(mut self) -> Result<(), ExchangeFailed> {
        self.stream.shutdown().await.map_err(|source| self.broken(source))
    }

    async fn ask(&mut self, request: &[u8]) -> Result<Head, ExchangeFailed> {
        self.stream.write_all(request).await.map_err(|source| self.broken(source))?;
        self.stream.flush().await.map_err(|source| self.broken(source))?;
        let mut filled = 0;
        loop {
            filled += self.read_more(filled).await?;
            let bytes = self.buffer.get(..filled).unwrap_or_default();
            let head = response::head(bytes);
            let Some(head) = head.map_err(|source| ExchangeFailed::Answer { endpoint: self.endpoint, source })? else {
                continue;
            };
            if !head.closes {
                self.skip(head.length.saturating_sub(filled)).await?;
            }
            return Ok(head);
        }
    }

    /// Reads behind the first `filled` bytes and returns how many bytes came; at least one.
    async fn read_more(&mut self, filled: usize) -> Result<usize, ExchangeFailed> {
        if filled == self.buffer.len() {
            self.buffer.resize(filled * 2, 0);
        }
        let free = self.buffer.get_mut(filled..).unwrap_or_default();
        match self.stream.read(free).await {
            Ok(0) => Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => Ok(count),
            Err(source) => Err(self.broken(source)),
        }
    }

    /// Reads and forgets the rest of a body.
    async fn skip(&mut self, mut left: usize) -> Result<(), ExchangeFailed> {
        while left > 0 {
            left = left.saturating_sub(self.read_more(0).await?);
        }
        Ok(())
    }

    fn broken(&self, source: io::Error) -> ExchangeFailed {
        ExchangeFailed::Broken { endpoint: self.endpoint, source }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Why an exchange has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeFailed {
    /// What came back can't be followed.
    #[error("{endpoint}: {source}")]
    Answer {
        /// Whom we asked.
        endpoint: Endpoint,
        /// What is wrong with it.
        source: InvalidResponse,
    },
    /// The connection broke.
    #[error("connection to {endpoint} broke: {source}")]
    Broken {
        /// Whom we asked.
        endpoint: Endpoint,
        /// How.
        source: io::Error,
    },
    /// The server answered, but won't answer again.
    #[error("{endpoint} answered {status} and closed the connection; the generator needs keep-alive")]
    Closed {
        /// Whom we asked.
        endpoint: Endpoint,
        /// Its last status.
        status: u16,
    },
    /// No connection.
    #[error("cannot connect to {endpoint}: {source}")]
    Connect {
        /// Where to.
        endpoint: Endpoint,
        /// Why not.
        source: io::Error,
    },
    /// The kernel's timer failed.
    #[error("cannot wait for the next arrival: {0}")]
    Timer(#[source] io::Error),
}

/// What TCP and TLS streams have in common.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

const READ_SIZE: usize = 16 * 1024;
