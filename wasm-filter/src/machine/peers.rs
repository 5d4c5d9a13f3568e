//! What belongs to a connection and not to a request, read once per connection; it does not know who is behind it.

use std::net::{IpAddr, SocketAddr};

use authz_core::identity::Digest;

use super::bounded::Bounded;

/// A bounded number of connections by Envoy's number for them, which Envoy never gives twice.
pub type Peers = Bounded<u64, Peer>;

/// The other end of a connection as Envoy describes it.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct Peer {
    /// Digest of the certificate it presented.
    pub digest: Option<Digest>,
    /// TLS server name it asked for.
    pub sni: Option<Box<str>>,
    /// `ip:port`.
    pub address: Box<str>,
    /// The IP address in it.
    pub ip: Option<IpAddr>,
    /// What it connected to.
    pub destination: Option<SocketAddr>,
}

impl Peer {
    /// From Envoy's properties `connection.sha256_peer_certificate_digest`, `connection.requested_server_name`,
    /// `source.address` and `destination.address`; what is absent or no text stays unknown.
    pub fn from_properties(
        digest: Option<&[u8]>,
        sni: Option<&[u8]>,
        address: Option<&[u8]>,
        destination: Option<&[u8]>,
    ) -> Self {
        let digest = digest.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| Digest::from_hex(hex).ok());
        let sni = sni.and_then(|sni| std::str::from_utf8(sni).ok()).filter(|sni| !sni.is_empty()).map(Box::from);
        let address: Box<str> = address.and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default().into();
        let ip = address.parse::<SocketAddr>().map(|socket| socket.ip()).ok();
        let destination = destination.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        Self { digest, sni, address, ip, destination }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_become_typed_or_stay_unknown() {
        let hex = "0f".repeat(32);
        let peer =
            Peer::from_properties(Some(hex.as_bytes()), Some(b"a.test"), Some(b"[::1]:4433"), Some(b"10.0.0.1:443"));
        assert_eq!(peer.destination, "10.0.0.1:443".parse().ok());
        assert_eq!(peer.digest, Some(Digest::from_bytes([15; 32])));
        assert_eq!((peer.sni.as_deref(), peer.ip), (Some("a.test"), "::1".parse().ok()));

        let nothing = Peer::from_properties(Some(b"xx"), Some(b""), Some(b"\xff"), Some(b"x"));
        assert_eq!((nothing.digest, nothing.sni, nothing.ip, &*nothing.address), (None, None, None, ""));
        assert_eq!(Peer::from_properties(None, None, Some(b"/run/socket"), None).ip, None);
    }
}
