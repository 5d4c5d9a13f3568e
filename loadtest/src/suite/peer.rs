//! Where an `ext_authz` server listens, and the name it has in the report. It must not be on another machine.

use std::path::PathBuf;
use std::str::FromStr;

use crate::endpoint::{Endpoint, InvalidEndpoint};

/// Another `ext_authz` server to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name in the report.
    pub name: String,
    /// Where it listens.
    pub address: Address,
}

/// Where a gRPC server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// On loopback TCP.
    Tcp(Endpoint),
    /// On a Unix socket.
    Unix(PathBuf),
}

impl FromStr for Peer {
    type Err = InvalidPeer;

    fn from_str(text: &str) -> Result<Self, InvalidPeer> {
        let (name, address) = text.split_once('=').ok_or_else(|| InvalidPeer::NoName(text.to_owned()))?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(plain) {
            return Err(InvalidPeer::Name(name.to_owned()));
        }
        Ok(Self { name: name.to_owned(), address: address.parse()? })
    }
}

impl FromStr for Address {
    type Err = InvalidEndpoint;

    /// Takes `IP:PORT`, an absolute path, or `unix:PATH`.
    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let path = text.strip_prefix("unix:").or_else(|| text.starts_with('/').then_some(text));
        path.map_or_else(|| text.parse().map(Self::Tcp), |path| Ok(Self::Unix(path.into())))
    }
}

/// Why a peer is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPeer {
    /// Not an address of this machine.
    #[error(transparent)]
    Address(#[from] InvalidEndpoint),
    /// The name would not make a key of the report.
    #[error("peer name `{0}` is not 1 to {MAX_NAME} of a-z, 0-9 and _")]
    Name(String),
    /// No `=`.
    #[error("peer `{0}` has no name; write NAME=ADDRESS, such as opa=127.0.0.1:9191")]
    NoName(String),
}

const MAX_NAME: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_listen_on_loopback_or_a_unix_socket() {
        let cases = [
            ("opa=127.0.0.1:9191", "opa", Address::Tcp("127.0.0.1:9191".parse().unwrap())),
            ("a_1=/run/a.sock", "a_1", Address::Unix("/run/a.sock".into())),
            ("b=unix:b.sock", "b", Address::Unix("b.sock".into())),
        ];
        for (text, name, address) in cases {
            assert_eq!(text.parse(), Ok(Peer { name: name.to_owned(), address }));
        }
    }

    #[test]
    fn other_peers_are_refused_with_a_reason() {
        let away = InvalidEndpoint::NotLoopback("192.0.2.1:9191".to_owned());
        let cases = [
            ("127.0.0.1:9191", InvalidPeer::NoName("127.0.0.1:9191".to_owned())),
            ("OPA=127.0.0.1:9191", InvalidPeer::Name("OPA".to_owned())),
            ("=127.0.0.1:9191", InvalidPeer::Name(String::new())),
            ("opa=192.0.2.1:9191", InvalidPeer::Address(away)),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Peer>(), Err(expected));
        }
    }
}
