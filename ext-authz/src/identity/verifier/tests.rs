//! What is remembered, and when it must not be.

use std::sync::Arc;

use authz_core::{reason::Reason, time::Timestamp};

use super::{Forwarding, Identified, MemoCounts, Refusal, Verifier};
use crate::identity::{
    Bundles, PresentedCertificate,
    test_pki::{Ca, NOW, at, bundles, now, pem, trusting, url_encoded},
};

fn presenting(pem: &str) -> PresentedCertificate<'_> {
    PresentedCertificate { source_certificate: Some(pem), xfcc: Vec::new() }
}

fn reason(result: &Result<Identified, Refusal>) -> Option<Reason> {
    result.as_ref().err().map(Refusal::reason)
}

#[test]
fn the_same_certificate_is_verified_once() {
    let ca = Ca::root("root");
    let verifier = Verifier::new(trusting(&ca), Forwarding::default());
    let text = url_encoded(&pem(&[&ca.leaf(|_| ())]));
    let first = verifier.verify(&presenting(&text), now()).unwrap();
    let second = verifier.verify(&presenting(&text), now()).unwrap();
    assert!(Arc::ptr_eq(first.caller(), second.caller()));
    assert_eq!(verifier.memo_counts(), MemoCounts { hits: 1, misses: 1 });
}

#[test]
fn the_same_certificate_beside_other_headers_is_still_the_same_caller() {
    let ca = Ca::root("root");
    let verifier = Verifier::new(trusting(&ca), Forwarding::default());
    let leaf = ca.leaf(|_| ());
    let (plain, encoded) = (pem(&[&leaf]), url_encoded(&pem(&[&leaf])));
    let first = verifier.verify(&presenting(&plain), now()).unwrap();
    let second = verifier.verify(&presenting(&encoded), now()).unwrap();
    assert!(Arc::ptr_eq(first.caller(), second.caller()));
}

#[test]
fn a_remembered_caller_is_not_known_before_or_after_its_time() {
    let ca = Ca::root("root");
    let verifier = Verifier::new(trusting(&ca), Forwarding::default());
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
        assert_eq!(reason(&result), expected, "{millis}");
    }
}

#[test]
fn a_remembered_caller_does_not_outlive_its_authority() {
    let ca = Ca::root_with("root", |params| params.not_after = at(NOW + 10));
    let verifier = Verifier::new(trusting(&ca), Forwarding::default());
    let text = pem(&[&ca.leaf(|_| ())]);
    assert!(verifier.verify(&presenting(&text), now()).is_ok());
    assert_eq!(
        reason(&verifier.verify(&presenting(&text), Timestamp::from_secs(NOW + 11))),
        Some(Reason::ChainInvalid)
    );
}

#[test]
fn other_bundles_are_in_force_at_once_for_remembered_callers_too() {
    let (old, new) = (Ca::root("root"), Ca::root("root"));
    let verifier = Verifier::new(trusting(&old), Forwarding::default());
    let text = pem(&[&old.leaf(|_| ())]);
    assert!(verifier.verify(&presenting(&text), now()).is_ok());
    assert_eq!((verifier.generation(), verifier.replace(trusting(&new))), (1, 2));
    assert_eq!(reason(&verifier.verify(&presenting(&text), now())), Some(Reason::ChainInvalid));
    verifier.replace(Bundles::default());
    assert_eq!(reason(&verifier.verify(&presenting(&text), now())), Some(Reason::TrustDomainUnknown));
    assert_eq!(verifier.replace(bundles(&[("other", &new), ("td", &old)])), 4);
    assert!(verifier.verify(&presenting(&text), now()).is_ok());
}

#[test]
fn a_proof_found_under_old_bundles_is_not_kept_for_new_ones() {
    let (old, new) = (Ca::root("root"), Ca::root("root"));
    let verifier = Verifier::new(trusting(&old), Forwarding::default());
    let text = pem(&[&old.leaf(|_| ())]);
    let presented = presenting(&text);
    let chain = presented.read(false, Forwarding::default().limits).unwrap().certificates;
    let proof = crate::identity::svid::verify(&chain.leaf, &[], &trusting(&old), now()).unwrap();
    let before = verifier.generation();
    verifier.replace(trusting(&new));
    // As if a verification had begun before the replacement and ended after it.
    verifier.memo.keep(super::key_of_presented(&presented), before, Identified::direct(proof.caller), proof.window);
    assert_eq!(reason(&verifier.verify(&presented, now())), Some(Reason::ChainInvalid));
}

#[test]
fn refusals_are_not_remembered() {
    let ca = Ca::root("root");
    let verifier = Verifier::new(Bundles::default(), Forwarding::default());
    let text = pem(&[&ca.leaf(|_| ())]);
    assert_eq!(reason(&verifier.verify(&presenting(&text), now())), Some(Reason::TrustDomainUnknown));
    assert_eq!(verifier.memo_counts(), MemoCounts { hits: 0, misses: 1 });
    verifier.replace(trusting(&ca));
    assert!(verifier.verify(&presenting(&text), now()).is_ok());
}

#[test]
fn nothing_presented_is_a_missing_certificate() {
    let verifier = Verifier::new(Bundles::default(), Forwarding { trust_xfcc: true, ..Forwarding::default() });
    assert_eq!(reason(&verifier.verify(&PresentedCertificate::default(), now())), Some(Reason::CertificateMissing));
}

#[test]
fn a_refusal_has_words_for_the_log() {
    let ca = Ca::root("root");
    let verifier = Verifier::new(Bundles::default(), Forwarding::default());
    let text = pem(&[&ca.leaf(|_| ())]);
    let refusal = verifier.verify(&presenting(&text), now()).unwrap_err();
    assert_eq!(refusal.to_string(), "trust_domain_unknown: no bundle for trust domain td");
}

mod chains {
    use std::fmt::Write as _;

    use authz_core::{
        hops::{Forwarders, Reach},
        identity::IdPattern,
    };
    use rustls_pki_types::CertificateDer;

    use super::*;
    use crate::identity::{leaf::digest, test_pki::uri};

    fn leaf(ca: &Ca, path: &str) -> CertificateDer<'static> {
        ca.leaf(|params| params.subject_alt_names = vec![uri(&format!("spiffe://td{path}"))])
    }

    /// What the proxy `by` writes about a client with `chain`.
    fn element(by: &str, chain: &[&CertificateDer<'_>]) -> String {
        let mut text = format!("By=spiffe://td{by};Hash={}", digest(chain[0]));
        write!(text, ";Cert=\"{}\"", url_encoded(&pem(&chain[..1]))).unwrap();
        write!(text, ";Chain=\"{}\"", url_encoded(&pem(chain))).unwrap();
        text
    }

    fn verifier(bundles: Bundles) -> Verifier {
        let forwarders = Forwarders::new([IdPattern::parse("spiffe://td/gw/*").unwrap()]);
        Verifier::new(bundles, Forwarding { forwarders, ..Forwarding::default() })
    }

    /// Hops and reach behind the last of `elements`, whose client has the leaf `caller`.
    fn chain(
        verifier: &Verifier,
        caller: &CertificateDer<'_>,
        elements: &[String],
        now: Timestamp,
    ) -> (Vec<String>, Reach) {
        let (source, header) = (pem(&[caller]), elements.join(","));
        let presented = PresentedCertificate { source_certificate: Some(&source), xfcc: vec![header.as_bytes()] };
        let identified = verifier.verify(&presented, now).unwrap();
        let paths = identified.chain().hops().iter().map(|hop| hop.credential().id().path().to_owned());
        (paths.collect(), identified.chain().reach())
    }

    #[test]
    fn those_behind_the_caller_are_verified_like_the_caller() {
        let (ca, stranger) = (Ca::root("root"), Ca::root("stranger"));
        let below = ca.below("below", |_| ());
        let (web, gw) = (leaf(&below, "/web"), leaf(&ca, "/gw/1"));
        let verifier = verifier(trusting(&ca));
        let ours = element("/us", &[&gw]);
        let whole = [element("/gw/1", &[&web, &below.der]), ours.clone()];
        assert_eq!(chain(&verifier, &gw, &whole, now()), (vec!["/web".to_owned()], Reach::Origin));
        let cases = [
            ("an intermediate is missing", element("/gw/1", &[&web])),
            ("of an authority nobody trusts", element("/gw/1", &[&leaf(&stranger, "/web")])),
            (
                "Hash of another",
                element("/gw/1", &[&web, &below.der]).replace(&digest(&web).to_string(), &"0".repeat(64)),
            ),
            ("another URI", element("/gw/1", &[&web, &below.der]) + ";URI=spiffe://td/admin"),
            ("no certificate", format!("By=spiffe://td/gw/1;Hash={};URI=spiffe://td/web", digest(&web))),
        ];
        for (case, forged) in cases {
            assert_eq!(chain(&verifier, &gw, &[forged, ours.clone()], now()), (vec![], Reach::Proof), "{case}");
        }
    }

    #[test]
    fn what_an_untrusted_caller_forwards_counts_for_nothing() {
        let ca = Ca::root("root");
        let (web, admin) = (leaf(&ca, "/web"), leaf(&ca, "/admin"));
        let elements = [element("/web", &[&admin]), element("/us", &[&web])];
        assert_eq!(chain(&verifier(trusting(&ca)), &web, &elements, now()), (vec![], Reach::Forwarder));
        let own = Verifier::new(trusting(&ca), Forwarding::default());
        assert_eq!(chain(&own, &web, &elements, now()), (vec![], Reach::Forwarder), "by default nobody's word counts");
    }

    #[test]
    fn a_chain_is_remembered_no_longer_than_each_of_its_certificates_holds() {
        let ca = Ca::root("root");
        let gw = leaf(&ca, "/gw/1");
        let bent = |from: u64, to: u64| ca.leaf(|params| (params.not_before, params.not_after) = (at(from), at(to)));
        let (short, later) = (bent(NOW - 10, NOW + 10), bent(NOW + 10, NOW + 20));
        let verifier = verifier(trusting(&ca));
        let header = |hop: &CertificateDer<'_>| [element("/gw/1", &[hop]), element("/us", &[&gw])];
        let seen = |hop: &CertificateDer<'_>, seconds: u64| {
            chain(&verifier, &gw, &header(hop), Timestamp::from_secs(seconds)).1
        };
        assert_eq!([NOW, NOW + 10, NOW + 11].map(|at| seen(&short, at)), [Reach::Origin, Reach::Origin, Reach::Proof]);
        assert_eq!([NOW, NOW + 10, NOW + 21].map(|at| seen(&later, at)), [Reach::Proof, Reach::Origin, Reach::Proof]);
    }

    #[test]
    fn other_bundles_end_remembered_chains() {
        let (ca, other) = (Ca::root("root"), Ca::root("other"));
        let foreign = other.leaf(|params| params.subject_alt_names = vec![uri("spiffe://other/web")]);
        let gw = leaf(&ca, "/gw/1");
        let verifier = verifier(bundles(&[("td", &ca), ("other", &other)]));
        let elements = [element("/gw/1", &[&foreign]), element("/us", &[&gw])];
        assert_eq!(chain(&verifier, &gw, &elements, now()), (vec!["/web".to_owned()], Reach::Origin));
        verifier.replace(trusting(&ca));
        assert_eq!(chain(&verifier, &gw, &elements, now()), (vec![], Reach::Proof));
    }

    #[test]
    fn two_hundred_elements_are_refused() {
        let ca = Ca::root("root");
        let gw = leaf(&ca, "/gw/1");
        let header = vec![format!("By=spiffe://td/gw/1;Hash={}", digest(&gw)); 200].join(",");
        let source = pem(&[&gw]);
        let presented = PresentedCertificate { source_certificate: Some(&source), xfcc: vec![header.as_bytes()] };
        assert_eq!(reason(&verifier(trusting(&ca)).verify(&presented, now())), Some(Reason::XfccInvalid));
    }
}
