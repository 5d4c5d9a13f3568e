//! The bytes of the request that is sent again and again. It must not allocate per request.

use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// A GET without a body; `{n}` in its path becomes a number that no other request of the session has.
#[derive(Debug)]
pub struct Request {
    before: Vec<u8>,
    after: Option<Vec<u8>>,
    next: AtomicU64,
}

impl Request {
    /// A GET of `path` on `host`.
    ///
    /// # Errors
    /// A path or host that would break out of the request line or header it stands in.
    pub fn get(host: &str, path: &str) -> Result<Self, InvalidRequest> {
        Self::with_headers(host, path, &[])
    }

    /// The same with further headers, each a name and a value.
    ///
    /// # Errors
    /// As for [`Request::get`], and for what would break out of a header.
    pub fn with_headers(host: &str, path: &str, headers: &[(&str, &str)]) -> Result<Self, InvalidRequest> {
        if !path.starts_with('/') || !is_plain(path) {
            return Err(InvalidRequest::Path(path.to_owned()));
        }
        if host.is_empty() || !is_plain(host) {
            return Err(InvalidRequest::Host(host.to_owned()));
        }
        if let Some((name, _)) = headers.iter().find(|(name, value)| !is_name(name) || !is_value(value)) {
            return Err(InvalidRequest::Header((*name).to_owned()));
        }
        let further = headers.iter().fold(String::new(), |text, (name, value)| text + name + ": " + value + "\r\n");
        let text = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{further}\r\n");
        let (before, after) = match text.split_once(NUMBER) {
            Some((before, after)) => (before.to_owned(), Some(after.as_bytes().to_vec())),
            None => (text, None),
        };
        Ok(Self { before: before.into_bytes(), after, next: AtomicU64::new(0) })
    }

    /// Replaces the content of `into` with the next request.
    pub fn write(&self, into: &mut Vec<u8>) {
        into.clear();
        into.extend_from_slice(&self.before);
        if let Some(after) = &self.after {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            // Writing to a Vec can't fail; fixed width keeps every request the same size.
            let _ = write!(into, "{number:010}");
            into.extend_from_slice(after);
        }
    }
}

/// Why no request can be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Not a header.
    #[error("header `{0}` has a name or a value with characters that would break out of it")]
    Header(String),
    /// Not a host name.
    #[error("host `{0}` is empty or has characters that are not printable ASCII")]
    Host(String),
    /// Not an absolute path.
    #[error("path `{0}` does not start with `/`, or has characters that are not printable ASCII")]
    Path(String),
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = String::from_utf8_lossy(&self.before);
        f.write_str(line.lines().next().unwrap_or_default())
    }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// What stands for the running number in a path.
pub const NUMBER: &str = "{n}";

#[cfg(test)]
mod tests {
    use super::*;

    fn written(request: &Request) -> String {
        let mut bytes = vec![b'?'; 3];
        request.write(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_plain_path_is_sent_as_it_is() {
        let request = Request::get("bench", "/x").unwrap();
        assert_eq!(written(&request), "GET /x HTTP/1.1\r\nhost: bench\r\n\r\n");
        assert_eq!(written(&request), written(&request));
    }

    #[test]
    fn a_numbered_path_is_another_each_time() {
        let request = Request::get("bench", "/x/{n}?q=1").unwrap();
        assert_eq!(written(&request), "GET /x/0000000000?q=1 HTTP/1.1\r\nhost: bench\r\n\r\n");
        assert_eq!(written(&request), "GET /x/0000000001?q=1 HTTP/1.1\r\nhost: bench\r\n\r\n");
    }

    #[test]
    fn further_headers_come_last_whether_the_path_is_numbered_or_not() {
        let headers = [("x-a", "By=\"a b\";Hash=1"), ("x-b", "2")];
        let tail = "HTTP/1.1\r\nhost: bench\r\nx-a: By=\"a b\";Hash=1\r\nx-b: 2\r\n\r\n";
        for (path, first) in [("/x", "/x"), ("/x{n}", "/x0000000000")] {
            let request = Request::with_headers("bench", path, &headers).unwrap();
            assert_eq!(written(&request), format!("GET {first} {tail}"));
        }
    }

    #[test]
    fn nothing_can_break_out_of_a_header() {
        for (name, value) in [("", "v"), ("a: b", "v"), ("a\r\n", "v"), ("a", "v\r\nx: y"), ("a", "\0"), ("a", "é")] {
            let error = Request::with_headers("bench", "/", &[(name, value)]).unwrap_err();
            assert_eq!(error, InvalidRequest::Header(name.to_owned()));
        }
    }

    #[test]
    fn nothing_can_break_out_of_the_request_line() {
        for path in ["", "x", "/a b", "/a\r\nx: y", "/é"] {
            assert_eq!(Request::get("bench", path).unwrap_err(), InvalidRequest::Path(path.to_owned()));
        }
        for host in ["", "a\r\nx: y", "a b"] {
            assert_eq!(Request::get(host, "/").unwrap_err(), InvalidRequest::Host(host.to_owned()));
        }
    }
}
