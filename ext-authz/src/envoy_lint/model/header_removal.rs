//! Which headers a header mutation removes: Envoy's `StringMatcher`, evaluated.

use regex::Regex;

use super::super::spot::Spot;

/// Whether `mutation` removes `header` (lower case).
pub(super) fn removes(mutation: &Spot<'_>, header: &str) -> bool {
    let by_name = mutation.text("remove").is_some_and(|name| name.eq_ignore_ascii_case(header));
    by_name || mutation.at("remove_on_match.key_matcher").is_some_and(|matcher| matches(&matcher, header))
}

fn matches(matcher: &Spot<'_>, header: &str) -> bool {
    // Names of headers are in lower case; a matcher with upper case matches none, unless it ignores case.
    let ignores_case = matcher.is_on("ignore_case");
    let pattern =
        |kind: &str| matcher.text(kind).map(|text| if ignores_case { text.to_lowercase() } else { text.to_owned() });
    pattern("exact").is_some_and(|exact| exact == header)
        || pattern("prefix").is_some_and(|prefix| header.starts_with(&prefix))
        || pattern("suffix").is_some_and(|suffix| header.ends_with(&suffix))
        || pattern("contains").is_some_and(|part| header.contains(&part))
        || matcher.text("safe_regex.regex").is_some_and(|regex| matches_whole(regex, header))
}

fn matches_whole(regex: &str, header: &str) -> bool {
    Regex::new(&format!(r"\A(?:{regex})\z")).is_ok_and(|regex| regex.is_match(header))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree;

    #[track_caller]
    fn check(mutation: &str, header: &str, expected: bool) {
        let node = tree::parse(mutation).unwrap();
        assert_eq!(removes(&Spot::root(&node), header), expected, "{mutation} {header}");
    }

    #[test]
    fn a_header_is_removed_by_name_or_by_any_kind_of_matcher() {
        let key = |matcher: &str| format!("remove_on_match: {{ key_matcher: {{ {matcher} }} }}");
        check("remove: X-Countersign-Caller", "x-countersign-caller", true);
        check("append: { header: { key: x-countersign-caller } }", "x-countersign-caller", false);
        for (matcher, expected) in [
            ("exact: x-a-b", true),
            ("exact: x-a", false),
            ("prefix: x-a", true),
            ("prefix: X-A", false),
            ("prefix: X-A, ignore_case: true", true),
            ("suffix: -b", true),
            ("contains: -a-", true),
            ("contains: -c-", false),
            ("safe_regex: { regex: 'x[-_]a[-_].*' }", true),
            ("safe_regex: { regex: 'x-a' }", false),
            ("safe_regex: { regex: 'x-a|b' }", false),
            ("safe_regex: { regex: '(' }", false),
        ] {
            check(&key(matcher), "x-a-b", expected);
        }
    }
}
