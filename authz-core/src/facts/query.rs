//! One parameter out of a query, if everybody who reads the query finds the same there; it repairs nothing.

use std::borrow::Cow;

/// What was found under a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueryValue<'a> {
    /// No such parameter.
    Absent,
    /// Several, or one that readers take for different texts.
    Ambiguous,
    /// One.
    One(Cow<'a, str>),
}

/// What a decoded text has in place of bytes that are no UTF-8.
const NOT_TEXT: char = '\u{fffd}';

/// Whether parameters can be looked for by this name: not by one that other bytes may decode to.
pub fn is_parameter_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(NOT_TEXT)
}

/// The parameter `name` of a query (`a=1&b=2`), decoded as application/x-www-form-urlencoded (WHATWG URL §5.1).
///
/// Ambiguous is what is there twice, what is no UTF-8, what has a broken escape or a NUL (some readers drop or cut such), and
/// what a reader that ends parameters at `;` too (HTML 4.01 §B.2.2) would find another value for, or only that one.
pub(super) fn parameter<'q>(query: Option<&'q str>, name: &str) -> QueryValue<'q> {
    let Some(query) = query else { return QueryValue::Absent };
    let found = among(query.split('&'), name);
    if query.contains(';') && found != among(query.split(['&', ';']), name) {
        return QueryValue::Ambiguous;
    }
    found
}

fn among<'q>(pieces: impl Iterator<Item = &'q str>, name: &str) -> QueryValue<'q> {
    let mut found = QueryValue::Absent;
    for piece in pieces {
        // Of one piece there is at most one pair.
        let pair = form_urlencoded::parse(piece.as_bytes()).next();
        let Some((_, value)) = pair.filter(|(key, _)| key == name) else { continue };
        if found != QueryValue::Absent || is_broken(piece) || value.contains([NOT_TEXT, '\0']) {
            return QueryValue::Ambiguous;
        }
        found = QueryValue::One(value);
    }
    found
}

/// Whether a `%` has no two hexadecimal digits behind it.
fn is_broken(piece: &str) -> bool {
    let digits = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count();
    piece.split('%').skip(1).any(|rest| digits(rest) < 2)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn one(text: &str) -> QueryValue<'_> {
        QueryValue::One(text.into())
    }

    #[test]
    fn a_parameter_is_found_decoded_once_or_not_at_all() {
        use QueryValue::{Absent, Ambiguous};
        let cases = [
            ("", Absent),
            ("role", one("")),
            ("role=", one("")),
            ("role=admin", one("admin")),
            ("a=1&role=admin&b=2", one("admin")),
            ("&&role=a=b&", one("a=b")),
            ("role=a+b%20c%2Bd", one("a b c+d")),
            ("%72ole=%C3%A4", one("\u{e4}")),
            ("r+ole=1&ROLE=2&role[]=3", Absent),
            ("role=1&role=1", Ambiguous),
            ("role=1&%72ole=2", Ambiguous),
            ("role&role", Ambiguous),
            ("role=%ff", Ambiguous),
            ("role=%EF%BF%BD", Ambiguous),
            ("role=%00", Ambiguous),
            ("role=admin%", Ambiguous),
            ("role=%4", Ambiguous),
            ("role=%zz", Ambiguous),
            ("other=%ff&other=%&role=1", one("1")),
            ("role=1;a=2", Ambiguous),
            ("a=2;role=1", Ambiguous),
            ("role=1&a=2;role=2", Ambiguous),
            ("role=1&a=2;b=3", one("1")),
            ("role=1%3Bb", one("1;b")),
        ];
        for (query, expected) in cases {
            assert_eq!(parameter(Some(query), "role"), expected, "{query}");
        }
        assert_eq!(parameter(None, "role"), Absent);
    }

    #[test]
    fn names_that_bytes_could_be_repaired_to_are_none() {
        for (name, expected) in [("role", true), ("a b", true), ("", false), ("a\u{fffd}", false)] {
            assert_eq!(is_parameter_name(name), expected, "{name}");
        }
    }

    /// The standard once more, byte by byte.
    fn decode(text: &str) -> Vec<u8> {
        let mut decoded = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let escaped = text.get(at + 1..at + 3).filter(|_| &text[at..=at] == "%");
            let escaped = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            decoded.push(escaped.unwrap_or(if &text[at..=at] == "+" { b' ' } else { text.as_bytes()[at] }));
            at += if escaped.is_some() { 3 } else { 1 };
        }
        decoded
    }

    fn decoded(query: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pieces = query.split('&').filter(|piece| !piece.is_empty());
        pieces.map(|piece| piece.split_once('=').unwrap_or((piece, ""))).map(|(k, v)| (decode(k), decode(v))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn what_is_found_is_what_the_standard_says(
            pieces in vec(select(vec!["a", "b", "=", "&", ";", "+", "%61", "%C3%A9", "%ff", "%3b", "%", "%0", "1"]), 0..12),
            name in select(vec!["a", "b", "ab", "\u{e9}"]),
        ) {
            let query = pieces.concat();
            let standard: Vec<_> = decoded(&query).into_iter().filter(|(key, _)| key == name.as_bytes()).collect();
            match parameter(Some(&query), name) {
                QueryValue::Absent => prop_assert!(standard.is_empty()),
                QueryValue::One(value) => {
                    prop_assert_eq!(&standard, &[(name.as_bytes().to_vec(), value.as_bytes().to_vec())]);
                    let semicolons = decoded(&query.replace(';', "&"));
                    let others: Vec<_> = semicolons.into_iter().filter(|(key, _)| key == name.as_bytes()).collect();
                    prop_assert_eq!(others, standard);
                }
                QueryValue::Ambiguous => prop_assert!(query.contains(['%', ';']) || standard.len() > 1),
            }
        }

        #[test]
        fn no_query_ends_the_process(query in "\\PC{0,60}", name in "\\PC{0,4}") {
            let _ = parameter(Some(&query), &name);
        }
    }
}
