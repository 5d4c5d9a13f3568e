//! Whether a path means the same to everybody who reads it; it never repairs one, for then policy and service would read two.

/// Whether every reader takes `path` (without query, visible ASCII, starting with `/`) for the same resource.
///
/// Refused is what readers are known to resolve differently: dot segments and empty ones, also in front of `;`, backslashes,
/// fragments, broken escapes, and escapes of what needs none (RFC 3986 §6.2.2.2), of slashes, backslashes and NUL.
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
    text.split('%').skip(1).all(|escape| match escape.as_bytes() {
        [high, low, ..] => hex(*high).zip(hex(*low)).is_some_and(|(high, low)| may_be_escaped(high << 4 | low)),
        _ => false,
    })
}

fn may_be_escaped(byte: u8) -> bool {
    !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b'\\' | 0))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::is_unambiguous;

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
            "/a%252fb",
            "/a%3Bb",
            "/%3A",
            "/a:b@c!$&'()*+,=-_~",
            "/{a}",
            "/a%25",
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
