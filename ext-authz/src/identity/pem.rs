//! PEM text to the DER of its certificates, within limits. It looks into no certificate.

use rustls_pki_types::{
    CertificateDer,
    pem::{Error, PemObject},
};
use thiserror::Error as ThisError;

/// Most bytes one certificate may have: RSA-4096 with many names stays far below.
pub(super) const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;

/// The certificates in `pem`, in order; other sections and text between sections are skipped (RFC 7468 §2).
///
/// # Errors
/// Broken armour or base64, a certificate above [`MAX_CERTIFICATE_BYTES`], or more than `most` of them.
pub(super) fn certificates(pem: &str, most: usize) -> Result<Vec<CertificateDer<'static>>, InvalidPem> {
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| InvalidPem::Syntax { what: describe(&error) })?;
        if certificate.len() > MAX_CERTIFICATE_BYTES {
            return Err(InvalidPem::CertificateTooLong { position: found.len() + 1, bytes: certificate.len() });
        }
        if found.len() == most {
            return Err(InvalidPem::TooMany { most });
        }
        found.push(certificate);
    }
    Ok(found)
}

/// PEM that was not read.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum InvalidPem {
    /// A certificate is too long.
    #[error("certificate {position} has {bytes} bytes; at most {MAX_CERTIFICATE_BYTES} are allowed")]
    CertificateTooLong {
        /// Which one, from 1.
        position: usize,
        /// How long it is.
        bytes: usize,
    },
    /// The armour or the base64 in it is broken.
    #[error("PEM is broken: {what}")]
    Syntax {
        /// What is broken.
        what: &'static str,
    },
    /// There are too many certificates.
    #[error("PEM holds more than {most} certificates")]
    TooMany {
        /// The limit.
        most: usize,
    },
}

/// In words without the content: the parser's own messages quote it as bytes.
fn describe(error: &Error) -> &'static str {
    match error {
        Error::MissingSectionEnd { .. } => "a section has no END line",
        Error::IllegalSectionStart { .. } => "a BEGIN line is not of the form -----BEGIN NAME-----",
        Error::Base64Decode(_) => "a section is not base64",
        Error::SectionTooLarge => "a section is too large",
        _ => "it can't be read",
    }
}
