//! The digest that names one certificate. It computes none: hashing is the business of whoever holds the DER.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::excerpt::excerpt;

/// SHA-256 of the DER of a leaf certificate; its text is 64 lower-case hex digits, as in XFCC `Hash`.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Wraps a digest that was computed elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest as bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses exactly 64 lower-case hex digits: one digest has one text.
    pub fn from_hex(text: &str) -> Result<Self, InvalidDigest> {
        parse_hex(text).map(Self).ok_or_else(|| InvalidDigest { text: excerpt(text) })
    }
}

/// A text that is no certificate digest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("certificate digest {text} is not the SHA-256 of a certificate; write it as 64 lower-case hex digits")]
pub struct InvalidDigest {
    /// The text, shortened.
    pub text: String,
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let mut bytes = [0; 32];
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = hex_value(high)? << 4 | hex_value(low)?;
    }
    Some(bytes)
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_hex(text)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Digest;

    #[test]
    fn only_64_lower_case_hex_digits_are_a_digest() {
        let good = "0123456789abcdef".repeat(4);
        assert_eq!(Digest::from_hex(&good).unwrap().to_string(), good);
        assert_eq!(Digest::from_hex(&good).unwrap().as_bytes()[..3], [0x01, 0x23, 0x45]);
        let upper = good.to_uppercase();
        let colons = ["01"; 32].join(":");
        for bad in ["", "0", &good[..63], &good[..62], &format!("{good}0"), &format!("{good}00"), &upper, &colons] {
            assert!(Digest::from_hex(bad).is_err(), "{bad}");
        }
        for filler in ["g", " ", "-", "+", "\0", "/", ":", "`"] {
            assert!(Digest::from_hex(&filler.repeat(64)).is_err(), "{filler}");
        }
    }

    proptest! {
        #[test]
        fn text_and_bytes_round_trip(bytes in any::<[u8; 32]>()) {
            let digest = Digest::from_bytes(bytes);
            prop_assert_eq!(digest.to_string().parse(), Ok(digest));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = Digest::from_hex(&text);
        }
    }
}
