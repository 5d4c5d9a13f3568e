//! Bytes on a TLS connection, as they are: for requests no HTTP library would send.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::eventually::PATIENCE;

/// A connection without HTTP.
pub struct RawConnection {
    stream: TlsStream<TcpStream>,
}

impl RawConnection {
    pub(super) fn new(stream: TlsStream<TcpStream>) -> Self {
        Self { stream }
    }

    pub(super) fn into_stream(self) -> TlsStream<TcpStream> {
        self.stream
    }

    /// Writes `bytes` now.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Reads exactly as many bytes.
    ///
    /// # Errors
    /// If the connection ends first.
    ///
    /// # Panics
    /// If they do not come within the patience of a test.
    pub async fn read(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        timeout(PATIENCE, self.stream.read_exact(&mut bytes)).await.expect("bytes, or the end of the connection")?;
        Ok(bytes)
    }

    /// Ends its own half, with TLS's farewell; the other goes on.
    pub async fn end_writing(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Reads until the other side closes; a break without TLS's farewell counts as closing.
    ///
    /// # Panics
    /// If it stays open beyond the patience of a test.
    pub async fn read_to_close(&mut self) -> Vec<u8> {
        let mut read = Vec::new();
        let closed = timeout(PATIENCE, self.stream.read_to_end(&mut read)).await;
        assert!(closed.is_ok(), "the connection stays open; it sent {:?}", String::from_utf8_lossy(&read));
        read
    }

    /// Reads an HTTP/1.1 response head, up to and with the empty line, and gives it as text.
    ///
    /// # Panics
    /// If the connection closes, or nothing comes, before the head is complete.
    pub async fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = timeout(PATIENCE, self.stream.read_u8()).await.expect("a response head");
            head.push(byte.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&head))));
        }
        String::from_utf8_lossy(&head).into_owned()
    }
}
