//! Any bytes as an XFCC header: what is accepted is written back byte for byte, and an independent reader sees the same pairs.
#![no_main]

use authz_core::identity::{Limits, Xfcc};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { max_bytes: 8192, max_elements: 8 };

fuzz_target!(|value: &[u8]| {
    let Ok(xfcc) = Xfcc::parse(value, LIMITS) else { return };
    assert_eq!(xfcc.to_string().as_bytes(), value, "canonical");
    assert!(value.len() <= LIMITS.max_bytes && (1..=LIMITS.max_elements).contains(&xfcc.elements().len()));
    let ours: Vec<Vec<_>> = xfcc
        .elements()
        .iter()
        .map(|element| element.pairs().iter().map(|pair| pair.key().as_str()).collect())
        .collect();
    assert_eq!(ours, keys_seen_by_a_simple_reader(value));
    for element in xfcc.elements() {
        assert!(element.uris().chain(element.dns()).chain(element.by()).all(|name| !name.is_empty()));
    }
});

/// The keys of each element, found without the parser: separators count unless in quotes, `\` hides the next byte in quotes.
fn keys_seen_by_a_simple_reader(value: &[u8]) -> Vec<Vec<&str>> {
    let (mut elements, mut start, mut quoted, mut hidden) = (vec![vec![]], 0, false, false);
    for at in 0..=value.len() {
        match value.get(at).copied() {
            Some(_) if hidden => hidden = false,
            Some(b'\\') if quoted => hidden = true,
            Some(b'"') => quoted = !quoted,
            Some(_) if quoted => {}
            Some(b',') | Some(b';') | None => {
                let key = value[start..at].split(|&byte| byte == b'=').next().unwrap_or_default();
                elements.last_mut().expect("never empty").push(str::from_utf8(key).expect("accepted values are ASCII"));
                if value.get(at) == Some(&b',') {
                    elements.push(vec![]);
                }
                start = at + 1;
            }
            Some(_) => {}
        }
    }
    elements
}
