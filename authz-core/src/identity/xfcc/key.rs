//! The keys of an XFCC pair and how Envoy spells and quotes each. It holds no values.

use std::fmt;

use super::InvalidXfcc;
use crate::identity::excerpt::excerpt;

/// What a pair of an XFCC element tells.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A URI SAN of the certificate of the proxy that wrote the element; may be repeated.
    By,
    /// The client's leaf certificate, percent-encoded PEM.
    Cert,
    /// The client's certificate chain, leaf first, percent-encoded PEM.
    Chain,
    /// A DNS SAN of the client's certificate; may be repeated.
    Dns,
    /// SHA-256 of the DER of the client's leaf certificate.
    Hash,
    /// The issuer of the client's certificate, RFC 2253 text.
    Issuer,
    /// The subject of the client's certificate, RFC 2253 text.
    Subject,
    /// A URI SAN of the client's certificate; may be repeated.
    Uri,
}

impl Key {
    /// Every key.
    pub const ALL: [Self; 8] =
        [Self::By, Self::Cert, Self::Chain, Self::Dns, Self::Hash, Self::Issuer, Self::Subject, Self::Uri];

    /// The key as Envoy writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::By => "By",
            Self::Cert => "Cert",
            Self::Chain => "Chain",
            Self::Dns => "DNS",
            Self::Hash => "Hash",
            Self::Issuer => "Issuer",
            Self::Subject => "Subject",
            Self::Uri => "URI",
        }
    }

    /// Whether an element may have several pairs with this key.
    pub const fn is_repeatable(self) -> bool {
        matches!(self, Self::By | Self::Dns | Self::Uri)
    }

    /// Whether Envoy puts the value in double quotes.
    pub(super) const fn is_quoted(self) -> bool {
        matches!(self, Self::Cert | Self::Chain | Self::Issuer | Self::Subject)
    }

    /// Keys are case-insensitive, but only Envoy's own spelling re-serialises: the others are known by name, and refused.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidXfcc> {
        match Self::ALL.into_iter().find(|key| key.as_str().eq_ignore_ascii_case(text)) {
            Some(key) if key.as_str() == text => Ok(key),
            Some(key) => Err(InvalidXfcc::KeyCase { found: text.to_owned(), key }),
            None => Err(InvalidXfcc::UnknownKey { found: excerpt(text) }),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
