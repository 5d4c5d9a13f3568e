//! What Envoy may hand over, and what it means when the parts don't agree.

use std::fmt::Write as _;

use authz_core::{identity::Limits, reason::Reason};
use proptest::prelude::*;
use rustls_pki_types::CertificateDer;

use super::{Chain, PresentedCertificate, digest};
use crate::identity::test_pki::{Ca, pem, url_encoded};

const LIMITS: Limits = Limits { max_bytes: 64 * 1024, max_elements: 32 };

struct Parts {
    leaf: CertificateDer<'static>,
    other: CertificateDer<'static>,
    intermediate: CertificateDer<'static>,
}

fn parts() -> Parts {
    let root = Ca::root("root");
    let intermediate = root.below("intermediate", |_| ());
    Parts { leaf: intermediate.leaf(|_| ()), other: intermediate.leaf(|_| ()), intermediate: intermediate.der }
}

fn element(of: &CertificateDer<'_>, cert: &[&CertificateDer<'_>], chain: &[&CertificateDer<'_>]) -> String {
    let mut text = format!("By=spiffe://td/proxy;Hash={}", digest(of));
    for (key, certificates) in [("Cert", cert), ("Chain", chain)] {
        if !certificates.is_empty() {
            write!(text, ";{key}=\"{}\"", url_encoded(&pem(certificates))).unwrap();
        }
    }
    text + ";URI=spiffe://td/web"
}

fn chain_of(source: Option<&str>, xfcc: &[&str], trust_xfcc: bool) -> Result<Chain, Reason> {
    let xfcc = xfcc.iter().map(|line| line.as_bytes()).collect();
    let presented = PresentedCertificate { source_certificate: source, xfcc };
    presented.read(trust_xfcc, LIMITS).map(|it| it.certificates).map_err(|refusal| refusal.reason())
}

#[test]
fn the_leaf_comes_plain_or_url_encoded() {
    let Parts { leaf, .. } = parts();
    for text in [pem(&[&leaf]), url_encoded(&pem(&[&leaf]))] {
        let chain = chain_of(Some(&text), &[], false).unwrap();
        assert_eq!((&chain.leaf, chain.intermediates.len()), (&leaf, 0));
    }
}

#[test]
fn the_newest_xfcc_element_brings_the_intermediates() {
    let Parts { leaf, other, intermediate } = parts();
    let source = pem(&[&leaf]);
    let ours = element(&leaf, &[&leaf], &[&leaf, &intermediate]);
    let older = element(&other, &[&other], &[&other]);
    for lines in [vec![ours.clone()], vec![format!("{older},{ours}")], vec![older, ours]] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let chain = chain_of(Some(&source), &lines, false).unwrap();
        assert_eq!(chain.leaf, leaf);
        assert_eq!(chain.intermediates, std::slice::from_ref(&intermediate));
    }
}

#[test]
fn parts_that_speak_of_different_leaves_are_refused() {
    let Parts { leaf, other, intermediate } = parts();
    let source = pem(&[&leaf]);
    let (ours, older) = (element(&leaf, &[], &[&leaf, &intermediate]), element(&other, &[], &[]));
    let cases = [
        ("hash of another", element(&other, &[], &[]), Reason::CertificateMismatch),
        ("cert of another", element(&leaf, &[&other], &[]), Reason::CertificateMismatch),
        ("chain of another", element(&leaf, &[], &[&other, &leaf]), Reason::CertificateMismatch),
        ("intermediate first", element(&leaf, &[], &[&intermediate, &leaf]), Reason::CertificateMismatch),
        ("ours is not the newest", format!("{ours},{older}"), Reason::CertificateMismatch),
        ("two certificates as Cert", element(&leaf, &[&leaf, &intermediate], &[]), Reason::CertificateMalformed),
        ("no Hash", "By=spiffe://td/proxy;URI=spiffe://td/web".to_owned(), Reason::XfccInvalid),
        ("too long a chain", element(&leaf, &[], &[&leaf; 10]), Reason::CertificateMalformed),
        ("no XFCC", "{}".to_owned(), Reason::XfccInvalid),
        ("empty", String::new(), Reason::XfccInvalid),
    ];
    for (case, xfcc, reason) in cases {
        for trust_xfcc in [false, true] {
            assert_eq!(chain_of(Some(&source), &[&xfcc], trust_xfcc).err(), Some(reason), "{case}");
        }
    }
}

#[test]
fn the_header_alone_is_believed_only_where_configured() {
    let Parts { leaf, other, intermediate } = parts();
    for xfcc in [element(&leaf, &[&leaf], &[&leaf, &intermediate]), element(&leaf, &[], &[&leaf, &intermediate])] {
        assert_eq!(chain_of(None, &[&xfcc], false).err(), Some(Reason::CertificateMissing));
        let chain = chain_of(None, &[&xfcc], true).unwrap();
        assert_eq!((chain.leaf, chain.intermediates), (leaf.clone(), vec![intermediate.clone()]));
    }
    let without = element(&leaf, &[], &[]);
    assert_eq!(chain_of(None, &[&without], true).err(), Some(Reason::CertificateMissing));
    let forged = element(&leaf, &[&other], &[]);
    assert_eq!(chain_of(None, &[&forged], true).err(), Some(Reason::CertificateMismatch));
}

#[test]
fn a_certificate_that_is_none_or_several_is_malformed() {
    let Parts { leaf, intermediate, .. } = parts();
    let whole = pem(&[&leaf]);
    let cases = [
        "hello".to_owned(),
        "%".to_owned(),
        "%ff".to_owned(),
        pem(&[&leaf, &intermediate]),
        whole[..whole.len() / 2].to_owned(),
        whole.replace("CERTIFICATE", "PRIVATE KEY"),
        "A".repeat(40_000),
    ];
    for text in cases {
        assert_eq!(chain_of(Some(&text), &[], false).err(), Some(Reason::CertificateMalformed), "{text:.40}");
    }
}

#[test]
fn nothing_is_missing_and_not_malformed() {
    for source in [None, Some("")] {
        assert_eq!(chain_of(source, &[], true).err(), Some(Reason::CertificateMissing));
    }
}

proptest! {
    #[test]
    fn nothing_that_arrives_makes_it_panic(source in any::<Option<String>>(), xfcc in any::<Vec<Vec<u8>>>()) {
        let xfcc = xfcc.iter().map(Vec::as_slice).collect();
        let presented = PresentedCertificate { source_certificate: source.as_deref(), xfcc };
        prop_assert!(presented.read(true, LIMITS).is_err());
    }
}
