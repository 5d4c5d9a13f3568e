//! One element of an XFCC header: what one proxy says about its client. It is a claim; believing it is somebody else's decision.

use std::fmt;

use super::{InvalidXfcc, Key, Pair};
use crate::identity::Digest;

/// The pairs that one hop wrote, in its order; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    pairs: Vec<Pair>,
}

impl Element {
    /// From pairs in the order they are to be written.
    ///
    /// # Errors
    /// No pairs, a value Envoy would not write, or a second pair where there can be only one.
    pub fn new(pairs: Vec<Pair>) -> Result<Self, InvalidXfcc> {
        if pairs.is_empty() {
            return Err(InvalidXfcc::EmptyElement { offset: 0 });
        }
        pairs.iter().try_for_each(Pair::check)?;
        let element = Self { pairs };
        element.check_repetition()?;
        Ok(element)
    }

    /// The pairs, in the order they were written.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// The URI SANs of the proxy that wrote this element; none if its certificate has none.
    pub fn by(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter_map(|pair| if let Pair::By(uri) = pair { Some(uri.as_str()) } else { None })
    }

    /// The URI SANs of the client; none if its certificate has none, or if the proxy does not say.
    pub fn uris(&self) -> impl Iterator<Item = &str> {
        self.all_uris().filter(|uri| !uri.is_empty())
    }

    /// The DNS SANs of the client; none if its certificate has none, or if the proxy does not say.
    pub fn dns(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter_map(|pair| if let Pair::Dns(name) = pair { Some(name.as_str()) } else { None })
    }

    /// The digest of the client's leaf certificate.
    pub fn hash(&self) -> Option<Digest> {
        self.pairs.iter().find_map(|pair| if let Pair::Hash(digest) = pair { Some(*digest) } else { None })
    }

    /// The client's leaf certificate as PEM.
    pub fn cert_pem(&self) -> Option<&str> {
        self.pairs.iter().find_map(|pair| if let Pair::Cert(pem) = pair { Some(pem.as_str()) } else { None })
    }

    /// The client's certificate chain as PEM, leaf first.
    pub fn chain_pem(&self) -> Option<&str> {
        self.pairs.iter().find_map(|pair| if let Pair::Chain(pem) = pair { Some(pem.as_str()) } else { None })
    }

    /// The subject of the client's certificate, RFC 2253 text; may be empty.
    pub fn subject(&self) -> Option<&str> {
        self.pairs.iter().find_map(|pair| if let Pair::Subject(name) = pair { Some(name.as_str()) } else { None })
    }

    /// The issuer of the client's certificate, RFC 2253 text; may be empty.
    pub fn issuer(&self) -> Option<&str> {
        self.pairs.iter().find_map(|pair| if let Pair::Issuer(name) = pair { Some(name.as_str()) } else { None })
    }

    fn all_uris(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter_map(|pair| if let Pair::Uri(uri) = pair { Some(uri.as_str()) } else { None })
    }

    fn check_repetition(&self) -> Result<(), InvalidXfcc> {
        for key in Key::ALL.into_iter().filter(|key| !key.is_repeatable()) {
            if self.pairs.iter().filter(|pair| pair.key() == key).nth(1).is_some() {
                return Err(InvalidXfcc::DuplicateKey { key });
            }
        }
        // An empty URI means that there is none, so beside another it would hide one of two URI SANs.
        if self.all_uris().any(str::is_empty) && self.all_uris().nth(1).is_some() {
            return Err(InvalidXfcc::EmptyValue { key: Key::Uri });
        }
        Ok(())
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, pair) in self.pairs.iter().enumerate() {
            if position > 0 {
                f.write_str(";")?;
            }
            fmt::Display::fmt(pair, f)?;
        }
        Ok(())
    }
}
