//! Classes tell texts, numbers and addresses apart exactly by what tests say of them.

use std::{collections::BTreeSet, net::IpAddr};

use proptest::{collection::vec, prelude::*};

use super::*;

/// `like` in its plainest form.
fn is_like(pattern: &[Option<char>], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((None, rest)) => (0..=text.len()).any(|skip| is_like(rest, &text[skip..])),
        Some((Some(wanted), rest)) => {
            text.split_first().is_some_and(|(first, text)| first == wanted && is_like(rest, text))
        }
    }
}

fn elements() -> impl Strategy<Value = Vec<Option<char>>> {
    vec(prop::sample::select(vec![None, Some('a'), Some('b'), Some('ü'), Some('*'), Some('\\')]), 0..7)
}

fn text() -> impl Strategy<Value = String> {
    "[abü*\\\\]{0,7}"
}

fn text_class(tests: &BTreeSet<Test>, text: &str) -> Vec<u8> {
    let mut key = Vec::new();
    TextClass::of(tests).unwrap().put(text, &mut key);
    key
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn patterns_match_as_in_their_plainest_form(elements in elements(), text in text()) {
        let pattern = Pattern::new(elements.iter().copied());
        prop_assert_eq!(pattern.matches(&text), is_like(&elements, &text.chars().collect::<Vec<_>>()));
        prop_assert_eq!(Pattern::parse(&pattern.to_string()), Some(pattern));
    }

    #[test]
    fn texts_are_of_one_class_exactly_if_they_pass_the_same_tests(
        patterns in vec(elements(), 0..8), equals in vec(text(), 0..4), one in text(), other in text(),
    ) {
        let likes = patterns.iter().map(|elements| Test::Like(Pattern::new(elements.iter().copied())));
        let tests: BTreeSet<Test> = likes.chain(equals.iter().map(|text| Test::Equals(text.as_str().into()))).collect();
        let passed = |text: &str| -> Vec<bool> {
            let characters: Vec<char> = text.chars().collect();
            let likes = patterns.iter().map(|elements| is_like(elements, &characters));
            likes.chain(equals.iter().map(|equal| equal == text)).collect()
        };
        prop_assert_eq!(text_class(&tests, &one) == text_class(&tests, &other), passed(&one) == passed(&other));
    }

    #[test]
    fn numbers_are_of_one_class_exactly_if_they_pass_the_same_thresholds(limits in vec(-3..4_i64, 0..5), one in -4..5_i64, other in -4..5_i64) {
        let tests = limits.iter().map(|limit| Test::AtMost(*limit)).collect();
        let class = |number| {
            let mut key = Vec::new();
            NumberClass::of(&tests).unwrap().put(number, &mut key);
            key
        };
        let passed = |number: i64| limits.iter().map(|limit| number <= *limit).collect::<Vec<_>>();
        prop_assert_eq!(class(one) == class(other), passed(one) == passed(other));
    }

    #[test]
    fn a_range_has_the_addresses_with_its_first_bits(address: u32, other: u32, near in 0..4_u32, prefix in 0..=32_u8) {
        let range = IpRange::parse(&format!("{}/{prefix}", std::net::Ipv4Addr::from(address))).unwrap();
        for candidate in [other, address ^ near, address] {
            let bits = |number: u32| format!("{number:032b}")[..usize::from(prefix)].to_owned();
            prop_assert_eq!(range.contains(IpAddr::V4(candidate.into())), bits(candidate) == bits(address));
        }
        let embedded = IpAddr::V6(std::net::Ipv4Addr::from(address).to_ipv6_mapped());
        prop_assert!(!range.contains(embedded));
        prop_assert_eq!(IpRange::parse(&range.to_string()), Some(range));
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in ".{0,40}") {
        for kind in ["at-most", "contains", "equals", "in-range", "like", "else"] {
            if let Some(test) = Test::parse(&format!("{kind}:{text}")) {
                prop_assert_eq!(Test::parse(&test.to_string()), Some(test));
            }
        }
    }
}

#[test]
fn ranges_are_read_strictly() {
    for text in ["", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0/8", "::/129", "10.0.0.0/8/8", "a", "::1%eth0"] {
        assert_eq!(IpRange::parse(text), None, "{text:?}");
    }
    let six = IpRange::parse("2001:db8::7/32").unwrap();
    assert!(six.contains("2001:db8:ffff::".parse().unwrap()) && !six.contains("2001:db9::".parse().unwrap()));
    assert!(IpRange::parse("::/0").unwrap().contains("::1".parse().unwrap()));
}

#[test]
fn uses_add_up_to_the_widest() {
    let mut uses = Uses::default();
    uses.test(Read::Path, Test::Equals("/a".into()));
    let mut others = Uses::default();
    others.presence(Read::Path);
    uses.add(&others);
    assert_eq!(uses.iter().next(), Some((&Read::Path, &Use::Tests(BTreeSet::from([Test::Equals("/a".into())])))));
    others.whole(Read::Path);
    uses.add(&others);
    uses.test(Read::Path, Test::Equals("/b".into()));
    assert_eq!(uses.iter().next(), Some((&Read::Path, &Use::Whole)));
}
