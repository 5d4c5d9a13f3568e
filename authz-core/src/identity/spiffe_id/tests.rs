//! Every rule of the SPIFFE ID grammar as a row of a table, and the two properties that hold for any text.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::{InvalidSpiffeId, SpiffeId};

/// The error without its values: which rule was broken.
fn rule(error: &InvalidSpiffeId) -> &'static str {
    match error {
        InvalidSpiffeId::DotSegment { .. } => "dot segment",
        InvalidSpiffeId::Empty => "empty",
        InvalidSpiffeId::EmptySegment { .. } => "empty segment",
        InvalidSpiffeId::NoPath { .. } => "no path",
        InvalidSpiffeId::PathCharacter { .. } => "path character",
        InvalidSpiffeId::Scheme { .. } => "scheme",
        InvalidSpiffeId::TooLong { .. } => "too long",
        InvalidSpiffeId::TrailingSlash { .. } => "trailing slash",
        InvalidSpiffeId::TrustDomainCharacter { .. } => "trust domain character",
        InvalidSpiffeId::TrustDomainMissing { .. } => "trust domain missing",
        InvalidSpiffeId::TrustDomainTooLong { .. } => "trust domain too long",
    }
}

#[test]
fn a_legal_id_keeps_its_text_and_splits_into_trust_domain_and_path() {
    let longest_domain = format!("spiffe://{}/x", "d".repeat(255));
    let longest_id = format!("spiffe://td/{}", "p".repeat(2048 - "spiffe://td/".len()));
    let cases = [
        ("spiffe://td", "td", ""),
        ("spiffe://td/a", "td", "/a"),
        ("spiffe://td/a/b/c", "td", "/a/b/c"),
        ("spiffe://example.org/ns/prod/sa/Web_1", "example.org", "/ns/prod/sa/Web_1"),
        ("spiffe://a-b_c.1/-/_", "a-b_c.1", "/-/_"),
        ("spiffe://10.0.0.1/w", "10.0.0.1", "/w"),
        ("spiffe://..../w", "....", "/w"),
        ("spiffe://td/...", "td", "/..."),
        ("spiffe://td/.path", "td", "/.path"),
        ("spiffe://td/..path", "td", "/..path"),
        ("spiffe://td/path..", "td", "/path.."),
        ("spiffe://td/spiffe", "td", "/spiffe"),
        (&longest_domain, &"d".repeat(255), "/x"),
        (&longest_id, "td", longest_id.strip_prefix("spiffe://td").unwrap()),
    ];
    for (text, trust_domain, path) in cases {
        let id = SpiffeId::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((id.as_str(), id.trust_domain(), id.path()), (text, trust_domain, path));
        assert_eq!(id.is_trust_domain_id(), path.is_empty(), "{text}");
    }
}

#[test]
fn an_illegal_id_is_refused_by_the_rule_it_breaks() {
    let too_long = format!("spiffe://td/{}", "p".repeat(2049 - "spiffe://td/".len()));
    let domain_too_long = format!("spiffe://{}/x", "d".repeat(256));
    let long = [(too_long.as_str(), "too long"), (domain_too_long.as_str(), "trust domain too long")];
    for (text, expected) in ILLEGAL.iter().copied().chain(long) {
        let error = SpiffeId::parse(text).expect_err(text);
        assert_eq!(rule(&error), expected, "{text}: {error}");
    }
}

#[test]
fn a_message_names_the_bad_value_shortened_and_the_remedy() {
    let error = SpiffeId::parse("spiffe://td/a b").unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"spiffe id "spiffe://td/a b" has ' ' in its path; use only letters, digits, dots, dashes and underscores"#
    );
    let long = SpiffeId::parse(&"x".repeat(1_000_000)).unwrap_err();
    assert!(long.to_string().len() < 200, "{long}");
}

#[test]
fn prefixes_are_whole_segments_and_end_with_the_id() {
    let cases: [(&str, &[&str]); 4] = [
        ("spiffe://td", &[]),
        ("spiffe://td/a", &["spiffe://td/a"]),
        ("spiffe://td/a/b/c", &["spiffe://td/a", "spiffe://td/a/b", "spiffe://td/a/b/c"]),
        ("spiffe://td/aa/a", &["spiffe://td/aa", "spiffe://td/aa/a"]),
    ];
    for (text, expected) in cases {
        let id = SpiffeId::parse(text).unwrap();
        assert_eq!(id.prefixes().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn identity_is_the_text() {
    let id = |text| SpiffeId::parse(text).unwrap();
    assert_eq!(id("spiffe://td/a"), id("spiffe://td/a").clone());
    assert_ne!(id("spiffe://td/a"), id("spiffe://td/A"));
    assert!(id("spiffe://td/a") < id("spiffe://td/b"));
    assert_eq!(id("spiffe://td/a").to_string(), "spiffe://td/a");
    assert_eq!(format!("{:?}", id("spiffe://td/a")), "\"spiffe://td/a\"");
    assert_eq!(HashSet::from([id("spiffe://td/a"), id("spiffe://td/a")]).len(), 1);
}

#[test]
fn a_map_keyed_by_ids_answers_to_text() {
    let map = HashMap::from([(SpiffeId::parse("spiffe://td/a").unwrap(), 1)]);
    assert_eq!(map.get("spiffe://td/a"), Some(&1));
    assert_eq!(map.get("spiffe://td/b"), None);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = SpiffeId::parse(&text);
    }

    #[test]
    fn no_text_that_looks_like_an_id_makes_the_parser_panic(text in "spiffe://[a-zA-Z0-9./%_é-]{0,40}") {
        if let Ok(id) = SpiffeId::parse(&text) {
            prop_assert_eq!(id.as_str(), &text);
            prop_assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text);
        }
    }

    #[test]
    fn a_legal_id_is_kept_byte_for_byte(domain in "[a-z0-9._-]{1,20}", path in "(/[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,9}){0,5}") {
        let text = format!("spiffe://{domain}{path}");
        let id = SpiffeId::parse(&text).unwrap();
        prop_assert_eq!(id.as_str(), &text);
        prop_assert_eq!(id.prefixes().count(), path.matches('/').count());
        for prefix in id.prefixes() {
            prop_assert!(SpiffeId::parse(prefix).is_ok());
        }
    }
}

/// A text and the rule of the grammar it breaks.
const ILLEGAL: &[(&str, &str)] = &[
    ("", "empty"),
    ("td/a", "scheme"),
    ("http://td/a", "scheme"),
    ("SPIFFE://td/a", "scheme"),
    ("Spiffe://td/a", "scheme"),
    (" spiffe://td/a", "scheme"),
    ("spiffe:/td/a", "scheme"),
    ("spiffe:td/a", "scheme"),
    ("spiffe", "scheme"),
    ("spiffe://", "trust domain missing"),
    ("spiffe:///", "trust domain missing"),
    ("spiffe:///a", "trust domain missing"),
    ("spiffe://TD/a", "trust domain character"),
    ("spiffe://tD", "trust domain character"),
    ("spiffe://td:443/a", "trust domain character"),
    ("spiffe://td:/a", "trust domain character"),
    ("spiffe://user@td/a", "trust domain character"),
    ("spiffe://user:pw@td/a", "trust domain character"),
    ("spiffe://[::1]/a", "trust domain character"),
    ("spiffe://t%64/a", "trust domain character"),
    ("spiffe://t d/a", "trust domain character"),
    ("spiffe://td?q", "trust domain character"),
    ("spiffe://td#f", "trust domain character"),
    ("spiffe://t\0d/a", "trust domain character"),
    ("spiffe://t\u{e9}/a", "trust domain character"),
    ("spiffe://td\\a", "trust domain character"),
    ("spiffe://td/", "trailing slash"),
    ("spiffe://td/a/", "trailing slash"),
    ("spiffe://td//", "empty segment"),
    ("spiffe://td//a", "empty segment"),
    ("spiffe://td/a//b", "empty segment"),
    ("spiffe://td/.", "dot segment"),
    ("spiffe://td/..", "dot segment"),
    ("spiffe://td/./a", "dot segment"),
    ("spiffe://td/a/../b", "dot segment"),
    ("spiffe://td/a/..", "dot segment"),
    ("spiffe://td/a%2fb", "path character"),
    ("spiffe://td/a?q=1", "path character"),
    ("spiffe://td/a#f", "path character"),
    ("spiffe://td/a b", "path character"),
    ("spiffe://td/a\n", "path character"),
    ("spiffe://td/a\0", "path character"),
    ("spiffe://td/a:b", "path character"),
    ("spiffe://td/a@b", "path character"),
    ("spiffe://td/a;b", "path character"),
    ("spiffe://td/a,b", "path character"),
    ("spiffe://td/a=b", "path character"),
    ("spiffe://td/a\"b", "path character"),
    ("spiffe://td/a\\b", "path character"),
    ("spiffe://td/a*", "path character"),
    ("spiffe://td/\u{430}", "path character"),
];
