//! An open WebSocket in the hands of a test.

use std::io;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::{Client, ClientError, Protocol};
use crate::eventually::PATIENCE;
use crate::websocket::{ACCEPT, From, KEY, receive, send};

/// A WebSocket that the service has agreed to.
pub struct WebSocket {
    stream: TlsStream<TcpStream>,
}

impl Client {
    /// Opens a WebSocket at `path`.
    ///
    /// # Panics
    /// If the service does not agree.
    pub async fn websocket(&self, path: &str) -> Result<WebSocket, ClientError> {
        let mut raw = self.raw(Protocol::Http1).await?;
        let handshake = format!(
            "GET {path} HTTP/1.1\r\nhost: service.test\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n\r\n"
        );
        raw.write(handshake.as_bytes()).await.map_err(ClientError::Connect)?;
        let head = raw.read_head().await;
        assert!(head.starts_with("HTTP/1.1 101") && head.contains(ACCEPT), "no handshake: {head}");
        Ok(WebSocket { stream: raw.into_stream() })
    }
}

impl WebSocket {
    /// Says `text` and hears it back, between what the service says on its own: proof that both ways are open.
    ///
    /// # Panics
    /// If it ends first.
    pub async fn echoes(&mut self, text: &str) {
        send(&mut self.stream, From::Client, text).await.expect("an open WebSocket");
        while self.next().await.expect("an open WebSocket") != text {}
    }

    /// Reads until it is cut.
    ///
    /// # Panics
    /// If it is closed in good order, or still open after the patience of a test.
    pub async fn until_cut(&mut self) {
        let cut = async { while self.next().await.is_ok() {} };
        timeout(PATIENCE, cut).await.expect("the end of the WebSocket");
    }

    async fn next(&mut self) -> io::Result<String> {
        let text = timeout(PATIENCE, receive(&mut self.stream, From::Server)).await.expect("a frame, or the end")?;
        Ok(text.expect("a WebSocket that is not closed in good order"))
    }
}
