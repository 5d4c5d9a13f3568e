//! One certificate of a bundle as a trust anchor. What no CA should look like is refused here, because path validation never looks at anchors.

use rustls_pki_types::{CertificateDer, TrustAnchor};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::InvalidBundle;
use crate::identity::{name::rfc4514, validity::Validity};

/// The anchor and its own validity. A workload's certificate put here by mistake would otherwise be able to vouch for anybody.
pub(super) fn read(
    place: &str,
    der: &CertificateDer<'static>,
) -> Result<(TrustAnchor<'static>, Validity), InvalidBundle> {
    let refuse = |what: String| InvalidBundle::Authority { place: place.to_owned(), what };
    let certificate = ca(der).map_err(refuse)?;
    let anchor = webpki::anchor_from_trusted_cert(der).map_err(|error| refuse(format!("can't be used: {error}")))?;
    Ok((anchor.to_owned(), Validity::of(&certificate)))
}

/// That a certificate may stand in a path; its signature is nobody's business before it does.
pub(super) fn check_intermediate(place: &str, der: &CertificateDer<'static>) -> Result<(), InvalidBundle> {
    ca(der).map(|_| ()).map_err(|what| InvalidBundle::Authority { place: place.to_owned(), what })
}

fn ca<'a>(der: &'a CertificateDer<'static>) -> Result<X509Certificate<'a>, String> {
    let certificate = match X509Certificate::from_der(der) {
        Ok(([], certificate)) => certificate,
        Ok(_) => return Err("is followed by other bytes".to_owned()),
        Err(error) => return Err(format!("is no X.509 certificate: {error}")),
    };
    check_is_ca(&certificate).map_err(|what| format!("({}) {what}", rfc4514(certificate.subject())))?;
    Ok(certificate)
}

/// X509-SVID §4.1 and §4.3: a signing certificate has `cA` and keyCertSign.
fn check_is_ca(certificate: &X509Certificate<'_>) -> Result<(), &'static str> {
    let constraints = certificate.basic_constraints().map_err(|_| "has several basicConstraints")?;
    if !constraints.is_some_and(|constraints| constraints.value.ca) {
        return Err("is no CA (basicConstraints cA is missing); put the authority here, not a workload's certificate");
    }
    let usage = certificate.key_usage().map_err(|_| "has a keyUsage that can't be read")?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err("may not sign certificates (keyUsage lacks keyCertSign)");
    }
    Ok(())
}
