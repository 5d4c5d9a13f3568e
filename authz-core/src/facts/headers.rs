//! Looking up one header among many without copying any; it does not join or normalise values.

use super::is_repeated;

/// Header lines of a request, names in lower case.
pub trait Headers {
    /// The value of `name` (lower case), if there is exactly one and it is text.
    fn one(&self, name: &str) -> HeaderValue<'_>;

    /// Whether a header that may be there once has several values; see [`super::is_repeated`].
    fn has_repeated(&self) -> bool;
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

    fn has_repeated(&self) -> bool {
        is_repeated(self.iter().map(|(name, value)| (name.as_ref(), value.as_ref())))
    }
}

// `[T]` is unsized and can't be a `dyn Headers`; what holds the lines can.
impl<K: AsRef<[u8]>, V: AsRef<[u8]>> Headers for Vec<(K, V)> {
    fn one(&self, name: &str) -> HeaderValue<'_> {
        self.as_slice().one(name)
    }

    fn has_repeated(&self) -> bool {
        self.as_slice().has_repeated()
    }
}

/// A request without headers.
pub struct NoHeaders;

impl Headers for NoHeaders {
    fn one(&self, _: &str) -> HeaderValue<'_> {
        HeaderValue::Absent
    }

    fn has_repeated(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_is_found_if_it_is_there_once_and_text() {
        let lines: Vec<(&str, &[u8])> = vec![
            ("one", b"1"),
            ("empty", b""),
            ("two", b"same"),
            ("two", b"same"),
            ("raw", b"a\xffb"),
            ("mixed", b"\xff"),
            ("mixed", b"text"),
            ("utf8", "\u{e4}".as_bytes()),
            ("Upper", b"1"),
        ];
        let cases = [
            ("one", HeaderValue::One("1")),
            ("empty", HeaderValue::One("")),
            ("two", HeaderValue::Many),
            ("raw", HeaderValue::NotText),
            ("mixed", HeaderValue::Many),
            ("utf8", HeaderValue::One("\u{e4}")),
            ("on", HeaderValue::Absent),
            ("", HeaderValue::Absent),
        ];
        for (name, expected) in cases {
            assert_eq!(lines.one(name), expected, "{name}");
        }
        assert_eq!(NoHeaders.one("one"), HeaderValue::Absent);
    }

    #[test]
    fn names_may_be_bytes_that_are_no_text() {
        let lines: Vec<(&[u8], &[u8])> = vec![(b"\xff", b"1"), (b"a", b"2")];
        assert_eq!(lines.one("a"), HeaderValue::One("2"));
        assert_eq!(lines.one("\u{fffd}"), HeaderValue::Absent);
    }

    proptest! {
        #[test]
        fn lookups_agree_with_counting(
            lines in prop::collection::vec(("[ab]", prop::collection::vec(prop::sample::select(vec![b'a', 0x80, 0]), 0..3)), 0..5),
        ) {
            let named: Vec<_> = lines.iter().filter(|(name, _)| name == "a").collect();
            let expected = match named.as_slice() {
                [] => HeaderValue::Absent,
                [(_, value)] => std::str::from_utf8(value).map_or(HeaderValue::NotText, HeaderValue::One),
                _ => HeaderValue::Many,
            };
            prop_assert_eq!(lines.one("a"), expected);
        }
    }
}
