//! One pair of an XFCC element: a key with a value that only that key may have. It knows nothing of its neighbours.

use std::fmt;

use super::{InvalidXfcc, Key, is_printable, lexer::Value};
use crate::identity::{
    Digest,
    excerpt::excerpt,
    percent::{EnvoyEncoded, decode_percent},
};

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pair {
    /// A URI SAN of the writing proxy's certificate.
    By(String),
    /// The client's leaf certificate as PEM, decoded.
    Cert(String),
    /// The client's certificate chain as PEM, leaf first, decoded.
    Chain(String),
    /// A DNS SAN of the client's certificate.
    Dns(String),
    /// The digest of the client's leaf certificate.
    Hash(Digest),
    /// The issuer of the client's certificate: RFC 2253 text with its escapes, may be empty.
    Issuer(String),
    /// The subject of the client's certificate: RFC 2253 text with its escapes, may be empty.
    Subject(String),
    /// A URI SAN of the client's certificate; empty if it has none.
    Uri(String),
}

impl Pair {
    /// The key.
    pub const fn key(&self) -> Key {
        match self {
            Self::By(_) => Key::By,
            Self::Cert(_) => Key::Cert,
            Self::Chain(_) => Key::Chain,
            Self::Dns(_) => Key::Dns,
            Self::Hash(_) => Key::Hash,
            Self::Issuer(_) => Key::Issuer,
            Self::Subject(_) => Key::Subject,
            Self::Uri(_) => Key::Uri,
        }
    }

    /// Reads a value as it stands in the text; [`Pair::check`] then says whether Envoy can have meant it.
    pub(super) fn parse(key: Key, value: Value<'_>) -> Result<Self, InvalidXfcc> {
        let text = match (value, key.is_quoted()) {
            (Value::Bare(text), false) | (Value::Quoted(text), true) => text,
            (Value::Bare(_), true) => return Err(InvalidXfcc::NotQuoted { key }),
            (Value::Quoted(_), false) => return Err(InvalidXfcc::Quoted { key }),
        };
        Ok(match key {
            Key::By => Self::By(text.to_owned()),
            Key::Cert => Self::Cert(decode(key, text)?),
            Key::Chain => Self::Chain(decode(key, text)?),
            Key::Dns => Self::Dns(text.to_owned()),
            Key::Hash => Self::Hash(Digest::from_hex(text).map_err(|_| InvalidXfcc::Hash { found: excerpt(text) })?),
            Key::Issuer => Self::Issuer(text.to_owned()),
            Key::Subject => Self::Subject(text.to_owned()),
            Key::Uri => Self::Uri(text.to_owned()),
        })
    }

    /// Whether the value can be written so that everybody reads the same again.
    pub(super) fn check(&self) -> Result<(), InvalidXfcc> {
        match self {
            Self::By(value) | Self::Dns(value) if value.is_empty() => Err(InvalidXfcc::EmptyValue { key: self.key() }),
            Self::Cert(pem) | Self::Chain(pem) if pem.is_empty() => Err(InvalidXfcc::EmptyValue { key: self.key() }),
            Self::By(value) | Self::Dns(value) | Self::Uri(value) => self.check_value(value, is_bare(value)),
            Self::Cert(pem) | Self::Chain(pem) => self.check_value(pem, is_pem(pem)),
            Self::Issuer(name) | Self::Subject(name) => self.check_value(name, is_distinguished_name(name)),
            Self::Hash(_) => Ok(()),
        }
    }

    fn check_value(&self, value: &str, is_good: bool) -> Result<(), InvalidXfcc> {
        if is_good { Ok(()) } else { Err(InvalidXfcc::Value { key: self.key(), found: excerpt(value) }) }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key();
        match self {
            Self::By(value) | Self::Dns(value) | Self::Uri(value) => write!(f, "{key}={value}"),
            Self::Cert(pem) | Self::Chain(pem) => write!(f, "{key}=\"{}\"", EnvoyEncoded(pem)),
            Self::Hash(digest) => write!(f, "{key}={digest}"),
            Self::Issuer(name) | Self::Subject(name) => write!(f, "{key}=\"{name}\""),
        }
    }
}

/// Decoded text is never longer than encoded, and the header's own limit has been applied.
fn decode(key: Key, text: &str) -> Result<String, InvalidXfcc> {
    match decode_percent(text, text.len()) {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(cause) => Err(InvalidXfcc::Percent { key, cause }),
    }
}

fn is_bare(value: &str) -> bool {
    value.chars().all(|c| is_printable(c) && !matches!(c, ',' | ';' | '"'))
}

/// The characters of PEM without headers (RFC 7468); nothing in there that would need an escape Envoy does not write.
fn is_pem(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | ' ' | '\n'))
}

/// Printable text with no bare quote and only the escapes of RFC 2253 §2.4, as Envoy's TLS library writes them.
fn is_distinguished_name(text: &str) -> bool {
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let good = match character {
            '\\' => is_escaped(&mut characters),
            '"' => false,
            _ => is_printable(character),
        };
        if !good {
            return false;
        }
    }
    true
}

fn is_escaped(rest: &mut impl Iterator<Item = char>) -> bool {
    match rest.next() {
        Some(' ' | '"' | '#' | '+' | ',' | ';' | '<' | '>' | '\\') => true,
        Some('0'..='9' | 'A'..='F') => matches!(rest.next(), Some('0'..='9' | 'A'..='F')),
        _ => false,
    }
}
