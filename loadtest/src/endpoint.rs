//! A TCP address load may be aimed at. It must not be anything but this machine itself.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// A loopback address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint(SocketAddr);

impl Endpoint {
    /// Where to connect.
    pub fn address(self) -> SocketAddr {
        self.0
    }
}

impl TryFrom<SocketAddr> for Endpoint {
    type Error = InvalidEndpoint;

    fn try_from(address: SocketAddr) -> Result<Self, InvalidEndpoint> {
        let loopback = address.ip().to_canonical().is_loopback();
        if loopback { Ok(Self(address)) } else { Err(InvalidEndpoint::NotLoopback(address.to_string())) }
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    /// Takes `IP:PORT`, with `localhost` for 127.0.0.1; other names are refused unresolved, for they may lead anywhere.
    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let numeric = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.to_owned(),
        };
        match numeric.parse::<SocketAddr>() {
            Ok(address) => Self::try_from(address),
            Err(_) if is_named(text) => Err(InvalidEndpoint::NotLoopback(text.to_owned())),
            Err(_) => Err(InvalidEndpoint::NotAnAddress(text.to_owned())),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why load won't be aimed there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// Not an address.
    #[error("`{0}` is not an address; write IP:PORT, such as 127.0.0.1:8080")]
    NotAnAddress(String),
    /// Somebody else's machine, maybe.
    #[error("`{0}` is not a loopback address; this generator only loads the machine it runs on (127.0.0.0/8, [::1])")]
    NotLoopback(String),
}

/// Whether `text` looks like NAME:PORT.
fn is_named(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_taken() {
        for (text, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("127.9.9.9:80", "127.9.9.9:80"),
            ("[::1]:80", "[::1]:80"),
            ("localhost:80", "127.0.0.1:80"),
            ("[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:80"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn every_other_machine_is_refused() {
        for text in ["10.0.0.1:80", "0.0.0.0:80", "[::]:80", "[fe80::1]:80", "example.com:80", "localhost.evil:80"] {
            assert_eq!(text.parse::<Endpoint>(), Err(InvalidEndpoint::NotLoopback(text.to_owned())));
        }
    }

    #[test]
    fn what_is_no_address_is_called_so() {
        for text in ["", "8080", "localhost", "127.0.0.1", "127.0.0.1:", "localhost:99999"] {
            assert_eq!(text.parse::<Endpoint>(), Err(InvalidEndpoint::NotAnAddress(text.to_owned())));
        }
    }
}
