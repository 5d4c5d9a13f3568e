//! Looking up one header among many without copying any; it does not join or normalise values.

/// Header lines of a request, names in lower case.
pub trait Headers {
    /// The value of `name` (lower case), if there is exactly one and it is text.
    fn one(&self, name: &str) -> HeaderValue<'_>;
}

/// What was found under a name.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum HeaderValue<'a> {
    /// No such header.
    Absent,
    /// Several lines of that name.
    Many,
    /// One line, not UTF-8.
    NotText,
    /// One line.
    One(&'a str),
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> Headers for [(K, V)] {
    fn one(&self, name: &str) -> HeaderValue<'_> {
        let mut found = self.iter().filter(|(key, _)| key.as_ref() == name.as_bytes()).map(|(_, value)| value.as_ref());
        match (found.next(), found.next()) {
            (None, _) => HeaderValue::Absent,
            (Some(value), None) => std::str::from_utf8(value).map_or(HeaderValue::NotText, HeaderValue::One),
            (Some(_), Some(_)) => HeaderValue::Many,
        }
    }
}

// `[T]` is unsized and can't be a `dyn Headers`; what holds the lines can.
impl<K: AsRef<[u8]>, V: AsRef<[u8]>> Headers for Vec<(K, V)> {
    fn one(&self, name: &str) -> HeaderValue<'_> {
        self.as_slice().one(name)
    }
}

/// A request without headers.
pub struct NoHeaders;

impl Headers for NoHeaders {
    fn one(&self, _: &str) -> HeaderValue<'_> {
        HeaderValue::Absent
    }
}
