//! Compares a text with what a value would be written as, without writing it anywhere.

use std::fmt::{self, Write as _};

/// Offset of the first byte where `value`, written out, is not `text`; nothing if they are equal.
pub(super) fn first_difference(text: &str, value: &impl fmt::Display) -> Option<usize> {
    let mut rest = Rest(text.as_bytes());
    // An error means that the writing met a difference and stopped there.
    let differs = write!(rest, "{value}").is_err();
    (differs || !rest.0.is_empty()).then(|| text.len() - rest.0.len())
}

/// What of the text has not been written yet.
struct Rest<'a>(&'a [u8]);

impl fmt::Write for Rest<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for byte in part.bytes() {
            match self.0.split_first() {
                Some((&expected, rest)) if expected == byte => self.0 = rest,
                _ => return Err(fmt::Error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn the_first_different_byte_is_found_wherever_it_is() {
        let cases = [
            ("abc", "abc", None),
            ("abc", "abd", Some(2)),
            ("abc", "ab", Some(2)),
            ("ab", "abc", Some(2)),
            ("", "", None),
        ];
        for (text, value, expected) in cases {
            assert_eq!(first_difference(text, &value), expected, "{text} {value}");
        }
    }
}
