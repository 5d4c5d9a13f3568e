//! X.509-SVID validation: a leaf and what came with it, against the bundle of the leaf's own trust domain, at a given time. It remembers nothing.

use std::sync::Arc;

use authz_core::{
    facts::Caller,
    identity::{Credential, SpiffeId, TrustDomain},
    reason::Reason,
    time::Timestamp,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{
    bundle::{Bundle, Bundles},
    leaf::{Leaf, names},
    refusal::Refusal,
    validity::Validity,
};

/// A caller whose certificate was verified, and the time for which that verification holds.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    pub(super) caller: Arc<Caller>,
    /// In which leaf, intermediates and authority of the path are all valid.
    pub(super) window: Validity,
}

/// Verifies `leaf` at `now` (X509-SVID §5, SPIFFE Workload API §4.6): every rule for leaves, then RFC 5280 path validation.
///
/// The credential of the caller ends when the first certificate of its path does, so that nothing resting on it outlives the path.
pub(super) fn verify(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    bundles: &Bundles,
    now: Timestamp,
) -> Result<Proof, Refusal> {
    let named = |refusal: Refusal| refusal.naming(names(leaf));
    let facts = Leaf::read(leaf).map_err(named)?;
    match window(leaf, &facts, intermediates, bundles, now) {
        Ok(window) => prove(facts, window),
        Err(refusal) => Err(named(refusal).claiming(facts.into_claim())),
    }
}

/// The time for which leaf and path are valid.
fn window(
    leaf: &CertificateDer<'_>,
    facts: &Leaf,
    intermediates: &[CertificateDer<'_>],
    bundles: &Bundles,
    now: Timestamp,
) -> Result<Validity, Refusal> {
    let Some(bundle) = bundles.of(&facts.id) else {
        let detail = format!("no bundle for trust domain {}", facts.id.trust_domain());
        return Err(Refusal::new(Reason::TrustDomainUnknown, detail));
    };
    check_time(&facts.validity, now)?;
    Ok(facts.validity.and(path_window(leaf, intermediates, bundle, now)?))
}

/// The ID a leaf names if it keeps the rules for leaves; it proves nothing, so it is for logs only.
pub fn claimed_id(leaf: &CertificateDer<'_>) -> Option<SpiffeId> {
    Leaf::read(leaf).ok().map(|facts| facts.id)
}

/// From when until when a leaf says that it is valid, if it keeps the rules for leaves; it proves nothing.
pub fn claimed_validity(leaf: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    Leaf::read(leaf).ok().map(|facts| (facts.validity.not_before, facts.validity.not_after))
}

/// Reads `bytes` as everything that arrives from outside here, and verifies what can be read; for fuzzing, so it returns nothing.
pub fn fuzz_entry(bytes: &[u8]) {
    let leaf = CertificateDer::from(bytes);
    let bundle = Bundle::parse(bytes).ok();
    let (Ok(facts), now) = (Leaf::read(&leaf), Timestamp::from_secs(1_800_000_000)) else { return };
    let trust_domain = TrustDomain::of(&facts.id);
    let bundles = Bundles::new(bundle.map(|bundle| (trust_domain, Arc::new(bundle))));
    let _ = verify(&leaf, std::slice::from_ref(&leaf), &bundles, now);
}

fn check_time(validity: &Validity, now: Timestamp) -> Result<(), Refusal> {
    if now < validity.not_before {
        return Err(Refusal::new(Reason::CertificateNotYetValid, "notBefore has not come"));
    }
    if now > validity.not_after {
        return Err(Refusal::new(Reason::CertificateExpired, "notAfter has passed"));
    }
    Ok(())
}

/// RFC 5280 §6 from the leaf to an authority of `bundle`, giving the window of what stands above the leaf.
fn path_window(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    bundle: &Bundle,
    now: Timestamp,
) -> Result<Validity, Refusal> {
    let refuse = |error: webpki::Error| Refusal::new(Reason::ChainInvalid, error.to_string());
    let accept = |path: &VerifiedPath<'_>| window_of(path, bundle, now).map(|_| ());
    let end_entity = EndEntityCert::try_from(leaf).map_err(refuse)?;
    // What was presented comes first; of the bundle's own only those of this trust domain, never another's.
    let intermediates: Vec<_> = intermediates.iter().chain(bundle.intermediates()).map(borrowed).collect();
    let path = end_entity.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        bundle.anchors(),
        &intermediates,
        UnixTime::since_unix_epoch(std::time::Duration::from_millis(now.as_millis())),
        KeyUsage::client_auth(),
        // Revocation is the gate's business: it is asked on every request, not once per verification.
        None,
        Some(&accept),
    );
    window_of(&path.map_err(refuse)?, bundle, now).map_err(refuse)
}

fn borrowed<'a>(certificate: &'a CertificateDer<'_>) -> CertificateDer<'a> {
    CertificateDer::from(certificate.as_ref())
}

/// What webpki leaves out: intermediates may sign certificates (RFC 5280 §6.1.4 n), and the authority itself has not expired.
fn window_of(path: &VerifiedPath<'_>, bundle: &Bundle, now: Timestamp) -> Result<Validity, webpki::Error> {
    let mut window = bundle.validity_of(path.anchor()).ok_or(webpki::Error::UnknownIssuer)?;
    for intermediate in path.intermediate_certificates() {
        let der = intermediate.der();
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| webpki::Error::BadDer)?;
        let usage = certificate.key_usage().map_err(|_| webpki::Error::BadDer)?;
        if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
            return Err(webpki::Error::EndEntityUsedAsCa);
        }
        window = window.and(Validity::of(&certificate));
    }
    if window.contains(now) { Ok(window) } else { Err(webpki::Error::UnknownIssuer) }
}

fn prove(leaf: Leaf, window: Validity) -> Result<Proof, Refusal> {
    // `issued before` of a revocation looks at the leaf's own notBefore, so only the end is shortened.
    let (not_before, not_after) = (leaf.validity.not_before, window.not_after);
    let credential =
        Credential::new(leaf.id, leaf.digest, leaf.issued_by, not_before, not_after).map_err(Refusal::malformed)?;
    Ok(Proof { caller: Caller::verified(credential), window })
}

#[cfg(test)]
mod tests;
