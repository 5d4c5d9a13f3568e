//! An endpoint over time, its answers given by the test; real servers are asked in the integration tests.

use super::*;
use crate::identity::{
    EndpointUrl,
    test_pki::{Ca, base64, now},
};

fn source(profile: Profile, refresh: Option<Duration>) -> FederationSource {
    let url = EndpointUrl::parse("https://b.test/").unwrap();
    FederationSource { trust_domain: TrustDomain::parse("b").unwrap(), url, profile, refresh }
}

fn spiffe(endpoint_id: &str, bootstrap: Option<&Path>) -> Profile {
    Profile::Spiffe { endpoint_id: SpiffeId::parse(endpoint_id).unwrap(), bootstrap: bootstrap.map(Path::to_owned) }
}

fn body(ca: &Ca, sequence: u64, hint: u64) -> Bytes {
    let key = format!(r#"{{"use": "x509-svid", "kty": "EC", "x5c": ["{}"]}}"#, base64(&ca.der));
    format!(r#"{{"keys": [{key}], "spiffe_sequence": {sequence}, "spiffe_refresh_hint": {hint}}}"#).into()
}

fn down() -> FetchError {
    FetchError::Io("connection refused".to_owned())
}

#[test]
fn a_bundle_is_kept_through_failures_and_asked_for_at_its_own_pace() {
    let (mut endpoint, one, two) =
        (Endpoint::new(source(Profile::Web { ca_file: None }, None)), Ca::root("one"), Ca::root("two"));
    let first = endpoint.take(Err(down()), now(), 0);
    assert_eq!((first.result, first.wait, first.is_news), ("failed", Duration::from_secs(5), true));
    assert!(first.held.is_none() && first.trouble.is_some());
    assert!(!endpoint.take(Err(down()), now(), 0).is_news, "the same again is no news");

    let held = endpoint.take(Ok(body(&one, 3, 60)), now(), 0);
    assert_eq!((held.result, held.wait, held.is_news), ("accepted", Duration::from_mins(1), true));
    assert_eq!(held.held.unwrap().next_refresh, Some(now().saturating_add_millis(60_000)));

    let kept = endpoint.take(Err(down()), now(), 0);
    assert_eq!((kept.held.is_none(), kept.wait), (true, Duration::from_secs(5)));
    let garbage = endpoint.take(Ok(Bytes::from_static(b"<html>")), now(), 0);
    assert_eq!((garbage.result, garbage.is_news, garbage.wait), ("refused", true, Duration::from_secs(10)));
    let older = endpoint.take(Ok(body(&two, 2, 60)), now(), 0);
    assert_eq!(older.result, "refused");
    assert!(older.trouble.unwrap().contains("an old bundle put back"));

    let rotated = endpoint.take(Ok(body(&two, 4, 60)), now(), 0);
    assert!(rotated.held.unwrap().bundle.trusts_as(&two.bundle()), "authorities that left are gone");
}

#[test]
fn a_bundle_without_a_sequence_opens_no_way_for_an_old_one() {
    let (mut endpoint, ca) = (Endpoint::new(source(Profile::Web { ca_file: None }, None)), Ca::root("ca"));
    endpoint.take(Ok(body(&ca, 9, 60)), now(), 0);
    let uncounted = endpoint.take(Ok(Bytes::from_static(br#"{"keys": []}"#)), now(), 0);
    assert!(uncounted.held.is_some() && uncounted.doubt.is_some());
    assert_eq!(endpoint.take(Ok(body(&ca, 8, 60)), now(), 0).result, "refused");
}

#[test]
fn an_endpoint_of_its_own_trust_domain_is_verified_by_what_it_served_last() {
    let (mut endpoint, ca) = (Endpoint::new(source(spiffe("spiffe://b/e", None), None)), Ca::root("ca"));
    let in_force = Bundles::new([(TrustDomain::parse("b").unwrap(), Arc::new(Ca::root("other").bundle()))]);
    assert!(endpoint.known_bundle(&in_force).is_none(), "before the first fetch only the bootstrap bundle counts");
    endpoint.take(Ok(body(&ca, 1, 60)), now(), 0);
    assert!(endpoint.known_bundle(&in_force).unwrap().trusts_as(&ca.bundle()));
}

#[test]
fn an_endpoint_of_another_trust_domain_is_verified_by_the_bundle_in_force_there() {
    let (mut endpoint, ca) = (Endpoint::new(source(spiffe("spiffe://c/e", None), None)), Ca::root("ca"));
    endpoint.take(Ok(body(&Ca::root("of b"), 1, 60)), now(), 0);
    let in_force = Bundles::new([(TrustDomain::parse("c").unwrap(), Arc::new(ca.bundle()))]);
    assert!(endpoint.known_bundle(&in_force).unwrap().trusts_as(&ca.bundle()), "not by that of the domain it serves");
    assert!(endpoint.known_bundle(&Bundles::default()).is_none());
}

#[tokio::test]
async fn what_could_not_be_verified_is_not_asked() {
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("bundle.json");
    std::fs::write(&broken, "{").unwrap();
    let cases = [
        (spiffe("spiffe://c/e", None), "no bundle of c"),
        (spiffe("spiffe://b/e", Some(&broken)), "bundle.json: bundle is no SPIFFE bundle"),
        (spiffe("spiffe://b/e", Some(&directory.path().join("gone"))), "gone: can't be read"),
        (Profile::Web { ca_file: Some(directory.path().join("gone")) }, "ca_file"),
        (Profile::Web { ca_file: Some(broken.clone()) }, "no certificate authority in"),
    ];
    for (profile, because) in cases {
        let error = Endpoint::new(source(profile, None)).fetch(&Bundles::default()).await.unwrap_err();
        assert!(matches!(&error, FetchError::Trust(what) if what.contains(because)), "{error}");
    }
}
