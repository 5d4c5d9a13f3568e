//! The HTTP part of the facts, with its limits; a path that readers may resolve differently is refused, not repaired.

use super::{
    Grpc, HeaderValue, Headers,
    path::{NormalPath, is_unambiguous},
    query::{QueryValue, parameter},
};
use crate::reason::Reason;

/// A well-formed HTTP request.
#[derive(Copy, Clone)]
pub struct Http<'a> {
    /// `:method`, a token of RFC 9110 §5.6.2.
    pub method: &'a str,
    /// `:path` up to the first `?`, the same to every reader; `*` for OPTIONS, empty for CONNECT.
    pub path: NormalPath<'a>,
    /// `:path` after the first `?`.
    pub query: Option<&'a str>,
    /// `:authority`.
    pub host: &'a str,
    /// `:scheme`, empty if unknown.
    pub scheme: &'a str,
    /// `HTTP/1.1`, `HTTP/2`, …; empty if unknown.
    pub protocol: &'a str,
    /// All header lines.
    pub headers: &'a dyn Headers,
}

/// What keeps a request from being judged at all.
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidHttp {
    /// No `:method`, several, or no token.
    #[error("method is missing, repeated or no token")]
    Method,
    /// A `:path` that two readers may read differently: bytes that are no visible ASCII, dot segments, escapes that hide something.
    #[error(
        "path is not normalised, has escapes that readers resolve differently, or holds bytes other than visible ASCII; turn on Envoy's path normalisation"
    )]
    Ambiguous,
    /// No `:path`, several, no text, or not starting with `/`.
    #[error("path is missing, repeated, no text or relative")]
    Path,
    /// Several `:authority`, or bytes that are no visible ASCII.
    #[error("host is repeated or holds bytes other than visible ASCII")]
    Host,
    /// A pseudo header is repeated or too long.
    #[error("a pseudo header is repeated or longer than {MAX_PSEUDO} bytes")]
    Pseudo,
}

impl InvalidHttp {
    /// The reason for which such a request is denied.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Ambiguous => Reason::PathAmbiguous,
            Self::Host | Self::Method | Self::Path | Self::Pseudo => Reason::RequestMalformed,
        }
    }
}

/// Longest method, path, host, scheme or protocol looked at; longer is refused.
pub const MAX_PSEUDO: usize = 16 * 1024;

impl<'a> Http<'a> {
    /// Reads the pseudo headers `:method`, `:path`, `:authority`, `:scheme` as Envoy delivers them.
    pub fn from_headers(headers: &'a (dyn Headers + 'a), protocol: &'a str) -> Result<Self, InvalidHttp> {
        let method = text(headers.one(":method"), InvalidHttp::Method)?;
        let target = text(headers.one(":path"), InvalidHttp::Path)?;
        let host = text(headers.one(":authority"), InvalidHttp::Host)?;
        let scheme = text(headers.one(":scheme"), InvalidHttp::Pseudo)?;
        Self::new(method, target, host, scheme, protocol, headers)
    }

    /// From the parts of a request; `target` is path and query.
    pub fn new(
        method: &'a str,
        target: &'a str,
        host: &'a str,
        scheme: &'a str,
        protocol: &'a str,
        headers: &'a (dyn Headers + 'a),
    ) -> Result<Self, InvalidHttp> {
        if [method, target, host, scheme, protocol].iter().any(|part| part.len() > MAX_PSEUDO) {
            return Err(InvalidHttp::Pseudo);
        }
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(InvalidHttp::Method);
        }
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let special = matches!((method, target), ("CONNECT", "") | ("OPTIONS", "*"));
        if !special && !path.starts_with('/') {
            return Err(InvalidHttp::Path);
        }
        // A `#` in the query is a fragment to some and a part of the query to others.
        let plain = is_unambiguous(path) && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !(special || plain) {
            return Err(InvalidHttp::Ambiguous);
        }
        if !host.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidHttp::Host);
        }
        Ok(Self { method, path: NormalPath::new(path), query, host, scheme, protocol, headers })
    }

    /// The parameter of the query with this name. Decoded anew each time: few policies read any.
    pub fn query_parameter(&self, name: &str) -> QueryValue<'a> {
        parameter(self.query, name)
    }

    /// The gRPC method it calls, if it says that it is gRPC.
    pub fn grpc(&self) -> Option<Grpc<'a>> {
        Grpc::of(self)
    }
}

fn text(value: HeaderValue<'_>, error: InvalidHttp) -> Result<&str, InvalidHttp> {
    match value {
        HeaderValue::Absent => Ok(""),
        HeaderValue::One(text) => Ok(text),
        HeaderValue::Many | HeaderValue::NotText => Err(error),
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::NoHeaders;

    #[track_caller]
    fn check(method: &str, target: &str, expected: Result<(&str, Option<&str>), InvalidHttp>) {
        let parsed = Http::new(method, target, "demo.test", "https", "HTTP/2", &NoHeaders);
        assert_eq!(parsed.map(|http| (http.path.as_received(), http.query)), expected, "{method} {target}");
    }

    #[track_caller]
    fn refused(lines: &[(&str, &[u8])], expected: InvalidHttp) {
        let lines = lines.to_vec();
        assert_eq!(Http::from_headers(&lines, "HTTP/2").err(), Some(expected), "{lines:?}");
    }

    #[test]
    fn pseudo_headers_count_once_and_as_text() {
        let good: Vec<(&str, &[u8])> =
            vec![(":method", b"GET"), (":path", b"/a?b"), (":authority", b"demo.test"), (":scheme", b"https")];
        let http = Http::from_headers(&good, "HTTP/2").unwrap();
        assert_eq!(
            (http.method, http.path.as_received(), http.query, http.host, http.scheme),
            ("GET", "/a", Some("b"), "demo.test", "https")
        );
        let errors = [InvalidHttp::Method, InvalidHttp::Path, InvalidHttp::Host, InvalidHttp::Pseudo];
        for ((name, value), error) in good.iter().zip(errors) {
            let others: Vec<_> = good.iter().copied().filter(|(other, _)| other != name).collect();
            refused(&[&others[..], &[(name, value), (name, value)]].concat(), error);
            refused(&[&others[..], &[(name, b"/\xff")]].concat(), error);
        }
        refused(&good[1..], InvalidHttp::Method);
        refused(&[good[0]], InvalidHttp::Path);
    }

    #[test]
    fn host_is_visible_ascii_or_nothing() {
        for (host, expected) in
            [("", true), ("a.test:443", true), ("[::1]:8", true), ("a b", false), ("ä.test", false), ("a\0", false)]
        {
            let parsed = Http::new("GET", "/", host, "https", "HTTP/2", &NoHeaders);
            assert_eq!(parsed.err(), (!expected).then_some(InvalidHttp::Host), "{host:?}");
        }
    }

    #[test]
    fn what_is_longer_than_the_limit_is_refused_at_the_limit() {
        let longest = format!("/{}", "a".repeat(MAX_PSEUDO - 1));
        check("GET", &longest, Ok((&longest, None)));
        check("GET", &format!("{longest}a"), Err(InvalidHttp::Pseudo));
    }

    #[test]
    fn path_and_query_are_split_at_the_first_question_mark() {
        check("GET", "/a", Ok(("/a", None)));
        check("GET", "/a?", Ok(("/a", Some(""))));
        check("GET", "/a?b?c", Ok(("/a", Some("b?c"))));
        check("OPTIONS", "*", Ok(("*", None)));
        check("CONNECT", "", Ok(("", None)));
    }

    #[test]
    fn what_can_not_be_judged_is_named() {
        check("", "/", Err(InvalidHttp::Method));
        check("GE T", "/", Err(InvalidHttp::Method));
        check("GET", "", Err(InvalidHttp::Path));
        check("GET", "a", Err(InvalidHttp::Path));
        check("GET", "*", Err(InvalidHttp::Path));
        check("OPTIONS", "*?a", Err(InvalidHttp::Path));
        check("CONNECT", "?a", Err(InvalidHttp::Path));
        check("CONNECT", "demo.test:443", Err(InvalidHttp::Path));
        check("GET", "http://demo.test/", Err(InvalidHttp::Path));
        check("GET", "/a/../b", Err(InvalidHttp::Ambiguous));
        check("GET", "/a?b#c", Err(InvalidHttp::Ambiguous));
        check("GET", "/a b", Err(InvalidHttp::Ambiguous));
        check("GET", "/a\u{7f}", Err(InvalidHttp::Ambiguous));
        check("GET", "/a?b\n", Err(InvalidHttp::Ambiguous));
        check("GET", "/ä", Err(InvalidHttp::Ambiguous));
        check("GET", &"/a".repeat(MAX_PSEUDO), Err(InvalidHttp::Pseudo));
    }
}
