//! The HTTP part of the facts, with its limits; it does not decode or normalise the path (Envoy has, see envoy/).

use super::{HeaderValue, Headers};

/// A well-formed HTTP request.
#[derive(Copy, Clone)]
pub struct Http<'a> {
    /// `:method`, a token of RFC 9110 §5.6.2.
    pub method: &'a str,
    /// `:path` up to the first `?`, or `*`; empty for CONNECT.
    pub path: &'a str,
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
    /// No `:path`, several, not starting with `/`, or with bytes that are no visible ASCII.
    #[error("path is missing, repeated, relative or holds bytes other than visible ASCII")]
    Path,
    /// Several `:authority`, or bytes that are no visible ASCII.
    #[error("host is repeated or holds bytes other than visible ASCII")]
    Host,
    /// A pseudo header is repeated or too long.
    #[error("a pseudo header is repeated or longer than {MAX_PSEUDO} bytes")]
    Pseudo,
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
        let shaped = path.starts_with('/') || path == "*" || (path.is_empty() && method == "CONNECT");
        if !shaped || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidHttp::Path);
        }
        if !host.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidHttp::Host);
        }
        Ok(Self { method, path, query, host, scheme, protocol, headers })
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
        assert_eq!(parsed.map(|http| (http.path, http.query)), expected, "{method} {target}");
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
        check("GET", "/a b", Err(InvalidHttp::Path));
        check("GET", "/ä", Err(InvalidHttp::Path));
        check("GET", &"/a".repeat(MAX_PSEUDO), Err(InvalidHttp::Pseudo));
    }
}
