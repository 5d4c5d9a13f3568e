//! The strict percent-decoder: what it takes, what it refuses, and that Envoy's encoding comes back as it was.

use std::borrow::Cow;

use proptest::prelude::*;

use super::{EnvoyEncoded, InvalidPercentText, decode_percent};

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIB+/8=\n-----END CERTIFICATE-----\n";
const ENCODED: &str = "-----BEGIN%20CERTIFICATE-----%0AMIIB%2B%2F8%3D%0A-----END%20CERTIFICATE-----%0A";

#[test]
fn encoded_and_plain_pem_give_the_same_text() {
    assert_eq!(decode_percent(ENCODED, 100).unwrap(), PEM);
    assert!(matches!(decode_percent(PEM, 100).unwrap(), Cow::Borrowed(PEM)));
}

#[test]
fn envoys_encoding_of_pem_is_written_byte_for_byte() {
    assert_eq!(EnvoyEncoded(PEM).to_string(), ENCODED);
    assert_eq!(EnvoyEncoded("").to_string(), "");
    assert_eq!(EnvoyEncoded("==a=").to_string(), "%3D%3Da%3D");
}

#[test]
fn escapes_of_either_case_are_decoded_and_plus_is_no_space() {
    for (text, expected) in
        [("", ""), ("a+b", "a+b"), ("%2b+%2B", "+++"), ("%c3%A9", "é"), ("%25", "%"), ("%2525", "%25")]
    {
        assert_eq!(decode_percent(text, 100).unwrap(), expected, "{text}");
    }
}

#[test]
fn a_bad_escape_is_refused_and_shown() {
    let cases = [
        ("%", "\"%\""),
        ("a%", "\"%\""),
        ("%1", "\"%1\""),
        ("%zz", "\"%zz\""),
        ("%%41", "\"%\""),
        ("%4%41", "\"%4\""),
        ("%+1", "\"%+1\""),
        ("%é", "\"%é\""),
    ];
    for (text, escape) in cases {
        let expected = InvalidPercentText::Escape { escape: escape.to_owned() };
        assert_eq!(decode_percent(text, 100), Err(expected), "{text}");
    }
}

#[test]
fn the_limit_is_on_the_decoded_text() {
    assert!(decode_percent("%41%42%43", 3).is_ok());
    assert!(decode_percent("abc", 3).is_ok());
    for text in ["%41%42%43%44", "abcd", "abc%44", "%41bcd"] {
        assert_eq!(decode_percent(text, 3), Err(InvalidPercentText::TooLong { max: 3 }), "{text}");
    }
}

#[test]
fn what_is_not_utf8_is_refused() {
    for text in ["%ff", "%c3", "é%a9", "%ed%a0%80"] {
        assert_eq!(decode_percent(text, 100), Err(InvalidPercentText::NotUtf8), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_decoder_panic(text in any::<String>(), max in 0_usize..64) {
        if let Ok(decoded) = decode_percent(&text, max) {
            prop_assert!(decoded.len() <= max);
        }
    }

    #[test]
    fn no_text_full_of_escapes_makes_the_decoder_panic(text in "(%|[0-9a-fA-Fg+é]|%[0-9a-f]{2}){0,20}") {
        let _ = decode_percent(&text, 1000);
    }

    #[test]
    fn what_envoy_encodes_is_decoded_to_what_it_was(text in "[a-zA-Z0-9+/= \n-]{0,200}") {
        let encoded = EnvoyEncoded(&text).to_string();
        prop_assert_eq!(decode_percent(&encoded, 1000).unwrap(), text);
    }
}
