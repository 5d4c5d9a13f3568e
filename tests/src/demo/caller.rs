//! A workload that calls over one kept connection, so that times are those of requests and not of handshakes.

use std::time::{Duration, Instant};

use crate::client::{Client, ClientError, Connection, Protocol, Reply, request};
use http::Method;
use tokio::time::timeout;

use super::patience::PATIENCE;

/// A caller and its connection (HTTP/2).
pub struct Caller {
    client: Client,
    connection: Option<Connection>,
}

/// Why there was no whole answer.
#[derive(Debug)]
pub enum Unanswered {
    /// The connection or its handshake failed.
    Broken(ClientError),
    /// Nothing within [`PATIENCE`].
    Late,
}

impl Caller {
    /// Connects when it is first used.
    pub fn new(client: Client) -> Self {
        Self { client, connection: None }
    }

    /// `GET path`, and the time from the first byte sent to the last received.
    pub async fn get(&mut self, path: &str) -> Result<(Reply, Duration), Unanswered> {
        self.send(Method::GET, path).await
    }

    /// As [`Caller::get`], with another method.
    pub async fn send(&mut self, method: Method, path: &str) -> Result<(Reply, Duration), Unanswered> {
        timeout(PATIENCE, Box::pin(self.exchange(method, path))).await.unwrap_or(Err(Unanswered::Late))
    }

    /// The client, for connections of their own.
    pub fn client(&self) -> &Client {
        &self.client
    }

    async fn exchange(&mut self, method: Method, path: &str) -> Result<(Reply, Duration), Unanswered> {
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.client.connect(Protocol::Http2).await.map_err(Unanswered::Broken)?,
        };
        let mut request = request(path);
        *request.method_mut() = method;
        let start = Instant::now();
        let reply = connection.send(request).await.map_err(Unanswered::Broken)?;
        let took = start.elapsed();
        self.connection = Some(connection);
        Ok((reply, took))
    }
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Broken(error) => error.fmt(f),
            Self::Late => write!(f, "no answer within {PATIENCE:?}"),
        }
    }
}
