//! Headers that may be there once, and how to tell that one was there twice although a proxy joined the two. It reads no other header.

use super::{HeaderValue, Headers};

/// On these services rest decisions of their own (RFC 9110 §7.2, §8.3, §11.6.2, RFC 6454 §7.3): of two values one reader takes the
/// first and another the last, whether or not a policy of ours reads them.
const NAMES: [&str; 4] = ["authorization", "content-type", "host", "origin"];

/// Whether one of them has more than one value, on several lines or joined by a comma as Envoy does with some.
pub(crate) fn is_repeated(headers: &dyn Headers) -> bool {
    NAMES.iter().any(|name| match headers.one(name) {
        HeaderValue::Absent | HeaderValue::NotText => false,
        HeaderValue::Many => true,
        HeaderValue::One(value) => value.contains(',') && is_joined(name, value),
    })
}

fn is_joined(name: &str, value: &str) -> bool {
    match name {
        // Parameters of Digest and the like have commas; what follows Basic and Bearer has none (RFC 7617 §2, RFC 6750 §2.1).
        "authorization" => value
            .split_once(' ')
            .is_some_and(|(scheme, _)| ["basic", "bearer"].iter().any(|plain| scheme.eq_ignore_ascii_case(plain))),
        // Within quotes a comma is a character of a parameter (RFC 9110 §5.6.4).
        "content-type" => value.split('"').step_by(2).any(|outside| outside.contains(',')),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::is_repeated;

    #[test]
    fn two_values_are_told_from_one_with_a_comma_in_it() {
        let cases: [(&[(&str, &str)], bool); 14] = [
            (&[], false),
            (
                &[("authorization", "Bearer abc"), ("content-type", "text/html"), ("host", "a"), ("origin", "null")],
                false,
            ),
            (&[("authorization", "a"), ("authorization", "a")], true),
            (&[("authorization", "Bearer a,Bearer b")], true),
            (&[("authorization", "basic YQ==,bearer b")], true),
            (&[("authorization", "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b")], false),
            (&[("authorization", "Digest username=\"a\", realm=\"b\"")], false),
            (&[("content-type", "text/html,application/json")], true),
            (&[("content-type", "multipart/form-data; boundary=\"a,b\"")], false),
            (&[("content-type", "multipart/form-data; boundary=\"a,b\",text/html")], true),
            (&[("host", "a.test,b.test")], true),
            (&[("origin", "https://a.test,https://b.test")], true),
            (&[("cookie", "a"), ("cookie", "b"), ("accept", "a,b")], false),
            (&[("content-type", "text/html"), ("x", "1"), ("content-type", "text/html")], true),
        ];
        for (lines, expected) in cases {
            assert_eq!(is_repeated(&lines.to_vec()), expected, "{lines:?}");
        }
    }
}
