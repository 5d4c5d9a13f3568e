//! Bundles in both formats: what is read, what is skipped and what is refused.

use std::{sync::Arc, time::Duration};

use authz_core::identity::TrustDomain;
use proptest::prelude::*;
use rcgen::{IsCa, KeyUsagePurpose};

use super::{Bundle, Bundles, InvalidBundle};
use crate::identity::test_pki::{Ca, base64, pem};

#[track_caller]
fn refuses(text: &str, because: &str) {
    let error = Bundle::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains(because), "{error:?} does not say {because:?}");
}

fn key(ca: &Ca) -> String {
    format!(r#"{{"use": "x509-svid", "kty": "EC", "x5c": ["{}"]}}"#, base64(&ca.der))
}

#[test]
fn pem_may_hold_several_authorities_and_text_between_them() {
    let (one, two) = (Ca::root("one"), Ca::root("two"));
    let text = format!("# first\n{}\nand\n{}", pem(&[&one.der]), pem(&[&two.der]));
    let bundle = Bundle::parse(text.as_bytes()).unwrap();
    assert_eq!((bundle.authorities(), bundle.sequence(), bundle.refresh_hint()), (2, None, None));
}

#[test]
fn pem_with_windows_line_ends_is_read_too() {
    let text = pem(&[&Ca::root("one").der]).replace('\n', "\r\n");
    assert_eq!(Bundle::parse(text.as_bytes()).unwrap().authorities(), 1);
}

#[test]
fn a_spiffe_bundle_is_known_by_its_brace() {
    let ca = Ca::root("root");
    let text = format!(
        "\n {{\"keys\": [{}], \"spiffe_sequence\": 18446744073709551615, \"spiffe_refresh_hint\": 300}}",
        key(&ca)
    );
    let bundle = Bundle::parse(text.as_bytes()).unwrap();
    assert_eq!(bundle.anchors(), ca.bundle().anchors());
    assert_eq!(bundle.sequence(), Some(u64::MAX));
    assert_eq!(bundle.refresh_hint(), Some(Duration::from_mins(5)));
}

#[test]
fn keys_a_consumer_must_ignore_are_ignored() {
    let certificate = base64(&Ca::root("root").der);
    let ignored = [
        r#"{"use": "jwt-svid", "kty": "RSA", "kid": "k", "n": "x", "e": "AQAB"}"#.to_owned(),
        r#"{"use": "x509-svid", "kty": "EC", "crv": "P-256"}"#.to_owned(),
        r#"{"use": "x509-svid", "kty": "EC", "x5c": []}"#.to_owned(),
        format!(r#"{{"use": "X509-SVID", "kty": "EC", "x5c": ["{certificate}"]}}"#),
        format!(r#"{{"use": "sig", "kty": "EC", "x5c": ["{certificate}"]}}"#),
        format!(r#"{{"kty": "EC", "x5c": ["{certificate}"]}}"#),
        format!(r#"{{"use": "x509-svid", "kty": "LATTICE", "x5c": ["{certificate}"]}}"#),
        format!(r#"{{"use": "x509-svid", "x5c": ["{certificate}"]}}"#),
    ];
    for key in ignored {
        let bundle = Bundle::parse(format!(r#"{{"keys": [{key}]}}"#).as_bytes()).unwrap();
        assert_eq!(bundle.authorities(), 0, "{key}");
    }
}

#[test]
fn only_the_first_certificate_of_a_key_counts() {
    let (first, second) = (Ca::root("first"), Ca::root("second"));
    let key = format!(
        r#"{{"use": "x509-svid", "kty": "EC", "x5c": ["{}", "{}", 7]}}"#,
        base64(&first.der),
        base64(&second.der)
    );
    let bundle = Bundle::parse(format!(r#"{{"keys": [{key}]}}"#).as_bytes()).unwrap();
    assert_eq!(bundle.anchors(), first.bundle().anchors());
}

#[test]
fn a_bundle_that_is_broken_says_where() {
    let ca = Ca::root("root");
    let whole = pem(&[&ca.der]);
    refuses("", "holds no certificate");
    refuses("hello", "holds no certificate");
    refuses(&whole[..whole.len() - 30], "no END line");
    refuses(&whole.replacen('M', "*", 1), "not base64");
    refuses("{", "no SPIFFE bundle");
    refuses("{}", "keys is missing");
    refuses(r#"{"keys": {}}"#, "keys is missing or no list");
    refuses(r#"{"keys": [], "keys": []}"#, r#"key "keys" stands twice"#);
    refuses(r#"{"keys": [{"use": "a", "use": "x509-svid"}]}"#, r#"key "use" stands twice"#);
    refuses(r#"{"keys": [], "spiffe_sequence": -1}"#, "spiffe_sequence is -1");
    refuses(r#"{"keys": [], "spiffe_refresh_hint": "5m"}"#, "spiffe_refresh_hint is");
    refuses(r#"{"keys": [{"use": "x509-svid", "kty": "EC", "x5c": ["&&&"]}]}"#, "keys[0].x5c[0] is not base64");
    refuses(r#"{"keys": [{"use": "x509-svid", "kty": "EC", "x5c": [7]}]}"#, "keys[0].x5c[0] is no text");
    refuses(r#"{"keys": [{"use": "x509-svid", "kty": "EC", "x5c": ["AAAA"]}]}"#, "keys[0].x5c[0] is no X.509");
    assert!(Bundle::parse(b"\x30\x82\xff").unwrap_err().to_string().contains("openssl"));
}

#[test]
fn what_is_no_authority_is_not_made_one() {
    let ca = Ca::root("root");
    refuses(&pem(&[&ca.der, &ca.leaf(|_| ())]), "certificate 2 (CN=leaf) is no CA");
    refuses(&pem(&[&Ca::root_with("x", |p| p.is_ca = IsCa::ExplicitNoCa).der]), "certificate 1 (CN=x) is no CA");
    let cannot_sign = Ca::root_with("x", |p| p.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    refuses(&pem(&[&cannot_sign.der]), "lacks keyCertSign");
}

#[test]
fn intermediates_must_be_authorities_and_change_the_name_of_the_trust() {
    let root = Ca::root("root");
    let (one, leaf) = (root.below("one", |_| ()), root.leaf(|_| ()));
    let with = |text: String| root.bundle().with_intermediates(text.as_bytes());
    let bundle = with(pem(&[&one.der])).unwrap();
    assert_eq!((bundle.authorities(), bundle.intermediates().len()), (1, 1));
    assert!(!bundle.trusts_as(&root.bundle()) && bundle.trusts_as(&bundle.clone()));
    let td = TrustDomain::parse("td").unwrap();
    let digest = |bundle: Bundle| Bundles::new([(td.clone(), Arc::new(bundle))]).digest();
    assert_ne!(digest(bundle), digest(root.bundle()), "filters must not answer on what other intermediates proved");
    let error = with(pem(&[&one.der, &leaf])).unwrap_err().to_string();
    assert!(error.contains("intermediate 2 (CN=leaf) is no CA"), "{error}");
    assert_eq!(with(String::new()).unwrap_err(), InvalidBundle::NoCertificate);
    assert!(with(pem(&vec![&one.der; 65])).unwrap_err().to_string().contains("more than 64"));
}

#[test]
fn an_endpoint_serves_json_and_nothing_else() {
    let ca = Ca::root("root");
    let json = format!(r#"{{"keys": [{}]}}"#, key(&ca));
    assert!(Bundle::parse_spiffe(json.as_bytes()).unwrap().trusts_as(&ca.bundle()));
    for bad in [pem(&[&ca.der]).as_bytes(), b"", b"<html>", b"{\"keys\": null}", b"\xff{}", &vec![b' '; 5 << 20]] {
        assert!(Bundle::parse_spiffe(bad).is_err());
    }
}

#[test]
fn what_the_standard_lets_publishers_add_is_no_mistake() {
    let ca = Ca::root("root");
    let extended = key(&ca).replace(r#""kty""#, r#""kid": "k1", "alg": "ES256", "key_ops": ["verify"], "kty""#);
    let text =
        format!(r#"{{"keys": [{extended}], "spiffe_sequence": 0, "spiffe_refresh_hint": 0, "issuer": {{"a": 1}}}}"#);
    let bundle = Bundle::parse_spiffe(text.as_bytes()).unwrap();
    assert_eq!((bundle.authorities(), bundle.sequence()), (1, Some(0)));
    for sequence in ["18446744073709551616", "1.5", "\"1\"", "1e3"] {
        refuses(&format!(r#"{{"keys": [], "spiffe_sequence": {sequence}}}"#), "spiffe_sequence is");
    }
}

#[test]
fn deeply_nested_json_is_refused_and_not_followed() {
    refuses(&format!("{{\"keys\": {}", "[".repeat(100_000)), "recursion");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
        let _ = Bundle::parse(&bytes);
    }

    #[test]
    fn no_text_like_a_bundle_makes_it_panic(text in r#"\{"keys": \[(\{"(use|kty|x5c)": ("x509-svid"|"EC"|\["[A-Za-z0-9+/=]{0,9}"\]),?\},?){0,3}\]\}"#) {
        let _ = Bundle::parse(text.as_bytes());
    }
}

#[test]
fn der_keeps_the_same_rules_and_may_be_empty() {
    let (one, two) = (Ca::root("one"), Ca::root("two"));
    let der = [one.der.as_ref(), two.der.as_ref()].concat();
    let text = pem(&[&one.der, &two.der]);
    assert_eq!(Bundle::from_der(&der), Bundle::parse(text.as_bytes()));
    assert_eq!(Bundle::from_der(&[]).unwrap().authorities(), 0);
    let leaf = Bundle::from_der(&one.leaf(|_| ())).unwrap_err().to_string();
    assert!(leaf.contains("certificate 1") && leaf.contains("is no CA"), "{leaf}");
    assert!(Bundle::from_der(text.as_bytes()).is_err());
}
