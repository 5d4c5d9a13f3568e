//! The rules a leaf certificate must keep to be an X.509-SVID, and what it says when it does. It verifies no signature.

use authz_core::{
    identity::{Credential, Digest, IssuerSerial, SpiffeId},
    reason::Reason,
};
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    oid_registry::OID_X509_EXT_BASIC_CONSTRAINTS,
    prelude::{FromDer as _, X509Certificate},
};

use super::{name::rfc4514, pem::MAX_CERTIFICATE_BYTES, refusal::Refusal, validity::Validity};

/// A leaf that keeps the rules of X509-SVID §2-4, though nobody knows yet who signed it.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) id: SpiffeId,
    pub(super) digest: Digest,
    pub(super) issued_by: IssuerSerial,
    pub(super) validity: Validity,
}

impl Leaf {
    /// Reads a leaf, or says which rule it breaks; of several the most telling one.
    pub(super) fn read(der: &CertificateDer<'_>) -> Result<Self, Refusal> {
        let certificate = parse(der)?;
        let id = spiffe_id(&certificate)?;
        check_no_ca(&certificate)?;
        check_key_usage(&certificate)?;
        check_extended_key_usage(&certificate)?;
        let issuer = rfc4514(certificate.issuer());
        Ok(Self {
            id,
            digest: digest(der),
            issued_by: IssuerSerial::from_der_serial(&issuer, certificate.raw_serial()).map_err(Refusal::malformed)?,
            validity: Validity::of(&certificate),
        })
    }

    /// What it says about itself, for one that nobody vouches for.
    pub(super) fn into_claim(self) -> Option<Credential> {
        let Validity { not_before, not_after } = self.validity;
        Credential::new(self.id, self.digest, self.issued_by, not_before, not_after).ok()
    }
}

/// SHA-256 of the DER, as Envoy writes it in XFCC `Hash`.
pub(super) fn digest(der: &CertificateDer<'_>) -> Digest {
    Digest::from_bytes(Sha256::digest(der.as_ref()).into())
}

/// The URI and DNS names in a certificate that need not be an SVID: claims, of use only for telling who claims them.
pub(super) fn names(der: &CertificateDer<'_>) -> Vec<String> {
    let certificate = parse(der).ok();
    let names = certificate.as_ref().and_then(|certificate| certificate.subject_alternative_name().ok()?);
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let texts = names.filter_map(|name| match name {
        GeneralName::DNSName(text) | GeneralName::URI(text) => Some(*text),
        _ => None,
    });
    texts.filter(|text| text.len() <= MAX_NAME).take(MAX_NAMES).map(ToOwned::to_owned).collect()
}

/// Longer names are left out, and more of them: they end up in the audit trail.
const MAX_NAME: usize = 256;
/// See [`MAX_NAME`].
const MAX_NAMES: usize = 8;

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Refusal> {
    if der.len() > MAX_CERTIFICATE_BYTES {
        return Err(Refusal::malformed(format!(
            "certificate has {} bytes, at most {MAX_CERTIFICATE_BYTES} are read",
            der.len()
        )));
    }
    // Two readers, so that none of our rules rests on one reader's leniency: this one also refuses unknown critical extensions.
    webpki::EndEntityCert::try_from(der).map_err(Refusal::malformed)?;
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(Refusal::malformed("bytes follow the certificate")),
        Err(error) => Err(Refusal::malformed(error)),
    }
}

/// X509-SVID §2: exactly one URI SAN, and it is the SPIFFE ID of a workload.
fn spiffe_id(certificate: &X509Certificate<'_>) -> Result<SpiffeId, Refusal> {
    let names = certificate.subject_alternative_name().map_err(Refusal::malformed)?;
    let Some(names) = names else {
        return Err(Refusal::new(Reason::UriSanMissing, "no subject alternative name"));
    };
    if certificate.subject().iter().next().is_none() && !names.critical {
        return Err(Refusal::malformed("subject is empty and the subject alternative name is not critical"));
    }
    let mut uris = names.value.general_names.iter().filter_map(uri);
    match (uris.next(), uris.next()) {
        (None, _) => Err(Refusal::new(Reason::UriSanMissing, "no URI among the subject alternative names")),
        (Some(_), Some(_)) => Err(Refusal::new(Reason::UriSanMultiple, "more than one URI SAN")),
        (Some(None), None) => Err(Refusal::new(Reason::SpiffeIdInvalid, "URI SAN is no text")),
        (Some(Some(text)), None) => workload_id(text),
    }
}

/// A URI SAN, `Some(None)` for one that is no text: it counts all the same.
#[expect(clippy::option_option, reason = "an unreadable URI is not an absent one")]
fn uri<'a>(name: &GeneralName<'a>) -> Option<Option<&'a str>> {
    match name {
        GeneralName::URI(text) => Some(Some(text)),
        GeneralName::Invalid(tag, _) if tag.0 == URI_TAG => Some(None),
        _ => None,
    }
}

/// uniformResourceIdentifier in the CHOICE of RFC 5280 §4.2.1.6.
const URI_TAG: u32 = 6;

fn workload_id(text: &str) -> Result<SpiffeId, Refusal> {
    let id = SpiffeId::parse(text).map_err(|error| Refusal::new(Reason::SpiffeIdInvalid, error.to_string()))?;
    if id.is_trust_domain_id() {
        return Err(Refusal::new(Reason::SpiffeIdWithoutPath, format!("{id} names a trust domain")));
    }
    Ok(id)
}

/// X509-SVID §4.1: a leaf's `cA` is false.
fn check_no_ca(certificate: &X509Certificate<'_>) -> Result<(), Refusal> {
    let Some(extension) =
        certificate.get_extension_unique(&OID_X509_EXT_BASIC_CONSTRAINTS).map_err(Refusal::malformed)?
    else {
        return Ok(());
    };
    match extension.parsed_extension() {
        ParsedExtension::BasicConstraints(constraints) if constraints.ca => {
            Err(Refusal::new(Reason::LeafIsCa, "basicConstraints has cA"))
        }
        ParsedExtension::BasicConstraints(_) => Ok(()),
        // The reader's own getter takes one that can't be read for an absent one.
        _ => Err(Refusal::malformed("basicConstraints can't be read")),
    }
}

/// X509-SVID §4.3: keyUsage is there, critical, has digitalSignature and neither keyCertSign nor cRLSign.
fn check_key_usage(certificate: &X509Certificate<'_>) -> Result<(), Refusal> {
    let refuse = |detail: &'static str| Err(Refusal::new(Reason::KeyUsageInvalid, detail));
    let Some(usage) = certificate.key_usage().map_err(Refusal::malformed)? else {
        return refuse("no keyUsage");
    };
    if !usage.critical {
        return refuse("keyUsage is not critical");
    }
    if !usage.value.digital_signature() {
        return refuse("keyUsage lacks digitalSignature");
    }
    if usage.value.key_cert_sign() || usage.value.crl_sign() {
        return refuse("keyUsage has keyCertSign or cRLSign");
    }
    Ok(())
}

/// X509-SVID §4.4: where extendedKeyUsage is there, it has serverAuth and clientAuth.
fn check_extended_key_usage(certificate: &X509Certificate<'_>) -> Result<(), Refusal> {
    match certificate.extended_key_usage().map_err(Refusal::malformed)? {
        Some(usage) if !(usage.value.server_auth && usage.value.client_auth) => {
            Err(Refusal::new(Reason::ExtendedKeyUsageInvalid, "extendedKeyUsage lacks serverAuth or clientAuth"))
        }
        _ => Ok(()),
    }
}
