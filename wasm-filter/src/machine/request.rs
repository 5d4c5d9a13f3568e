//! A request or connection as the filter sees it, borrowed from what the host delivered or kept while the sidecar is asked.

use authz_core::facts::{self, HeaderValue, Headers, Http};
use authz_wire::link;

use super::peers::Peer;

/// What identifies a request or connection and belongs to it.
pub struct Arrival<'a> {
    /// The number of its context.
    pub stream: u32,
    /// Envoy's number of its connection.
    pub connection: u64,
    /// What is asked for.
    pub asked: Wanted<'a>,
}

/// What is asked for, borrowed.
#[derive(Copy, Clone)]
pub enum Wanted<'a> {
    /// The connection itself, whatever is then said on it.
    Connection,
    /// A request.
    Request {
        /// Every header line, pseudo headers included.
        headers: &'a Vec<(String, Vec<u8>)>,
        /// `HTTP/1.1`, `HTTP/2`, …; needed only if [`super::Machine::reads_protocol`].
        protocol: &'a str,
    },
}

/// What else the sidecar needs to know of it.
pub struct Question {
    /// The number of its context.
    pub stream: u32,
    /// Envoy's number of its connection.
    pub connection: u64,
    /// What is asked for.
    pub subject: Subject,
    /// Leaf certificate of the caller as PEM; empty if there is none.
    pub peer_certificate: Vec<u8>,
}

/// What is asked for, to be sent.
pub enum Subject {
    /// The connection itself.
    Connection,
    /// A request.
    Request {
        /// Every header line, pseudo headers included.
        headers: Vec<(String, Vec<u8>)>,
        /// `HTTP/1.1`, `HTTP/2`, …
        protocol: String,
    },
}

/// A request or connection that waits for the sidecar.
#[derive(Clone)]
pub struct Pending {
    /// What it was asked.
    pub asked: link::DecideRequest,
    /// The connection as it was then.
    pub peer: Peer,
    /// How often it was asked.
    pub attempts: u8,
}

impl Wanted<'_> {
    /// As facts.
    pub fn as_facts(&self) -> facts::Asked<'_> {
        match self {
            Self::Connection => facts::Asked::Connection,
            Self::Request { headers, protocol } => facts::Asked::Http(Http::from_headers(*headers, protocol)),
        }
    }
}

impl Pending {
    /// What was asked for, as facts.
    pub fn as_facts<'a>(&'a self, lines: &'a Asked<'a>) -> facts::Asked<'a> {
        as_facts(&self.asked, lines)
    }
}

/// What a question asks for, as facts.
pub fn as_facts<'a>(asked: &'a link::DecideRequest, lines: &'a Asked<'a>) -> facts::Asked<'a> {
    match asked.asked() {
        link::Asked::Connection => facts::Asked::Connection,
        link::Asked::Request => facts::Asked::Http(Http::from_headers(lines, &asked.protocol)),
    }
}

/// Header lines as the sidecar was asked about them.
pub struct Asked<'a>(pub &'a [link::Header]);

impl Headers for Asked<'_> {
    fn one(&self, name: &str) -> HeaderValue<'_> {
        let mut found = self.0.iter().filter(|line| line.name == name).map(|line| &line.value);
        match (found.next(), found.next()) {
            (None, _) => HeaderValue::Absent,
            (Some(value), None) => std::str::from_utf8(value).map_or(HeaderValue::NotText, HeaderValue::One),
            (Some(_), Some(_)) => HeaderValue::Many,
        }
    }

    fn has_repeated(&self) -> bool {
        facts::is_repeated(self.0.iter().map(|line| (line.name.as_bytes(), line.value.as_slice())))
    }
}

impl Question {
    /// The message for the sidecar; header lines move into it.
    pub fn into_message(self, peer: &Peer, instance: &[u8]) -> link::DecideRequest {
        let (asked, headers, protocol) = match self.subject {
            Subject::Connection => (link::Asked::Connection, Vec::new(), String::new()),
            Subject::Request { headers, protocol } => (link::Asked::Request, headers, protocol),
        };
        link::DecideRequest {
            asked: asked.into(),
            reading_under: Vec::new(),
            peer_certificate: self.peer_certificate,
            headers: headers.into_iter().map(|(name, value)| link::Header { name, value }).collect(),
            source_address: peer.address.to_string(),
            sni: peer.sni.as_deref().unwrap_or_default().into(),
            protocol,
            instance: instance.into(),
            destination_address: peer.destination.map(|to| to.to_string()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Keys are derived from the one on a hit and from the other on a miss.
        #[test]
        fn both_views_of_the_headers_agree(lines in prop::collection::vec(("[ab]", prop::collection::vec(any::<u8>(), 0..3)), 0..5)) {
            let message: Vec<_> =
                lines.iter().cloned().map(|(name, value)| link::Header { name, value }).collect();
            let message = Asked(&message);
            for name in ["a", "b", "c"] {
                prop_assert_eq!(lines.one(name), message.one(name));
            }
        }
    }
}
