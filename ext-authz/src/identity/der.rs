//! Certificates in DER, one after the other, taken apart within limits. It judges none of them.

use rustls_pki_types::CertificateDer;
use thiserror::Error;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::pem::MAX_CERTIFICATE_BYTES;

/// The certificates in `der`, in order; nothing stands between them or after the last (Workload API §5.1).
///
/// # Errors
/// Something that is no certificate, one above [`MAX_CERTIFICATE_BYTES`], or more than `most` of them.
pub(super) fn certificates(der: &[u8], most: usize) -> Result<Vec<CertificateDer<'static>>, InvalidDer> {
    let (mut found, mut rest) = (Vec::new(), der);
    while !rest.is_empty() {
        let position = found.len() + 1;
        if found.len() == most {
            return Err(InvalidDer::TooMany { most });
        }
        let (after, _) =
            X509Certificate::from_der(rest).map_err(|_| InvalidDer::Syntax { position, bytes: rest.len() })?;
        let bytes = rest.len() - after.len();
        if bytes > MAX_CERTIFICATE_BYTES {
            return Err(InvalidDer::CertificateTooLong { position, bytes });
        }
        let (certificate, _) = rest.split_at_checked(bytes).ok_or(InvalidDer::Syntax { position, bytes })?;
        found.push(CertificateDer::from(certificate.to_vec()));
        rest = after;
    }
    Ok(found)
}

/// DER that was not read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidDer {
    /// A certificate is too long.
    #[error("certificate {position} has {bytes} bytes; at most {MAX_CERTIFICATE_BYTES} are allowed")]
    CertificateTooLong {
        /// Which one, from 1.
        position: usize,
        /// How long it is.
        bytes: usize,
    },
    /// There is something else than a certificate.
    #[error("certificate {position} is none: the {bytes} bytes left are no X.509 in DER")]
    Syntax {
        /// Which one, from 1.
        position: usize,
        /// How much was left to read.
        bytes: usize,
    },
    /// There are too many certificates.
    #[error("DER holds more than {most} certificates")]
    TooMany {
        /// The limit.
        most: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{InvalidDer, certificates};
    use crate::identity::test_pki::Ca;

    #[test]
    fn certificates_that_follow_each_other_are_told_apart() {
        let (one, two) = (Ca::root("one"), Ca::root("a longer name"));
        let der = [one.der.as_ref(), two.der.as_ref()].concat();
        assert_eq!(certificates(&der, 2), Ok(vec![one.der.clone(), two.der.clone()]));
        assert_eq!(certificates(&[], 2), Ok(Vec::new()));
        assert_eq!(certificates(&der, 1), Err(InvalidDer::TooMany { most: 1 }));
    }

    #[test]
    fn what_is_no_certificate_is_named_by_its_position() {
        let der = Ca::root("one").der;
        let with_tail = [der.as_ref(), b"tail"].concat();
        assert_eq!(certificates(&with_tail, 9), Err(InvalidDer::Syntax { position: 2, bytes: 4 }));
        let cut = certificates(&der[..der.len() - 1], 9);
        assert_eq!(cut, Err(InvalidDer::Syntax { position: 1, bytes: der.len() - 1 }));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let _ = certificates(&bytes, 9);
            let mut der = Ca::root("one").der.to_vec();
            let at = at.index(der.len());
            der[at] = byte;
            let _ = certificates(&der, 9);
        }
    }
}
