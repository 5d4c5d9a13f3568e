//! What Envoy hands over about the other end, as a leaf and its intermediates that speak of the same certificate. It believes none of it.

use std::borrow::Cow;

use authz_core::{
    identity::{Element, Limits, Xfcc, decode_percent},
    reason::Reason,
};
use rustls_pki_types::CertificateDer;

use super::{leaf::digest, pem, refusal::Refusal};

/// What arrived with a request about its connection.
#[derive(Clone, Debug, Default)]
pub struct PresentedCertificate<'a> {
    /// The leaf as PEM, URL-encoded or plain: `source.certificate` of `ext_authz`, or what the filter read from the connection.
    pub source_certificate: Option<&'a str>,
    /// The lines of `x-forwarded-client-cert`, in order.
    pub xfcc: Vec<&'a [u8]>,
}

/// The certificates that were presented, leaf apart.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) leaf: CertificateDer<'static>,
    pub(super) intermediates: Vec<CertificateDer<'static>>,
}

/// What was presented, read: of the caller and, further left in the header, of those behind it.
pub(super) struct Presentation {
    pub(super) certificates: Chain,
    xfcc: Option<Xfcc>,
}

impl PresentedCertificate<'_> {
    /// Whether nothing at all was presented.
    pub(super) fn is_empty(&self) -> bool {
        self.source_certificate().is_none() && self.xfcc.is_empty()
    }

    /// Puts the parts together. With `trust_xfcc` the header alone can bring the leaf; without, it can only add to a leaf that Envoy gave.
    pub(super) fn read(&self, trust_xfcc: bool, limits: Limits) -> Result<Presentation, Refusal> {
        let xfcc = self.xfcc(limits)?;
        // What the proxy next to us wrote. Everything further left was written by somebody else.
        let newest = xfcc.as_ref().and_then(Xfcc::newest);
        let leaf = match (self.source_certificate(), newest) {
            (Some(text), _) => leaf_of(text)?,
            (None, Some(element)) if trust_xfcc => claimed_leaf(element)?,
            (None, _) => return Err(Refusal::new(Reason::CertificateMissing, "the connection carries no certificate")),
        };
        let intermediates = newest.map_or_else(|| Ok(Vec::new()), |element| intermediates(&leaf, element))?;
        Ok(Presentation { certificates: Chain { leaf, intermediates }, xfcc })
    }

    fn source_certificate(&self) -> Option<&str> {
        self.source_certificate.filter(|text| !text.is_empty())
    }

    fn xfcc(&self, limits: Limits) -> Result<Option<Xfcc>, Refusal> {
        let value = match self.xfcc.as_slice() {
            [] => return Ok(None),
            [line] => Cow::Borrowed(*line),
            lines => Cow::Owned(lines.join(&b',')),
        };
        match Xfcc::parse(&value, limits) {
            Ok(xfcc) => Ok(Some(xfcc)),
            Err(error) => Err(Refusal::new(Reason::XfccInvalid, error.to_string())),
        }
    }
}

impl Presentation {
    /// What is claimed about those behind the caller, the nearest first.
    pub(super) fn earlier(&self) -> impl Iterator<Item = &Element> {
        self.xfcc.iter().flat_map(|xfcc| xfcc.elements().iter().rev().skip(1))
    }
}

/// The certificates an earlier element carries, if all of it speaks of one leaf.
pub(super) fn carried(element: &Element) -> Result<Chain, Refusal> {
    let leaf = claimed_leaf(element)?;
    let intermediates = intermediates(&leaf, element)?;
    Ok(Chain { leaf, intermediates })
}

fn leaf_of(text: &str) -> Result<CertificateDer<'static>, Refusal> {
    let pem = decode_percent(text, MAX_PEM_BYTES).map_err(Refusal::malformed)?;
    only_certificate(&pem)
}

/// Exactly one: where there are several, somebody could take another one for the leaf than we do.
fn only_certificate(pem: &str) -> Result<CertificateDer<'static>, Refusal> {
    let mut certificates = pem::certificates(pem, 1).map_err(Refusal::malformed)?;
    certificates.pop().ok_or_else(|| Refusal::malformed("there is no PEM certificate in it"))
}

fn claimed_leaf(element: &Element) -> Result<CertificateDer<'static>, Refusal> {
    if let Some(pem) = element.cert_pem() {
        return only_certificate(pem);
    }
    let chain = element.chain_pem().map(chain_of).transpose()?.unwrap_or_default();
    let leaf = chain.into_iter().next();
    leaf.ok_or_else(|| Refusal::new(Reason::CertificateMissing, "an XFCC element has neither Cert nor Chain"))
}

/// The intermediates that `element` brings, if all it says is about `leaf`.
fn intermediates(leaf: &CertificateDer<'_>, element: &Element) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let Some(hash) = element.hash() else {
        return Err(Refusal::new(Reason::XfccInvalid, "an XFCC element has no Hash, which Envoy always writes"));
    };
    if hash != digest(leaf) {
        return Err(mismatch("Hash of an XFCC element is not that of the leaf"));
    }
    if let Some(pem) = element.cert_pem()
        && only_certificate(pem)? != *leaf
    {
        return Err(mismatch("Cert of an XFCC element is not the leaf"));
    }
    let Some(pem) = element.chain_pem() else {
        return Ok(Vec::new());
    };
    let mut chain = chain_of(pem)?.into_iter();
    match chain.next() {
        Some(first) if first == *leaf => Ok(chain.collect()),
        _ => Err(mismatch("Chain of an XFCC element does not begin with the leaf")),
    }
}

fn chain_of(pem: &str) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    pem::certificates(pem, 1 + MAX_INTERMEDIATES).map_err(Refusal::malformed)
}

fn mismatch(detail: &'static str) -> Refusal {
    Refusal::new(Reason::CertificateMismatch, detail)
}

/// PEM of a certificate of the largest size we read, with room for text around it.
const MAX_PEM_BYTES: usize = 32 * 1024;

/// Path validation stops at six intermediates, so more can't be of use.
const MAX_INTERMEDIATES: usize = 8;

#[cfg(test)]
mod tests;
