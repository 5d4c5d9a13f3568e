//! What is remembered, and when it must not be.

use std::sync::Arc;

use authz_core::{reason::Reason, time::Timestamp};

use super::{MemoCounts, Verifier};
use crate::identity::{
    Bundles, PresentedCertificate,
    test_pki::{Ca, NOW, at, bundles, now, pem, trusting, url_encoded},
};

fn presenting(pem: &str) -> PresentedCertificate<'_> {
    PresentedCertificate { source_certificate: Some(pem), xfcc: Vec::new() }
}

#[test]
fn the_same_certificate_is_verified_once() {
    let ca = Ca::root("root");
    let verifier = Verifier::new(trusting(&ca), false);
    let text = url_encoded(&pem(&[&ca.leaf(|_| ())]));
    let first = verifier.verify(&presenting(&text), now()).unwrap();
    let second = verifier.verify(&presenting(&text), now()).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(verifier.memo_counts(), MemoCounts { hits: 1, misses: 1 });
}

#[test]
fn the_same_certificate_beside_other_headers_is_still_the_same_caller() {
    let ca = Ca::root("root");
    let verifier = Verifier::new(trusting(&ca), false);
    let leaf = ca.leaf(|_| ());
    let (plain, encoded) = (pem(&[&leaf]), url_encoded(&pem(&[&leaf])));
    let first = verifier.verify(&presenting(&plain), now()).unwrap();
    let second = verifier.verify(&presenting(&encoded), now()).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
}

#[test]
fn a_remembered_caller_is_not_known_before_or_after_its_time() {
    let ca = Ca::root("root");
    let verifier = Verifier::new(trusting(&ca), false);
    let text = pem(&[&ca.leaf(|_| ())]);
    let cases = [
        (NOW * 1000, None),
        ((NOW + 3600) * 1000, None),
        ((NOW + 3600) * 1000 + 1, Some(Reason::CertificateExpired)),
        ((NOW - 3600) * 1000 - 1, Some(Reason::CertificateNotYetValid)),
        (NOW * 1000, None),
    ];
    for (millis, expected) in cases {
        let result = verifier.verify(&presenting(&text), Timestamp::from_millis(millis));
        assert_eq!(result.err(), expected, "{millis}");
    }
}

#[test]
fn a_remembered_caller_does_not_outlive_its_authority() {
    let ca = Ca::root_with("root", |params| params.not_after = at(NOW + 10));
    let verifier = Verifier::new(trusting(&ca), false);
    let text = pem(&[&ca.leaf(|_| ())]);
    assert!(verifier.verify(&presenting(&text), now()).is_ok());
    assert_eq!(verifier.verify(&presenting(&text), Timestamp::from_secs(NOW + 11)).err(), Some(Reason::ChainInvalid));
}

#[test]
fn other_bundles_are_in_force_at_once_for_remembered_callers_too() {
    let (old, new) = (Ca::root("root"), Ca::root("root"));
    let verifier = Verifier::new(trusting(&old), false);
    let text = pem(&[&old.leaf(|_| ())]);
    assert!(verifier.verify(&presenting(&text), now()).is_ok());
    assert_eq!((verifier.generation(), verifier.replace(trusting(&new))), (1, 2));
    assert_eq!(verifier.verify(&presenting(&text), now()).err(), Some(Reason::ChainInvalid));
    verifier.replace(Bundles::default());
    assert_eq!(verifier.verify(&presenting(&text), now()).err(), Some(Reason::TrustDomainUnknown));
    assert_eq!(verifier.replace(bundles(&[("other", &new), ("td", &old)])), 4);
    assert!(verifier.verify(&presenting(&text), now()).is_ok());
}

#[test]
fn a_proof_found_under_old_bundles_is_not_kept_for_new_ones() {
    let (old, new) = (Ca::root("root"), Ca::root("root"));
    let verifier = Verifier::new(trusting(&old), false);
    let text = pem(&[&old.leaf(|_| ())]);
    let presented = presenting(&text);
    let chain = presented.chain(false).unwrap();
    let proof = crate::identity::svid::verify(&chain.leaf, &[], &trusting(&old), now()).unwrap();
    let before = verifier.generation();
    verifier.replace(trusting(&new));
    // As if a verification had begun before the replacement and ended after it.
    verifier.memo.keep(super::key_of_presented(&presented), before, proof);
    assert_eq!(verifier.verify(&presented, now()).err(), Some(Reason::ChainInvalid));
}

#[test]
fn refusals_are_not_remembered() {
    let ca = Ca::root("root");
    let verifier = Verifier::new(Bundles::default(), false);
    let text = pem(&[&ca.leaf(|_| ())]);
    assert_eq!(verifier.verify(&presenting(&text), now()).err(), Some(Reason::TrustDomainUnknown));
    assert_eq!(verifier.memo_counts(), MemoCounts { hits: 0, misses: 1 });
    verifier.replace(trusting(&ca));
    assert!(verifier.verify(&presenting(&text), now()).is_ok());
}

#[test]
fn nothing_presented_is_a_missing_certificate() {
    let verifier = Verifier::new(Bundles::default(), true);
    assert_eq!(verifier.verify(&PresentedCertificate::default(), now()).err(), Some(Reason::CertificateMissing));
}

#[test]
fn a_refusal_has_words_for_the_log() {
    let ca = Ca::root("root");
    let verifier = Verifier::new(Bundles::default(), false);
    let text = pem(&[&ca.leaf(|_| ())]);
    let refusal = verifier.verify_or_explain(&presenting(&text), now()).unwrap_err();
    assert_eq!(refusal.to_string(), "trust_domain_unknown: no bundle for trust domain td");
}
