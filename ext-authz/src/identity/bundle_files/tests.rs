//! Bundle files at the start and while they change under us.

use std::{fs, path::Path, time::Duration};

use authz_core::identity::TrustDomain;
use tokio::time::timeout;

use super::{BundleFiles, BundleSource, Reload};
use crate::identity::test_pki::{Ca, pem};

fn source(domain: &str, file: &Path) -> BundleSource {
    BundleSource { trust_domain: TrustDomain::parse(domain).unwrap(), file: file.to_owned(), intermediates: None }
}

fn authorities(files: &BundleFiles, domain: &str) -> Option<usize> {
    files.bundles().get(&TrustDomain::parse(domain).unwrap()).map(|bundle| bundle.authorities())
}

async fn changed(files: &mut BundleFiles) -> Reload {
    timeout(Duration::from_secs(20), files.changed()).await.expect("a change is noticed")
}

#[test]
fn every_bad_file_is_named_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let (good, bad, missing) =
        (directory.path().join("good.pem"), directory.path().join("bad.pem"), directory.path().join("missing.pem"));
    fs::write(&good, pem(&[&Ca::root("root").der])).unwrap();
    fs::write(&bad, "nothing").unwrap();
    let error = BundleFiles::load(vec![source("a", &good), source("b", &bad), source("c", &missing)]).err().unwrap();
    let text = error.to_string();
    assert!(
        text.contains("bad.pem: bundle holds no certificate") && text.contains("missing.pem: can't be read"),
        "{text}"
    );
    assert!(!text.contains("good.pem"), "{text}");
}

#[tokio::test]
async fn a_changed_file_is_read_and_a_broken_one_leaves_the_old_bundle() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    let (first, second) = (Ca::root("first"), Ca::root("second"));
    fs::write(&one, pem(&[&first.der])).unwrap();
    fs::write(&two, pem(&[&first.der])).unwrap();
    let mut files = BundleFiles::load(vec![source("a", &one), source("b", &two)]).unwrap();

    fs::write(&one, pem(&[&first.der, &second.der])).unwrap();
    let reload = changed(&mut files).await;
    assert!(reload.refused.is_empty() && reload.bundles.as_ref() == Some(files.bundles()));
    assert_eq!((authorities(&files, "a"), authorities(&files, "b")), (Some(2), Some(1)));

    fs::write(&one, "broken").unwrap();
    fs::write(&two, r#"{"keys": []}"#).unwrap();
    let reload = changed(&mut files).await;
    assert_eq!(reload.refused.len(), 1);
    assert_eq!((authorities(&files, "a"), authorities(&files, "b")), (Some(2), Some(0)));

    fs::remove_file(&two).unwrap();
    let reload = changed(&mut files).await;
    assert!(reload.bundles.is_none(), "a file that is gone changes nothing");
    assert_eq!(authorities(&files, "b"), Some(0));
}

#[tokio::test]
async fn intermediates_are_read_again_too_and_broken_ones_leave_the_old_bundle() {
    let directory = tempfile::tempdir().unwrap();
    let (bundle, more) = (directory.path().join("bundle"), directory.path().join("more"));
    let root = Ca::root("root");
    let (one, two) = (root.below("one", |_| ()), root.below("two", |_| ()));
    fs::write(&bundle, pem(&[&root.der])).unwrap();
    fs::write(&more, pem(&[&one.der])).unwrap();
    let with_more = BundleSource { intermediates: Some(more.clone()), ..source("a", &bundle) };
    let mut files = BundleFiles::load(vec![with_more]).unwrap();
    let held =
        |files: &BundleFiles| files.bundles().get(&TrustDomain::parse("a").unwrap()).unwrap().intermediates().to_vec();
    assert_eq!(held(&files), std::slice::from_ref(&one.der));

    fs::write(&more, pem(&[&root.leaf(|_| ())])).unwrap();
    let refused = changed(&mut files).await.refused;
    assert!(refused[0].to_string().contains("more: intermediate 1 (CN=leaf) is no CA"), "{}", refused[0]);
    assert_eq!(held(&files), std::slice::from_ref(&one.der));

    fs::write(&more, pem(&[&one.der, &two.der])).unwrap();
    assert!(changed(&mut files).await.bundles.is_some());
    assert_eq!(held(&files), [one.der, two.der]);
}
