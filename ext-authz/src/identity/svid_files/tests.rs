//! Pairs of files, good, half written, exposed, and replaced.

use std::fs;

use rcgen::KeyPair;
use tempfile::TempDir;

use super::*;
use crate::identity::test_pki::{Ca, pem};

struct Fixture {
    dir: TempDir,
    ca: Ca,
    source: SvidSource,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = SvidSource { certificate: dir.path().join("svid.pem"), key: dir.path().join("svid.key") };
        Self { dir, ca: Ca::root("root"), source }
    }

    fn write_certificate(&self, key: &KeyPair) {
        fs::write(&self.source.certificate, pem(&[&self.ca.leaf_for(key, |_| ())])).unwrap();
    }

    fn write_key(&self, key: &KeyPair, mode: u32) {
        let next = self.dir.path().join("next");
        fs::write(&next, key.serialize_pem()).unwrap();
        fs::set_permissions(&next, fs::Permissions::from_mode(mode)).unwrap();
        fs::rename(next, &self.source.key).unwrap();
    }

    fn error(&self) -> String {
        self.source.read().unwrap_err().to_string()
    }
}

#[test]
fn both_files_together_are_an_svid_and_either_alone_is_not() {
    let (it, key, other) = (Fixture::new(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    assert!(it.error().contains("svid.pem: can't be read"), "{}", it.error());
    it.write_certificate(&key);
    assert!(it.error().contains("svid.key: can't be read"), "{}", it.error());
    it.write_key(&key, 0o600);
    assert_eq!(it.source.read().unwrap().id().as_str(), "spiffe://td/web");
    it.write_certificate(&other);
    assert!(it.error().contains("belongs to another certificate"), "{}", it.error());
    it.write_key(&other, 0o400);
    assert!(it.source.read().is_ok());
}

#[test]
fn a_key_that_others_can_use_is_refused_with_the_remedy() {
    let (it, key) = (Fixture::new(), KeyPair::generate().unwrap());
    assert!(it.source.check_key().is_ok(), "what is not there yet is not exposed");
    it.write_certificate(&key);
    for mode in [0o640, 0o604, 0o644, 0o660, 0o601, 0o777] {
        it.write_key(&key, mode);
        assert!(it.error().contains("chmod 600"), "{mode:o}: {}", it.error());
        assert!(it.source.check_key().is_err(), "{mode:o}");
    }
}

#[test]
fn what_is_no_pem_is_named_and_never_quoted() {
    let (it, key) = (Fixture::new(), KeyPair::generate().unwrap());
    it.write_certificate(&key);
    it.write_key(&key, 0o600);
    fs::write(&it.source.key, "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n").unwrap();
    assert!(it.error().contains("PKCS#8") && !it.error().contains("c2VjcmV0"), "{}", it.error());
    fs::write(&it.source.certificate, "-----BEGIN CERTIFICATE-----\nAAAA").unwrap();
    assert!(it.error().contains("svid.pem: PEM is broken"), "{}", it.error());
    fs::write(&it.source.certificate, "").unwrap();
    it.write_key(&key, 0o600);
    assert!(it.error().contains("has no certificate"), "{}", it.error());
}

#[tokio::test]
async fn a_new_pair_wakes_whoever_waits() {
    let (it, key, next) = (Fixture::new(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    it.write_certificate(&key);
    it.write_key(&key, 0o600);
    let mut files = SvidFiles::watch(it.source.clone()).unwrap();
    let before = files.read().await.unwrap();
    it.write_certificate(&next);
    it.write_key(&next, 0o600);
    files.changed().await;
    assert_ne!(files.read().await.unwrap().digest(), before.digest());
}
