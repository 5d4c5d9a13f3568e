//! Whether a path means the same to everybody who reads it, and the one spelling that policies and keys see. What is ambiguous is
//! refused and never repaired, for then policy and service would read two.

use std::borrow::Cow;

/// A path that every reader takes for the same resource, in whatever spelling it came.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct NormalPath<'a>(&'a str);

impl<'a> NormalPath<'a> {
    /// INVARIANT: `path` is unambiguous, or one of the special targets `*` and nothing.
    pub(super) fn new(path: &'a str) -> Self {
        Self(path)
    }

    /// A path on its own: visible ASCII from the root, without a query, the same to every reader.
    pub fn parse(path: &'a str) -> Option<Self> {
        let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?');
        (plain && is_unambiguous(path)).then_some(Self(path))
    }

    /// As it came, which is how the service gets it.
    pub fn as_received(&self) -> &'a str {
        self.0
    }

    /// The one spelling: the digits of escapes in upper case (RFC 3986 §6.2.2.1). Nothing else is left to normalise.
    pub fn normal(&self) -> Cow<'a, str> {
        if !self.0.contains('%') {
            return Cow::Borrowed(self.0);
        }
        // Only ASCII letters became other ASCII letters.
        String::from_utf8(normal_bytes(self.0).collect()).map_or(Cow::Borrowed(self.0), Cow::Owned)
    }

    /// Writes [`NormalPath::normal`] behind what is in `out`, without allocating for it.
    pub(crate) fn write_normal(&self, out: &mut Vec<u8>) {
        if self.0.contains('%') {
            out.extend(normal_bytes(self.0));
        } else {
            out.extend_from_slice(self.0.as_bytes());
        }
    }

    /// Whether a segment has parameters (`;`), which some readers cut off before they look for the resource.
    pub fn has_parameters(&self) -> bool {
        self.0.contains(';') || self.0.contains("%3B") || self.0.contains("%3b")
    }
}

/// `path`, or a segment of one, in its one spelling, as long as it is.
pub(crate) fn normal_bytes(path: &str) -> impl Iterator<Item = u8> {
    let mut left: u8 = 0;
    path.bytes().map(move |byte| match (byte, left) {
        (b'%', _) => {
            left = 2;
            byte
        }
        (_, 0) => byte,
        _ => {
            left -= 1;
            byte.to_ascii_uppercase()
        }
    })
}

/// Whether every reader takes `path` (without query, visible ASCII, starting with `/`) for the same resource.
///
/// Refused is what readers are known to resolve differently: dot segments and empty ones, also in front of `;`, backslashes,
/// fragments, broken escapes, escapes of what needs none (RFC 3986 §6.2.2.2), of slashes, backslashes and control bytes, of bytes that
/// are no UTF-8 (an overlong slash among them), and an escaped `%` that a second decoding would turn into one of these.
/// An Envoy that normalises paths as the files in `envoy/` do lets almost none of these through, so they also tell of one that does not.
pub(super) fn is_unambiguous(path: &str) -> bool {
    let Some(segments) = path.strip_prefix('/') else { return false };
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        let may_be_empty = segments.peek().is_none();
        if !(segment.is_empty() && may_be_empty || is_plain(segment)) {
            return false;
        }
    }
    true
}

fn is_plain(segment: &str) -> bool {
    let special = |byte: u8| matches!(byte, b'%' | b';' | b'\\' | b'#');
    let Some(at) = segment.bytes().position(special) else {
        return !matches!(segment, "" | "." | "..");
    };
    // What stands before the first `;`, plain or escaped, is all that some readers see of a segment.
    let (seen, rest) = segment.split_at(at);
    let names = !matches!(seen, "" | "." | "..")
        || !(rest.starts_with(';') || rest.starts_with("%3b") || rest.starts_with("%3B"));
    names && !rest.contains(['\\', '#']) && escapes_are_needed(rest)
}

fn escapes_are_needed(text: &str) -> bool {
    let escapes = text.split('%').skip(1);
    escapes
        .clone()
        .all(|escape| byte_of(escape).is_some_and(|byte| may_be_escaped(byte) && !hides_another(byte, escape)))
        && is_utf8(escapes)
}

fn byte_of(escape: &str) -> Option<u8> {
    let [high, low, ..] = escape.as_bytes() else { return None };
    Some(hex(*high)? << 4 | hex(*low)?)
}

fn may_be_escaped(byte: u8) -> bool {
    let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    !(plain || matches!(byte, b'/' | b'\\') || byte.is_ascii_control())
}

/// Whether `escape`, which stands for `byte`, is a `%` in front of what a second decoding makes special.
fn hides_another(byte: u8, escape: &str) -> bool {
    let again = escape.get(2..).and_then(byte_of);
    byte == b'%'
        && again.is_some_and(|byte| matches!(byte, b'/' | b'\\' | b'.' | b'%' | b';') || byte.is_ascii_control())
}

/// Whether what `escapes` decode to is text: plain characters between them are ASCII and part no sequence in two.
fn is_utf8<'t>(escapes: impl Iterator<Item = &'t str> + Clone) -> bool {
    if escapes.clone().all(|escape| byte_of(escape).is_some_and(|byte| byte.is_ascii())) {
        return true;
    }
    let decoded: Vec<u8> =
        escapes.flat_map(|escape| byte_of(escape).into_iter().chain(escape.bytes().skip(2))).collect();
    std::str::from_utf8(&decoded).is_ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{NormalPath, is_unambiguous};

    #[test]
    fn escapes_have_one_spelling_and_nothing_else_changes() {
        for (path, expected) in
            [("/caf%c3%a9/%aB", "/caf%C3%A9/%AB"), ("/a%20b", "/a%20b"), ("/ab/cd", "/ab/cd"), ("*", "*")]
        {
            let normal = NormalPath::new(path).normal();
            let mut written = b"before".to_vec();
            NormalPath::new(path).write_normal(&mut written);
            assert_eq!((&*normal, &written[6..]), (expected, expected.as_bytes()));
        }
    }

    #[test]
    fn a_path_on_its_own_is_read_as_one_of_a_request_is() {
        for path in ["/", "/a/b.c/", "/caf%c3%a9", "/a;v=1"] {
            assert_eq!(NormalPath::parse(path).map(|path| path.as_received()), Some(path));
        }
        for path in ["", "a", "*", "/a//b", "/a/..", "/a?b", "/a b", "/é", "/a\n", "/%61"] {
            assert_eq!(NormalPath::parse(path), None, "{path}");
        }
    }

    #[test]
    fn a_path_that_all_readers_take_alike_is_plain() {
        let paths = [
            "/",
            "/a",
            "/a/",
            "/a/b.c/d",
            "/...",
            "/.well-known/x",
            "/a..b/..c",
            "/a;v=1/b",
            "/a;",
            "/caf%C3%A9",
            "/caf%c3%a9",
            "/a%20b",
            "/a%3Fb",
            "/a%23b",
            "/a%3Bb",
            "/%3A",
            "/a:b@c!$&'()*+,=-_~",
            "/{a}",
            "/a%25",
            "/100%25b",
            "/a%2520b",
            "/%F0%9F%98%80x%C3%A9",
        ];
        for path in paths {
            assert!(is_unambiguous(path), "{path}");
        }
    }

    #[test]
    fn a_path_that_readers_take_differently_is_refused() {
        let paths = [
            "",
            "a",
            "*", // not from the root
            "//",
            "//a",
            "/a//b",
            "/a//", // merged by some
            "/.",
            "/..",
            "/./a",
            "/../a",
            "/a/.",
            "/a/..",
            "/a/../b",
            "/a/./b", // resolved by most
            "/%2e",
            "/%2E%2e/a",
            "/a/.%2e/b",
            "/a/%2e./b", // resolved after decoding
            "/..;/a",
            "/a/..;x=1/b",
            "/.;",
            "/;/a",
            "/;x",
            "/a/..%3b/b",
            "/..%3Bx",
            "/%3b/a", // resolved after cutting parameters
            "/a\\b",
            "/\\..\\a",
            "/a%5cb",
            "/a%5C..%5Cb", // a slash to some
            "/a%252fb",
            "/a%2fb",
            "/a%2Fb",
            "/..%2fa", // a slash after decoding
            "/a#b",
            "/#",     // cut off by some
            "/a%00b", // the end to some
            "/%61dmin",
            "/a%2Db",
            "/a%7eb",
            "/%5Fa",
            "/%30", // another spelling of a plain one
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%2g",
            "/a%u002f",
            "/%%32", // decoded differently or not at all
        ];
        for path in paths {
            assert!(!is_unambiguous(path), "{path}");
        }
    }

    #[test]
    fn escapes_that_hide_something_are_refused() {
        let paths = [
            "/a%1f",
            "/%0d%0aa",
            "/a%7F", // a control character after decoding
            "/..%c0%afa",
            "/%C3",
            "/a%A9b",
            "/%ff",
            "/%c3%28",
            "/%c3x%a9", // no UTF-8, or an overlong slash
            "/%252e%252e/a",
            "/a%255c",
            "/a%2500",
            "/a%253Bb", // something else after a second decoding
        ];
        for path in paths {
            assert!(!is_unambiguous(path), "{path}");
        }
    }

    /// What a careless reader makes of a path: decodes, cuts parameters, turns backslashes, merges and resolves.
    fn careless(path: &str) -> String {
        let mut parts = path.split('%');
        let mut decoded = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            match part.get(..2).and_then(|two| u8::from_str_radix(two, 16).ok()) {
                Some(byte) => decoded.extend([char::from(byte)].into_iter().chain(part.chars().skip(2))),
                None => decoded.extend(['%'].into_iter().chain(part.chars())),
            }
        }
        let text = decoded.replace('\\', "/");
        let mut resolved = Vec::new();
        for segment in text.split('/').map(|segment| segment.split(';').next().unwrap_or_default()) {
            match segment {
                "" | "." => {}
                ".." => drop(resolved.pop()),
                name => resolved.push(name.to_owned()),
            }
        }
        resolved.join("/")
    }

    proptest! {
        #[test]
        fn no_reader_leaves_the_segments_of_an_unambiguous_path(path in r"(/([.;%a\\#/]|%2[eEfF5]|%5[cC]|%3[bB]|%61|\.\.){0,4}){1,4}") {
            if is_unambiguous(&path) {
                let segments = path.split('/').filter(|segment| !segment.is_empty()).count();
                let seen = careless(&path);
                prop_assert_eq!(seen.split('/').filter(|segment| !segment.is_empty()).count(), segments, "{} is read as {}", path, seen);
                prop_assert!(!path.contains("%61"));
            }
        }
    }
}
