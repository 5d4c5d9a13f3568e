//! Percent-encoding of PEM as Envoy writes it (XFCC `Cert` and `Chain`, `source.certificate` of `ext_authz`). It does not look into the PEM.

use std::{borrow::Cow, fmt};

use thiserror::Error;

use super::excerpt::excerpt;

/// Decodes `text` (RFC 3986 §2.1), which may also hold no escape at all; `+` stays `+`.
///
/// Plain PEM has no `%` and comes back borrowed, so the encoded and the plain form can be given alike.
///
/// # Errors
/// An escape that is not `%` and two hex digits, a result longer than `max_bytes`, or one that is not UTF-8.
pub fn decode_percent(text: &str, max_bytes: usize) -> Result<Cow<'_, str>, InvalidPercentText> {
    let Some((plain, _)) = text.split_once('%') else {
        return bounded(text.len(), max_bytes).map(|()| Cow::Borrowed(text));
    };
    let mut decoded = Vec::with_capacity(text.len().min(max_bytes));
    decoded.extend_from_slice(plain.as_bytes());
    for escape in text.split('%').skip(1) {
        let (byte, rest) = split_escape(escape)?;
        decoded.push(byte);
        decoded.extend_from_slice(rest);
        bounded(decoded.len(), max_bytes)?;
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| InvalidPercentText::NotUtf8)
}

/// `text` as Envoy percent-encodes PEM: newline, space, `+`, `/` and `=` are escaped and nothing else is.
pub(super) struct EnvoyEncoded<'a>(pub(super) &'a str);

impl fmt::Display for EnvoyEncoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(['\n', ' ', '+', '/', '=']) {
            let mut characters = part.chars();
            let Some(escape) = characters.next_back().and_then(escape_of) else {
                f.write_str(part)?;
                continue;
            };
            f.write_str(characters.as_str())?;
            f.write_str(escape)?;
        }
        Ok(())
    }
}

/// A text that is not percent-encoded, or decodes to something we do not take.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidPercentText {
    /// A `%` is not followed by two hex digits.
    #[error("percent-encoding has {escape}; a % must be followed by two hex digits")]
    Escape {
        /// The bad escape.
        escape: String,
    },
    /// The decoded bytes are not UTF-8.
    #[error("percent-encoding decodes to bytes that are not UTF-8; send PEM")]
    NotUtf8,
    /// The decoded text is too long.
    #[error("percent-encoded text decodes to more than {max} bytes; send a shorter one or raise the limit")]
    TooLong {
        /// The limit in bytes.
        max: usize,
    },
}

fn bounded(length: usize, max: usize) -> Result<(), InvalidPercentText> {
    if length > max { Err(InvalidPercentText::TooLong { max }) } else { Ok(()) }
}

/// The byte that the text after a `%` begins with, and what follows.
fn split_escape(after: &str) -> Result<(u8, &[u8]), InvalidPercentText> {
    if let [high, low, rest @ ..] = after.as_bytes()
        && let (Some(high), Some(low)) = (hex_value(*high), hex_value(*low))
    {
        return Ok((high << 4 | low, rest));
    }
    let mut escape = String::from('%');
    escape.extend(after.chars().take(2));
    Err(InvalidPercentText::Escape { escape: excerpt(&escape) })
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// What Envoy writes for `character`, if not the character itself (measured on 1.40).
fn escape_of(character: char) -> Option<&'static str> {
    match character {
        '\n' => Some("%0A"),
        ' ' => Some("%20"),
        '+' => Some("%2B"),
        '/' => Some("%2F"),
        '=' => Some("%3D"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
