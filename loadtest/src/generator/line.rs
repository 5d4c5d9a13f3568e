//! One worker's way to the server: a connection that is kept, or a new one for each request. It must not judge answers.

use super::connection::{Connection, ExchangeFailed};
use super::tls::Tls;
use crate::endpoint::Endpoint;

/// Where connections go, and how they are opened.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server.
    pub endpoint: Endpoint,
    /// How to speak TLS; none for plaintext.
    pub tls: Option<Tls>,
}

/// How long a connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Across requests and phases, so that no request pays for a handshake.
    Kept,
    /// For one request, which pays for the handshake. There are never more at once than there are workers.
    Once,
}

/// A way to the server that is between two exchanges.
#[derive(Debug)]
pub enum Line {
    /// A connection that stays open.
    Kept(Connection),
    /// One will be opened for the next exchange.
    Once(Target),
}

impl Line {
    /// Opens a connection in either case, so that a server that can't be reached is known before it is measured.
    pub async fn open(target: Target, reuse: Reuse) -> Result<Self, ExchangeFailed> {
        let connection = Connection::open(&target).await?;
        match reuse {
            Reuse::Kept => Ok(Self::Kept(connection)),
            Reuse::Once => {
                connection.close().await?;
                Ok(Self::Once(target))
            }
        }
    }

    /// Sends `request`, reads the whole answer and returns its status.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<u16, ExchangeFailed> {
        match self {
            Self::Kept(connection) => connection.exchange(request).await,
            Self::Once(target) => Connection::open(target).await?.exchange_last(request).await,
        }
    }
}
