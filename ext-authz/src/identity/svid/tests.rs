//! Every rule, with a certificate that breaks just that one.

use std::sync::Arc;

use authz_core::{
    identity::{SpiffeId, TrustDomain},
    reason::Reason,
    time::Timestamp,
};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, ExtendedKeyUsagePurpose as Purpose, IsCa,
    KeyUsagePurpose as Usage, SanType,
};
use rustls_pki_types::CertificateDer;

use super::{Proof, fuzz_entry, verify};
use crate::identity::{
    Bundle, Bundles, Refusal,
    test_pki::{Ca, NOW, at, bundles, lax_key_usage, now, pem, trusting, uri},
};

fn reason_of(result: Result<Proof, Refusal>) -> Option<Reason> {
    result.err().map(|refusal| refusal.reason())
}

#[test]
fn a_leaf_that_keeps_every_rule_proves_its_caller() {
    let ca = Ca::root("root");
    let leaf = ca.leaf(|params| params.serial_number = Some(vec![0, 0x1f, 0xab].into()));
    let proof = verify(&leaf, &[], &trusting(&ca), now()).unwrap();
    let credential = proof.caller.credential();
    assert_eq!(credential.id(), &SpiffeId::parse("spiffe://td/web").unwrap());
    assert_eq!(credential.issued_by().to_string(), "CN=root#1fab");
    assert_eq!(credential.not_before(), Timestamp::from_secs(NOW - 3600));
    assert_eq!(credential.not_after(), Timestamp::from_secs(NOW + 3600));
}

type Bend = fn(&mut CertificateParams);

const RIGHT: [(&str, Bend); 6] = [
    ("without extended key usage", |p| p.extended_key_usages.clear()),
    ("more extended key usages", |p| p.extended_key_usages.push(Purpose::CodeSigning)),
    ("more key usages", |p| p.key_usages.extend([Usage::KeyEncipherment, Usage::KeyAgreement])),
    ("other names beside", |p| p.subject_alt_names.push(SanType::DnsName("web.test".try_into().unwrap()))),
    ("explicitly no CA", |p| p.is_ca = IsCa::ExplicitNoCa),
    ("no subject, critical SAN", |p| p.distinguished_name = DistinguishedName::new()),
];

#[test]
fn what_the_rules_leave_open_is_accepted() {
    let ca = Ca::root("root");
    for (case, bend) in RIGHT {
        let result = verify(&ca.leaf(bend), &[], &trusting(&ca), now());
        assert_eq!(reason_of(result), None, "{case}");
    }
}

const WRONG: [(&str, Reason, Bend); 27] = [
    ("no SAN", Reason::UriSanMissing, |p| p.subject_alt_names.clear()),
    ("only a DNS SAN", Reason::UriSanMissing, |p| {
        p.subject_alt_names = vec![SanType::DnsName("a.b".try_into().unwrap())];
    }),
    ("two IDs", Reason::UriSanMultiple, |p| p.subject_alt_names.push(uri("spiffe://td/other"))),
    ("the same ID twice", Reason::UriSanMultiple, |p| p.subject_alt_names.push(uri("spiffe://td/web"))),
    ("ID and another URI", Reason::UriSanMultiple, |p| p.subject_alt_names.push(uri("https://td/web"))),
    ("another URI and ID", Reason::UriSanMultiple, |p| p.subject_alt_names.insert(0, uri("https://td/web"))),
    ("no SPIFFE URI", Reason::SpiffeIdInvalid, |p| p.subject_alt_names = vec![uri("https://td/web")]),
    ("upper-case domain", Reason::SpiffeIdInvalid, |p| p.subject_alt_names = vec![uri("spiffe://TD/web")]),
    ("upper-case scheme", Reason::SpiffeIdInvalid, |p| p.subject_alt_names = vec![uri("SPIFFE://td/web")]),
    ("percent-encoding", Reason::SpiffeIdInvalid, |p| p.subject_alt_names = vec![uri("spiffe://td/w%65b")]),
    ("NUL in the SAN", Reason::SpiffeIdInvalid, |p| p.subject_alt_names = vec![uri("spiffe://td/web\0.evil")]),
    ("trailing slash", Reason::SpiffeIdInvalid, |p| p.subject_alt_names = vec![uri("spiffe://td/")]),
    ("2049 bytes", Reason::SpiffeIdInvalid, |p| {
        p.subject_alt_names = vec![uri(&format!("spiffe://td/{}", "a".repeat(2037)))];
    }),
    ("no path", Reason::SpiffeIdWithoutPath, |p| p.subject_alt_names = vec![uri("spiffe://td")]),
    ("a CA", Reason::LeafIsCa, |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
    ("no key usage", Reason::KeyUsageInvalid, |p| p.key_usages.clear()),
    ("no digitalSignature", Reason::KeyUsageInvalid, |p| p.key_usages = vec![Usage::KeyAgreement]),
    ("keyCertSign", Reason::KeyUsageInvalid, |p| p.key_usages.push(Usage::KeyCertSign)),
    ("cRLSign", Reason::KeyUsageInvalid, |p| p.key_usages.push(Usage::CrlSign)),
    ("key usage not critical", Reason::KeyUsageInvalid, |p| {
        p.key_usages.clear();
        p.custom_extensions = vec![lax_key_usage()];
    }),
    ("clientAuth only", Reason::ExtendedKeyUsageInvalid, |p| p.extended_key_usages = vec![Purpose::ClientAuth]),
    ("serverAuth only", Reason::ExtendedKeyUsageInvalid, |p| p.extended_key_usages = vec![Purpose::ServerAuth]),
    ("any usage", Reason::ExtendedKeyUsageInvalid, |p| p.extended_key_usages = vec![Purpose::Any]),
    ("unknown domain", Reason::TrustDomainUnknown, |p| p.subject_alt_names = vec![uri("spiffe://sub.td/web")]),
    ("unknown critical extension", Reason::CertificateMalformed, |p| p.custom_extensions = vec![critical_extension()]),
    ("no subject, SAN not critical", Reason::CertificateMalformed, |p| {
        p.distinguished_name = DistinguishedName::new();
        p.subject_alt_names.clear();
        let id = b"\x30\x11\x86\x0fspiffe://td/web".to_vec();
        p.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], id)];
    }),
    ("never valid", Reason::CertificateExpired, |p| (p.not_before, p.not_after) = (at(NOW - 10), at(NOW - 20))),
];

fn critical_extension() -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99], vec![0x05, 0x00]);
    extension.set_criticality(true);
    extension
}

#[test]
fn a_leaf_that_breaks_one_rule_is_refused_for_that_rule() {
    let ca = Ca::root("root");
    for (case, reason, bend) in WRONG {
        let result = verify(&ca.leaf(bend), &[], &trusting(&ca), now());
        assert_eq!(reason_of(result), Some(reason), "{case}");
    }
}

#[test]
fn the_longest_id_is_still_one() {
    let ca = Ca::root("root");
    let id = format!("spiffe://td/{}", "a".repeat(2036));
    let leaf = ca.leaf(|params| params.subject_alt_names = vec![uri(&id)]);
    let proof = verify(&leaf, &[], &trusting(&ca), now()).unwrap();
    assert_eq!(proof.caller.credential().id().as_str(), id);
}

#[test]
fn validity_is_exact_to_the_millisecond_at_both_ends() {
    let ca = Ca::root("root");
    let leaf = ca.leaf(|_| ());
    let (first, last) = ((NOW - 3600) * 1000, (NOW + 3600) * 1000);
    let cases = [
        (first - 1, Some(Reason::CertificateNotYetValid)),
        (first, None),
        (last, None),
        (last + 1, Some(Reason::CertificateExpired)),
    ];
    for (millis, expected) in cases {
        let result = verify(&leaf, &[], &trusting(&ca), Timestamp::from_millis(millis));
        assert_eq!(reason_of(result), expected, "{millis}");
    }
}

#[test]
fn an_authority_vouches_for_its_own_trust_domain_only() {
    let (ours, theirs) = (Ca::root("ours"), Ca::root("theirs"));
    let both = bundles(&[("td", &ours), ("other", &theirs)]);
    let crossed = theirs.leaf(|_| ());
    assert_eq!(reason_of(verify(&crossed, &[], &both, now())), Some(Reason::ChainInvalid));
    let federated = theirs.leaf(|params| params.subject_alt_names = vec![uri("spiffe://other/web")]);
    assert_eq!(reason_of(verify(&federated, &[], &both, now())), None);
}

#[test]
fn an_authority_sent_along_is_no_trust_anchor() {
    let (ours, theirs) = (Ca::root("root"), Ca::root("root"));
    let leaf = theirs.leaf(|_| ());
    assert_eq!(
        reason_of(verify(&leaf, std::slice::from_ref(&theirs.der), &trusting(&ours), now())),
        Some(Reason::ChainInvalid)
    );
}

#[test]
fn an_empty_bundle_revokes_everybody() {
    let ca = Ca::root("root");
    let domain = authz_core::identity::TrustDomain::parse("td").unwrap();
    let empty = crate::identity::Bundle::parse(br#"{"keys": []}"#).unwrap();
    let bundles = Bundles::new([(domain, std::sync::Arc::new(empty))]);
    assert_eq!(reason_of(verify(&ca.leaf(|_| ()), &[], &bundles, now())), Some(Reason::ChainInvalid));
}

#[test]
fn an_intermediate_must_be_there_and_be_an_authority() {
    let root = Ca::root("root");
    let cases: [(&str, Bend, Option<Reason>); 6] = [
        ("as it should be", |_| (), None),
        ("no CA", |p| p.is_ca = IsCa::ExplicitNoCa, Some(Reason::ChainInvalid)),
        ("no basic constraints", |p| p.is_ca = IsCa::NoCa, Some(Reason::ChainInvalid)),
        ("no keyCertSign", |p| p.key_usages = vec![Usage::CrlSign], Some(Reason::ChainInvalid)),
        ("expired", |p| p.not_after = at(NOW - 1), Some(Reason::ChainInvalid)),
        ("for servers only", |p| p.extended_key_usages = vec![Purpose::ServerAuth], Some(Reason::ChainInvalid)),
    ];
    for (case, bend, expected) in cases {
        let intermediate = root.below("intermediate", bend);
        let leaf = intermediate.leaf(|_| ());
        let with = verify(&leaf, std::slice::from_ref(&intermediate.der), &trusting(&root), now());
        assert_eq!(reason_of(with), expected, "{case}");
        let without = verify(&leaf, &[], &trusting(&root), now());
        assert_eq!(reason_of(without), Some(Reason::ChainInvalid), "{case}, not sent");
    }
}

fn with_intermediates(trust_domain: &str, root: &Ca, intermediates: &[&Ca]) -> (TrustDomain, Arc<Bundle>) {
    let ders: Vec<&CertificateDer<'_>> = intermediates.iter().map(|ca| &ca.der).collect();
    let bundle = root.bundle().with_intermediates(pem(&ders).as_bytes()).unwrap();
    (TrustDomain::parse(trust_domain).unwrap(), Arc::new(bundle))
}

#[test]
fn an_intermediate_of_the_bundle_completes_a_path_and_is_no_authority() {
    let root = Ca::root("root");
    let (first, stray) = (root.below("first", |_| ()), Ca::root("other root").below("stray", |_| ()));
    let second = first.below("second", |_| ());
    let bundles = Bundles::new([with_intermediates("td", &root, &[&first, &stray])]);
    let cases: [(&str, &Ca, &[&Ca], Option<Reason>); 5] = [
        ("nothing presented", &first, &[], None),
        ("presented and in the bundle", &first, &[&first], None),
        ("one presented, one in the bundle", &second, &[&second], None),
        ("one missing", &second, &[], Some(Reason::ChainInvalid)),
        ("under an intermediate that leads nowhere", &stray, &[], Some(Reason::ChainInvalid)),
    ];
    for (case, signer, presented, expected) in cases {
        let presented: Vec<_> = presented.iter().map(|ca| ca.der.clone()).collect();
        let result = verify(&signer.leaf(|_| ()), &presented, &bundles, now());
        assert_eq!(reason_of(result), expected, "{case}");
    }
}

#[test]
fn an_intermediate_of_the_bundle_shortens_the_proof_like_any_other() {
    let root = Ca::root("root");
    let first = root.below("first", |params| params.not_after = at(NOW + 70));
    let bundles = Bundles::new([with_intermediates("td", &root, &[&first])]);
    let proof = verify(&first.leaf(|_| ()), &[], &bundles, now()).unwrap();
    assert_eq!(proof.caller.credential().not_after(), Timestamp::from_secs(NOW + 70));
    let expired = root.below("first", |params| params.not_after = at(NOW - 1));
    let bundles = Bundles::new([with_intermediates("td", &root, &[&expired])]);
    let result = verify(&expired.leaf(|_| ()), &[], &bundles, now());
    assert_eq!(reason_of(result), Some(Reason::ChainInvalid));
}

#[test]
fn an_intermediate_of_another_trust_domain_helps_nobody() {
    let (ours, theirs) = (Ca::root("ours"), Ca::root("theirs"));
    let (our_intermediate, their_intermediate) = (ours.below("ours", |_| ()), theirs.below("theirs", |_| ()));
    let other = with_intermediates("other", &theirs, &[&their_intermediate, &our_intermediate]);
    let bundles = Bundles::new([(TrustDomain::parse("td").unwrap(), Arc::new(ours.bundle())), other]);
    let of_other = |params: &mut CertificateParams| params.subject_alt_names = vec![uri("spiffe://other/web")];
    let cases: [(&str, CertificateDer<'_>, &[&Ca], Option<Reason>); 5] = [
        ("ours, its intermediate only in theirs", our_intermediate.leaf(|_| ()), &[], Some(Reason::ChainInvalid)),
        ("ours, presented", our_intermediate.leaf(|_| ()), &[&our_intermediate], None),
        ("our ID under theirs", their_intermediate.leaf(|_| ()), &[&their_intermediate], Some(Reason::ChainInvalid)),
        ("their ID under ours", our_intermediate.leaf(of_other), &[&our_intermediate], Some(Reason::ChainInvalid)),
        ("theirs", their_intermediate.leaf(of_other), &[], None),
    ];
    for (case, leaf, presented, expected) in cases {
        let presented: Vec<_> = presented.iter().map(|ca| ca.der.clone()).collect();
        assert_eq!(reason_of(verify(&leaf, &presented, &bundles, now())), expected, "{case}");
    }
}

#[test]
fn authorities_that_signed_each_other_are_no_way_in_and_no_endless_one() {
    let (root, one, two) = (Ca::root("root"), Ca::root("one"), Ca::root("two"));
    let circle = [two.cross_signs(&one), one.cross_signs(&two)];
    let leaf = one.leaf(|_| ());
    assert_eq!(reason_of(verify(&leaf, &circle, &trusting(&root), now())), Some(Reason::ChainInvalid));
    let more: Vec<_> = (0..20).flat_map(|_| [two.cross_signs(&one), one.cross_signs(&two)]).collect();
    assert_eq!(reason_of(verify(&leaf, &more, &trusting(&root), now())), Some(Reason::ChainInvalid));
    let way_out = [&circle[..], &[root.cross_signs(&two)]].concat();
    assert_eq!(reason_of(verify(&leaf, &way_out, &trusting(&root), now())), None, "the circle hides no way out");
}

#[test]
fn a_path_longer_than_its_constraint_is_refused() {
    let root = Ca::root("root");
    let first = root.below("first", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let second = first.below("second", |_| ());
    let chain = [second.der.clone(), first.der.clone()];
    assert_eq!(reason_of(verify(&second.leaf(|_| ()), &chain, &trusting(&root), now())), Some(Reason::ChainInvalid));
}

#[test]
fn a_proof_ends_when_the_first_certificate_of_its_path_does() {
    let root = Ca::root_with("root", |params| params.not_after = at(NOW + 50));
    let intermediate = root.below("intermediate", |params| params.not_after = at(NOW + 70));
    let leaf = intermediate.leaf(|_| ());
    let proof = verify(&leaf, &[intermediate.der], &trusting(&root), now()).unwrap();
    assert_eq!(proof.caller.credential().not_after(), Timestamp::from_secs(NOW + 50));
    assert_eq!(proof.caller.credential().not_before(), Timestamp::from_secs(NOW - 3600));
    assert_eq!(proof.window.not_after, Timestamp::from_secs(NOW + 50));
}

#[test]
fn an_authority_that_expired_vouches_for_nobody() {
    let root = Ca::root_with("root", |params| params.not_after = at(NOW - 1));
    assert_eq!(reason_of(verify(&root.leaf(|_| ()), &[], &trusting(&root), now())), Some(Reason::ChainInvalid));
}

#[test]
fn bytes_after_a_certificate_and_oversized_ones_are_malformed() {
    let ca = Ca::root("root");
    let mut longer = ca.leaf(|_| ()).to_vec();
    longer.push(0);
    let huge =
        ca.leaf(|p| p.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 9], vec![4; 17_000])]);
    for der in [CertificateDer::from(longer), huge, CertificateDer::from(vec![])] {
        assert_eq!(reason_of(verify(&der, &[], &trusting(&ca), now())), Some(Reason::CertificateMalformed));
    }
}

#[test]
fn no_flipped_byte_of_a_real_certificate_is_believed() {
    let ca = Ca::root("root");
    let (leaf, bundles) = (ca.leaf(|_| ()).to_vec(), trusting(&ca));
    for position in 0..leaf.len() {
        for flip in [0x01, 0x20, 0x80, 0xff] {
            let mut mutated = leaf.clone();
            mutated[position] ^= flip;
            let result = verify(&CertificateDer::from(mutated), &[], &bundles, now());
            assert!(result.is_err(), "byte {position} flipped by {flip:#x}");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
        fuzz_entry(&bytes);
    }

    #[test]
    fn no_cut_or_spliced_certificate_makes_it_panic(cut in 0_usize..600, from in 0_usize..600, junk in any::<Vec<u8>>()) {
        let der = TEMPLATE.with(Clone::clone);
        let (head, tail) = (&der[..cut.min(der.len())], &der[from.min(der.len())..]);
        let spliced = [head, &junk, tail].concat();
        fuzz_entry(&spliced);
        prop_assert!(spliced == der || verify(&CertificateDer::from(spliced), &[], &Bundles::default(), now()).is_err());
    }
}

thread_local! {
    static TEMPLATE: Vec<u8> = Ca::root("root").leaf(|_| ()).to_vec();
}
