//! Finds where one HTTP/1.1 answer ends. It must not keep the answer: status and length are all a load test needs.

/// What the head of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Bytes of head and body together.
    pub length: usize,
    /// The server will close the connection after this answer.
    pub closes: bool,
}

/// Reads the head of an answer to a GET; none if more bytes are needed.
///
/// # Errors
/// Bytes that are not HTTP/1.x, or a body without `content-length` (the suite's servers always send one).
pub fn head(bytes: &[u8]) -> Result<Option<Head>, InvalidResponse> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_length) = response.parse(bytes)? else {
        return if bytes.len() > MAX_HEAD { Err(InvalidResponse::HeadTooLong) } else { Ok(None) };
    };
    let status = response.code.unwrap_or_default();
    let body = if matches!(status, 204 | 304) { Some(0) } else { content_length(response.headers)? };
    let length = body.and_then(|body| head_length.checked_add(body)).ok_or(InvalidResponse::NoLength { status })?;
    Ok(Some(Head { status, length, closes: closes(response.headers) }))
}

/// Why an answer can't be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResponse {
    /// `content-length` is not a number, or there are two of them.
    #[error("answer with a content-length that is not one number")]
    BadLength,
    /// The head never ended.
    #[error("answer whose head is longer than {MAX_HEAD} bytes")]
    HeadTooLong,
    /// A body of unknown length.
    #[error("answer {status} without content-length; this generator does not read chunked bodies")]
    NoLength {
        /// The status of that answer.
        status: u16,
    },
    /// Not HTTP.
    #[error("answer is not HTTP/1.1: {0}; does the port speak TLS?")]
    NotHttp(#[from] httparse::Error),
}

fn content_length(headers: &[httparse::Header<'_>]) -> Result<Option<usize>, InvalidResponse> {
    let mut values = headers.iter().filter(|header| header.name.eq_ignore_ascii_case("content-length"));
    let Some(first) = values.next() else { return Ok(None) };
    let text = std::str::from_utf8(first.value).map_err(|_| InvalidResponse::BadLength)?;
    let digits_only = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if values.next().is_some() || !digits_only {
        return Err(InvalidResponse::BadLength);
    }
    text.parse().map(Some).map_err(|_| InvalidResponse::BadLength)
}

fn closes(headers: &[httparse::Header<'_>]) -> bool {
    headers
        .iter()
        .any(|header| header.name.eq_ignore_ascii_case("connection") && header.value.eq_ignore_ascii_case(b"close"))
}

const MAX_HEADERS: usize = 64;
const MAX_HEAD: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn complete(status: u16, length: usize, closes: bool) -> Head {
        Head { status, length, closes }
    }

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let cases: [(&[u8], _); 9] = [
            (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Ok(Some(complete(200, 40, false)))),
            (
                b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                Ok(Some(complete(403, 64, true))),
            ),
            (b"HTTP/1.1 204 No Content\r\n\r\n", Ok(Some(complete(204, 27, false)))),
            (b"HTTP/1.1 200 OK\r\ncontent-le", Ok(None)),
            (b"", Ok(None)),
            (b"HTTP/1.1 200 OK\r\n\r\n", Err(InvalidResponse::NoLength { status: 200 })),
            (b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n", Err(InvalidResponse::BadLength)),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", Err(InvalidResponse::BadLength)),
            (b"\x15\x03\x03\x00\x02", Err(InvalidResponse::NotHttp(httparse::Error::Version))),
        ];
        for (bytes, expected) in cases {
            assert_eq!(head(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_length_beyond_memory_is_refused() {
        let bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", usize::MAX);
        assert_eq!(head(bytes.as_bytes()), Err(InvalidResponse::NoLength { status: 200 }));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = head(&bytes);
        }

        #[test]
        fn a_cut_answer_asks_for_more_or_is_followed(cut in 0_usize..41) {
            let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            let part = &whole[..cut.min(whole.len())];
            prop_assert_eq!(head(part).unwrap().is_some(), part.len() >= 38);
        }
    }
}
