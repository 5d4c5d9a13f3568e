//! What comes out of the PKI is what its names say, as another's parser sees it.

use x509_parser::prelude::*;

use super::svid::{STANDARD, URL_SAFE, base64};
use super::*;

#[test]
fn a_proper_svid_keeps_every_rule() {
    let svid = Authority::new("demo.test").issue("/caller");
    let leaf = Seen::of(&svid);
    assert_eq!(leaf.uris, ["spiffe://demo.test/caller"]);
    assert_eq!(leaf.key_usage, Some((true, 0b1)));
    assert_eq!(leaf.extended, Some((true, true)));
    assert!(!leaf.is_ca && leaf.is_valid);
}

#[test]
fn each_wrong_certificate_is_wrong_in_its_own_way() {
    let authority = Authority::new("demo.test");
    for fault in Fault::ALL {
        let leaf = Seen::of(&authority.wrong("/caller", fault));
        assert!(shows(&leaf, fault), "{fault:?}: {leaf:?}");
        assert_eq!(leaf.is_valid, !matches!(fault, Fault::Expired | Fault::NotYetValid), "{fault:?}");
        assert_eq!(leaf.is_ca, fault == Fault::LeafIsCa, "{fault:?}");
    }
}

#[test]
fn faults_of_the_chain_are_in_the_chain() {
    let authority = Authority::new("demo.test");
    let chain_length = |fault| authority.wrong("/caller", fault).chain_der().len();
    assert_eq!(chain_length(Fault::MissingIntermediate), 1);
    assert_eq!(chain_length(Fault::IntermediateIsNoCa), 2);
    let svid = authority.wrong("/caller", Fault::IntermediateIsNoCa);
    let (_, above) = X509Certificate::from_der(&svid.chain_der()[1]).unwrap();
    assert!(!above.is_ca());
    let (_, root) = X509Certificate::from_der(authority.root_der()).unwrap();
    assert_eq!(above.issuer(), root.subject());
    let foreign = authority.wrong("/caller", Fault::ForeignAuthority);
    let (_, foreign) = X509Certificate::from_der(foreign.leaf_der()).unwrap();
    assert_ne!(foreign.issuer(), root.subject());
}

#[test]
fn serial_numbers_are_as_chosen() {
    let authority = Authority::new("demo.test");
    for (serial, text) in [(1, "01"), (0x80, "80"), (0x0102_0304, "01020304"), (u64::MAX, "ffffffffffffffff")] {
        let svid = authority.leaf("/caller").serial(serial).issue();
        let (_, leaf) = X509Certificate::from_der(svid.leaf_der()).unwrap();
        assert_eq!(leaf.serial.to_string(), serial.to_string());
        assert_eq!(svid.serial(), Some(text));
    }
}

#[test]
fn a_renewal_may_keep_its_key() {
    let authority = Authority::new("demo.test");
    let first = authority.issue("/caller");
    let second = authority.leaf("/caller").key_of(&first).serial(7).issue();
    assert_eq!(second.key_pem(), first.key_pem());
    assert_ne!(second.digest(), first.digest());
}

#[test]
fn the_root_names_its_trust_domain_without_a_path() {
    let authority = Authority::new("demo.test");
    let (_, root) = X509Certificate::from_der(authority.root_der()).unwrap();
    assert_eq!(uris(&root), ["spiffe://demo.test"]);
    assert!(root.is_ca());
}

#[test]
fn a_bundle_carries_the_root_and_the_coordinates_of_its_key() {
    let authority = Authority::new("demo.test");
    let bundle: serde_json::Value = serde_json::from_str(&authority.bundle_json(3)).unwrap();
    let key = &bundle["keys"][0];
    assert_eq!(bundle["spiffe_sequence"], 3);
    assert_eq!(
        key["x5c"][0],
        authority.bundle_pem().lines().filter(|line| !line.starts_with("---")).collect::<String>()
    );
    let (_, root) = X509Certificate::from_der(authority.root_der()).unwrap();
    let point = &root.public_key().subject_public_key.data;
    assert_eq!(key["x"], base64(&point[1..33], URL_SAFE).trim_end_matches('='));
    assert_eq!(point.len(), 65);
    assert_eq!(jwks(&[], 4)["keys"], serde_json::json!([]));
}

#[test]
fn base64_gives_the_vectors_of_rfc_4648() {
    for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
        assert_eq!(base64(bytes.as_bytes(), STANDARD), text);
    }
}

#[derive(Debug)]
struct Seen {
    uris: Vec<String>,
    /// Critical, and the bits as RFC 5280 numbers them (digitalSignature is bit 0).
    key_usage: Option<(bool, u16)>,
    /// serverAuth, clientAuth.
    extended: Option<(bool, bool)>,
    is_ca: bool,
    is_valid: bool,
}

impl Seen {
    fn of(svid: &Svid) -> Self {
        let (_, leaf) = X509Certificate::from_der(svid.leaf_der()).unwrap();
        Self {
            uris: uris(&leaf),
            key_usage: leaf.key_usage().unwrap().map(|usage| (usage.critical, usage.value.flags)),
            extended: leaf
                .extended_key_usage()
                .unwrap()
                .map(|usage| (usage.value.server_auth, usage.value.client_auth)),
            is_ca: leaf.is_ca(),
            is_valid: leaf.validity().is_valid(),
        }
    }
}

fn uris(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    let uri = |name: &GeneralName<'_>| if let GeneralName::URI(uri) = name { Some((*uri).to_owned()) } else { None };
    names.value.general_names.iter().filter_map(uri).collect()
}

fn shows(leaf: &Seen, fault: Fault) -> bool {
    let id = "spiffe://demo.test/caller";
    let uris: Vec<&str> = leaf.uris.iter().map(String::as_str).collect();
    match fault {
        Fault::ClientAuthOnly => leaf.extended == Some((false, true)),
        Fault::CrlSign => leaf.key_usage == Some((true, 1 | 1 << 6)),
        Fault::KeyCertSign => leaf.key_usage == Some((true, 1 | 1 << 5)),
        Fault::KeyUsageAbsent => leaf.key_usage.is_none(),
        Fault::KeyUsageNotCritical => leaf.key_usage == Some((false, 1)),
        Fault::NoDigitalSignature => leaf.key_usage == Some((true, 1 << 4)),
        Fault::NoUriSan => uris.is_empty(),
        Fault::NulInSan => uris == ["spiffe://demo.test/caller\0.evil"],
        Fault::OversizedId => uris.len() == 1 && uris[0].len() == 2049,
        Fault::PercentEncodedPath => uris == ["spiffe://demo.test/caller%2fadmin"],
        Fault::RootPathId => uris == ["spiffe://demo.test"],
        Fault::TwoUriSans => uris == [id, "spiffe://demo.test/caller-second"],
        Fault::UnknownTrustDomain => uris == ["spiffe://unknown.test/caller"],
        Fault::UpperCaseTrustDomain => uris == ["spiffe://DEMO.TEST/caller"],
        Fault::UriSanAndForeignUri => uris == [id, "https://workload.test/"],
        Fault::Expired
        | Fault::ForeignAuthority
        | Fault::IntermediateIsNoCa
        | Fault::LeafIsCa
        | Fault::MissingIntermediate
        | Fault::NotYetValid => uris == [id],
    }
}
