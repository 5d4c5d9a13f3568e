//! Where an endpoint is, in the form that SPIFFE Federation allows, and where it may send us on to. It resolves no name.

use std::fmt;

use http::{Uri, uri::Scheme};
use thiserror::Error;

/// An `https` URL with a host and without userinfo (SPIFFE Federation §5.2.1.1, §5.2.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointUrl(Uri);

/// A URL that no endpoint may have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidEndpointUrl {
    /// It is none.
    #[error("{url:?} is no URL: {what}; write https://host/path")]
    Malformed {
        /// The text.
        url: String,
        /// What is wrong.
        what: String,
    },
    /// Anybody on the way could change the answer.
    #[error("{url:?} is not https; only https is fetched")]
    NotHttps {
        /// The text.
        url: String,
    },
    /// It has a user's name or password in it.
    #[error("URL of host {host} has userinfo before its host; leave it out, endpoints know no users")]
    Userinfo {
        /// Whose; the rest may be secret.
        host: String,
    },
}

impl EndpointUrl {
    /// Reads a URL as configuration has it.
    ///
    /// # Errors
    /// Anything but `https://host[:port][/path][?query]`.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpointUrl> {
        let malformed = |what: &str| InvalidEndpointUrl::Malformed { url: excerpt(text), what: what.to_owned() };
        if text.len() > MAX_URL_BYTES {
            return Err(malformed("it is longer than 2048 bytes"));
        }
        if text.contains('#') {
            return Err(malformed("it has a fragment"));
        }
        let uri: Uri = text.parse().map_err(|error: http::uri::InvalidUri| malformed(&error.to_string()))?;
        let Some(authority) = uri.authority() else { return Err(malformed("it has no host")) };
        if authority.as_str().contains('@') {
            return Err(InvalidEndpointUrl::Userinfo { host: authority.host().to_owned() });
        }
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Err(InvalidEndpointUrl::NotHttps { url: excerpt(text) });
        }
        if authority.host().is_empty() {
            return Err(malformed("its host is empty"));
        }
        Ok(Self(uri))
    }

    /// Where a redirect from here leads: an absolute URL, or a path of the same server; the rules for URLs hold for it too.
    pub(super) fn redirect(&self, location: &str) -> Result<Self, InvalidEndpointUrl> {
        // A fragment is the client's own business (RFC 9110 §10.2.2), and we have none.
        let location = location.split('#').next().unwrap_or_default();
        if location.starts_with('/') && !location.starts_with("//") {
            let authority = self.0.authority().map_or("", |authority| authority.as_str());
            return Self::parse(&format!("https://{authority}{location}"));
        }
        Self::parse(location)
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(200).collect()
}

const MAX_URL_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_https_with_a_host_and_without_userinfo_is_an_endpoint() {
        for good in ["https://b.test/bundle.json", "https://127.0.0.1:8443", "https://[::1]:8443/a?b=c"] {
            assert!(EndpointUrl::parse(good).is_ok(), "{good}");
        }
        let cases = [
            ("http://b.test/", "is not https"),
            ("ftp://b.test/", "is not https"),
            ("HTTP://b.test/", "is not https"),
            ("https://user@b.test/", "userinfo"),
            ("https://user:secret@b.test/", "userinfo"),
            ("http://user:secret@b.test/", "userinfo"),
            ("b.test/bundle", "no URL"),
            ("/bundle", "no host"),
            ("https:///bundle", "no URL"),
            ("https://:8443/", "host"),
            ("https://b.test/#x", "fragment"),
            ("", "no URL"),
        ];
        for (bad, because) in cases {
            let error = EndpointUrl::parse(bad).unwrap_err().to_string();
            assert!(error.contains(because) && !error.contains("secret"), "{bad}: {error}");
        }
        assert!(EndpointUrl::parse(&format!("https://b.test/{}", "a".repeat(2048))).is_err());
    }

    #[test]
    fn a_redirect_leads_to_another_endpoint_or_nowhere() {
        let from = EndpointUrl::parse("https://b.test:8443/old?x=1").unwrap();
        let cases = [
            ("/new", Some("https://b.test:8443/new")),
            ("https://c.test/new#part", Some("https://c.test/new")),
            ("http://b.test:8443/new", None),
            ("//c.test/new", None),
            ("new", None),
            ("https://me@c.test/", None),
            ("", None),
        ];
        for (location, expected) in cases {
            let led = from.redirect(location).ok().map(|url| url.to_string());
            assert_eq!(led.as_deref(), expected, "{location}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), location in "[/:@#a-z\\[\\].]{0,20}") {
            let _ = EndpointUrl::parse(&text);
            if let Ok(url) = EndpointUrl::parse("https://b.test/").unwrap().redirect(&location) {
                prop_assert!(url.to_string().starts_with("https://"));
            }
        }
    }
}
