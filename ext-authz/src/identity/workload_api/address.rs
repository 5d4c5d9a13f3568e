//! Where an agent listens (SPIFFE Workload Endpoint §4). It connects to nothing.

use std::fmt;

use spiffe::transport::Endpoint;
use thiserror::Error;

/// `unix:///path/of/socket` or `tcp://IP:port`; it prints as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentAddress {
    text: String,
    endpoint: Endpoint,
}

/// Text that is no address of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text:?} is no address of a Workload API ({why}); write unix:///path/of/socket or tcp://IP:port")]
pub struct InvalidAddress {
    text: String,
    why: String,
}

impl AgentAddress {
    /// Reads an address.
    ///
    /// # Errors
    /// Another scheme, a host name instead of an IP, a port or path where none belongs.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let refuse = |why: String| InvalidAddress { text: text.to_owned(), why };
        // The reader would escape such characters, and the name on disk would be another one.
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'%') {
            return Err(refuse("only printable ASCII without % is taken".to_owned()));
        }
        // A short form without slashes is read by many, but it is not in the standard.
        if !(text.starts_with("unix:///") || text.starts_with("tcp://")) {
            return Err(refuse("it begins with neither unix:/// nor tcp://".to_owned()));
        }
        let endpoint = Endpoint::parse(text).map_err(|error| refuse(error.to_string()))?;
        Ok(Self { text: text.to_owned(), endpoint })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl fmt::Display for AgentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::AgentAddress;

    #[test]
    fn an_address_is_a_socket_or_an_ip_with_a_port() {
        for text in ["unix:///run/spire/agent.sock", "tcp://127.0.0.1:8081", "tcp://[::1]:8081"] {
            assert_eq!(AgentAddress::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "/run/spire/agent.sock",
            "unix:/run/agent.sock",
            "unix:run/agent.sock",
            "unix://run/agent.sock",
            "unix:///",
            "unix:///a?b",
            "unix:///a#b",
            "unix:///a%20b",
            "unix:///a b",
            "tcp://localhost:8081",
            "tcp://127.0.0.1",
            "tcp://127.0.0.1:8081/path",
            "tcp://user@127.0.0.1:8081",
            "http://127.0.0.1:8081",
        ] {
            let error = AgentAddress::parse(text).unwrap_err().to_string();
            assert!(error.contains("write unix:///path/of/socket or tcp://IP:port"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = (AgentAddress::parse(&text), AgentAddress::parse(&format!("unix:///{text}")), AgentAddress::parse(&format!("tcp://{text}")));
        }
    }
}
