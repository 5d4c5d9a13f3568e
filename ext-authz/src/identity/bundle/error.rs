//! What can be wrong with a trust bundle, said so that its publisher can mend it. It names no file: the reader of files does.

use thiserror::Error;

use crate::identity::{der::InvalidDer, pem::InvalidPem};

/// A trust bundle that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidBundle {
    /// A certificate in it can't be an authority.
    #[error("{place} {what}")]
    Authority {
        /// Where in the bundle.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// Its DER is broken.
    #[error(transparent)]
    Der(#[from] InvalidDer),
    /// It is no JSON, or not that of a SPIFFE bundle.
    #[error("bundle is no SPIFFE bundle: {what}")]
    Json {
        /// What is wrong.
        what: String,
    },
    /// PEM without a certificate: unlike JSON it has no way of saying that there are none on purpose.
    #[error("bundle holds no certificate; write PEM with CERTIFICATE blocks or a SPIFFE bundle in JSON")]
    NoCertificate,
    /// It is no text.
    #[error("bundle is neither PEM nor JSON, byte {offset} is not UTF-8; convert DER with openssl x509 -inform DER")]
    NotText {
        /// Where the text ends.
        offset: usize,
    },
    /// Its PEM is broken.
    #[error(transparent)]
    Pem(#[from] InvalidPem),
    /// It is too long.
    #[error("bundle has {bytes} bytes; at most {} are read", super::MAX_BUNDLE_BYTES)]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
}
