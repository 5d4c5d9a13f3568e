//! Headers that may be there once, and how to tell that one was there twice although a proxy joined the two. It reads no other header.

/// Whether one of them has more than one value, on several lines or joined by a comma as Envoy does with some.
///
/// On these services rest decisions of their own (RFC 9110 §7.2, §8.3, §11.6.2, RFC 6454 §7.3): of two values one reader takes the
/// first and another the last, whether or not a policy of ours reads them. Looks at each line once, and at most by its length.
pub fn is_repeated<'l>(lines: impl Iterator<Item = (&'l [u8], &'l [u8])>) -> bool {
    let mut seen = [false; 4];
    for (name, value) in lines {
        let (kind, joined): (usize, fn(&[u8]) -> bool) = match name {
            b"authorization" => (0, are_credentials_joined),
            b"content-type" => (1, are_types_joined),
            b"host" => (2, has_comma),
            b"origin" => (3, has_comma),
            _ => continue,
        };
        let before = seen.get_mut(kind).is_some_and(|seen| std::mem::replace(seen, true));
        if before || joined(value) {
            return true;
        }
    }
    false
}

fn has_comma(value: &[u8]) -> bool {
    value.contains(&b',')
}

/// Parameters of Digest and the like have commas; what follows Basic and Bearer has none (RFC 7617 §2, RFC 6750 §2.1).
fn are_credentials_joined(value: &[u8]) -> bool {
    let scheme = value.split(|byte| *byte == b' ').next().unwrap_or_default();
    let plain = scheme.eq_ignore_ascii_case(b"basic") || scheme.eq_ignore_ascii_case(b"bearer");
    plain && scheme.len() < value.len() && has_comma(value)
}

/// Within quotes a comma is a character of a parameter (RFC 9110 §5.6.4).
fn are_types_joined(value: &[u8]) -> bool {
    value.split(|byte| *byte == b'"').step_by(2).any(has_comma)
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
            let lines_of = lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            assert_eq!(is_repeated(lines_of), expected, "{lines:?}");
        }
    }
}
