//! Why a text is no SPIFFE ID: one variant for each rule. Holds the bad value shortened, so an error is small whatever was sent.

use thiserror::Error;

use super::grammar::{MAX_ID, MAX_TRUST_DOMAIN};

/// A text that is no SPIFFE ID, trust domain or path prefix (SPIFFE-ID §2.1-2.4).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidSpiffeId {
    /// A path segment is `.` or `..`.
    #[error("spiffe id {id} has a dot segment; IDs are not normalised, so write the path without `.` and `..`")]
    DotSegment {
        /// The text, shortened.
        id: String,
    },
    /// The text is empty.
    #[error("spiffe id is empty; expected spiffe://<trust domain>/<path>")]
    Empty,
    /// Two slashes follow each other in the path.
    #[error("spiffe id {id} has an empty path segment; remove the doubled slash")]
    EmptySegment {
        /// The text, shortened.
        id: String,
    },
    /// A workload was to be named, and the text names a trust domain.
    #[error("spiffe id {id} has no path; name a workload or a prefix, such as spiffe://<trust domain>/<path>")]
    NoPath {
        /// The text, shortened.
        id: String,
    },
    /// A byte of the path is outside `[a-zA-Z0-9.-_]`: also a query, a fragment or percent-encoding.
    #[error("spiffe id {id} has {found:?} in its path; use only letters, digits, dots, dashes and underscores")]
    PathCharacter {
        /// The text, shortened.
        id: String,
        /// The first character that is not allowed.
        found: char,
    },
    /// The text does not begin with `spiffe://`, byte for byte.
    #[error("{id} is no spiffe id; it must begin with spiffe:// in lower case")]
    Scheme {
        /// The text, shortened.
        id: String,
    },
    /// The text is longer than 2048 bytes.
    #[error("spiffe id {id} has {length} bytes; at most {MAX_ID} are allowed")]
    TooLong {
        /// The text, shortened.
        id: String,
        /// Its length in bytes.
        length: usize,
    },
    /// The path ends with a slash.
    #[error("spiffe id {id} ends with a slash; remove it")]
    TrailingSlash {
        /// The text, shortened.
        id: String,
    },
    /// A byte of the trust domain is outside `[a-z0-9.-_]`: also a port, user information, IPv6 or percent-encoding.
    #[error("trust domain in {id} has {found:?}; use only lower-case letters, digits, dots, dashes and underscores")]
    TrustDomainCharacter {
        /// The text, shortened.
        id: String,
        /// The first character that is not allowed.
        found: char,
    },
    /// Nothing stands where the trust domain should.
    #[error("trust domain is missing in {id}; expected spiffe://<trust domain>/<path>")]
    TrustDomainMissing {
        /// The text, shortened.
        id: String,
    },
    /// The trust domain is longer than 255 bytes.
    #[error("trust domain in {id} has {length} bytes; at most {MAX_TRUST_DOMAIN} are allowed")]
    TrustDomainTooLong {
        /// The text, shortened.
        id: String,
        /// Its length in bytes.
        length: usize,
    },
}
