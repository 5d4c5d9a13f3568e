//! What replaces what, what is kept and what takes bundles back.

use rcgen::{CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber};

use super::*;
use crate::identity::test_pki::{Ca, NOW, at, now};

fn message(bundles: &[(&str, &[u8])]) -> X509BundlesResponse {
    let bundles = bundles.iter().map(|(key, der)| ((*key).to_owned(), Bytes::copy_from_slice(der)));
    X509BundlesResponse { bundles: bundles.collect(), crl: Vec::new() }
}

fn agent() -> (AgentBundles, TrustStore) {
    let trust = TrustStore::default();
    (AgentBundles::new(trust.clone(), RevocationLists::default()), trust)
}

/// Trust domains with the number of their authorities.
fn trusted(trust: &TrustStore) -> Vec<(String, usize)> {
    trust.bundles().iter().map(|(name, bundle)| (name.to_string(), bundle.authorities())).collect()
}

fn list() -> Bytes {
    let key = KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::default();
    ca.key_usages = vec![KeyUsagePurpose::CrlSign];
    let params = CertificateRevocationListParams {
        this_update: at(NOW),
        next_update: at(NOW + 60),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&Issuer::new(ca, key)).unwrap().der().to_vec().into()
}

#[test]
fn a_message_is_all_there_is_and_what_it_does_not_name_is_dropped() {
    let (a, b) = (Ca::root("a"), Ca::root("b"));
    let (mut agent, trust) = agent();
    let taken = agent.take(message(&[("spiffe://a", &a.der), ("spiffe://b", &b.der)]), now()).unwrap();
    assert_eq!(taken, BundlesTaken { trust_domains: 2, lists: 0, refused: Vec::new() });
    let rotated = [a.der.as_ref(), b.der.as_ref()].concat();
    agent.take(message(&[("spiffe://a", &rotated)]), now()).unwrap();
    assert_eq!(trusted(&trust), [("a".to_owned(), 2)]);
}

#[test]
fn an_empty_bundle_takes_every_authority_of_the_domain() {
    let a = Ca::root("a");
    let (mut agent, trust) = agent();
    agent.take(message(&[("spiffe://a", &a.der)]), now()).unwrap();
    agent.take(message(&[("spiffe://a", &[])]), now()).unwrap();
    assert_eq!(trusted(&trust), [("a".to_owned(), 0)]);
}

#[test]
fn a_bundle_that_is_none_keeps_the_old_one_and_does_not_hold_up_the_others() {
    let (a, b) = (Ca::root("a"), Ca::root("b"));
    let both = [a.der.as_ref(), b.der.as_ref()].concat();
    let (mut agent, trust) = agent();
    agent.take(message(&[("spiffe://a", &a.der), ("spiffe://b", &both)]), now()).unwrap();
    let later = now().saturating_add_millis(1000);
    for garbage in [b"garbage".as_ref(), a.leaf(|_| ()).as_ref()] {
        let taken = agent.take(message(&[("spiffe://a", garbage), ("spiffe://b", &b.der)]), later).unwrap();
        assert_eq!((taken.trust_domains, taken.refused.len()), (2, 1));
        assert_eq!(trusted(&trust), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
    }
    let trouble = trust.in_force().into_iter().find_map(|(name, _, held)| (name.as_str() == "a").then_some(held));
    let trouble = trouble.unwrap();
    assert!(trouble.trouble.unwrap().contains("bundle of a") && trouble.fetched_at == now(), "it was not confirmed");
    let unknown = agent.take(message(&[("spiffe://c", b"garbage"), ("spiffe://b", &b.der)]), now()).unwrap();
    assert_eq!((unknown.trust_domains, unknown.refused.len()), (1, 1), "there is no old one of c");
}

#[test]
fn a_message_that_breaks_the_rules_is_discarded_as_a_whole() {
    let a = Ca::root("a");
    let (mut agent, trust) = agent();
    agent.take(message(&[("spiffe://a", &a.der)]), now()).unwrap();
    let many: Vec<String> = (0..=MAX_TRUST_DOMAINS).map(|number| format!("spiffe://td{number}")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|key| (key.as_str(), a.der.as_ref())).collect();
    for bad in [message(&[]), message(&[("b", &a.der), ("spiffe://b", &a.der)]), message(&many)] {
        assert!(agent.take(bad, now()).is_err());
        assert_eq!(trusted(&trust), [("a".to_owned(), 1)]);
    }
}

#[test]
fn a_denial_takes_all_back_and_an_agent_that_is_gone_nothing() {
    let a = Ca::root("a");
    let (mut agent, trust) = agent();
    agent.take(X509BundlesResponse { crl: vec![list()], ..message(&[("spiffe://a", &a.der)]) }, now()).unwrap();
    for failure in [Failure::closed(), Failure::Rejected { what: String::new() }] {
        assert_eq!(agent.end(&failure, now()), 0);
        assert_eq!(trusted(&trust).len(), 1);
        let (_, origin, held) = trust.in_force().remove(0);
        assert_eq!(
            (origin, held.trouble, held.next_refresh),
            (Origin::WorkloadApi, Some(failure.to_string()), Some(now()))
        );
    }
    assert_eq!(agent.end(&Failure::Denied { what: String::new() }, now()), 1);
    assert!(trusted(&trust).is_empty() && agent.lists.is_empty());
}

#[test]
fn what_a_file_says_of_a_trust_domain_stays_whatever_the_agent_says() {
    let (file, a) = (Ca::root("file"), Ca::root("a"));
    let (mut agent, trust) = agent();
    let held = Held { bundle: Arc::new(file.bundle()), fetched_at: now(), next_refresh: None, trouble: None };
    let td = TrustDomain::parse("a").unwrap();
    trust.put(&td, Origin::File, held.clone());
    agent.take(message(&[("spiffe://a", &a.der), ("spiffe://b", &a.der)]), now()).unwrap();
    assert_eq!(trust.bundles().get(&td), Some(&held.bundle));
    agent.end(&Failure::Denied { what: String::new() }, now());
    assert_eq!(trusted(&trust), [("a".to_owned(), 1)]);
}

#[test]
fn revocation_lists_are_held_replaced_and_cleared_and_a_bad_one_changes_none_and_holds_up_no_bundle() {
    let (a, b) = (Ca::root("a"), Ca::root("b"));
    let (mut agent, trust) = agent();
    let with = |crl, der: &[u8]| X509BundlesResponse { crl, ..message(&[("spiffe://a", der)]) };
    assert_eq!(agent.take(with(vec![list(), list()], &a.der), now()).unwrap().lists, 2);
    let both = [a.der.as_ref(), b.der.as_ref()].concat();
    for bad in [Bytes::from_static(b"no list"), [list().as_ref(), b"tail"].concat().into()] {
        let taken = agent.take(with(vec![list(), bad], &both), now()).unwrap();
        assert!(matches!(taken.refused[..], [InvalidMessage::RevocationList { position: 2, .. }]), "{taken:?}");
        assert_eq!(taken.lists, 2);
        assert_eq!(trusted(&trust), [("a".to_owned(), 2)]);
    }
    assert_eq!(agent.take(with(Vec::new(), &a.der), now()).unwrap().lists, 0);
}
