//! Any bytes as an XFCC header whose chain is followed: every hop is one our authority certified, to the right of it only trusted writers.
#![no_main]

use std::sync::LazyLock;

use authz_core::identity::{Element, Limits, Xfcc};
use countersign::identity::{PresentedCertificate, Verifier};
use countersign_fuzz::{CALLERS, FORWARDER, NOW, verifier};
use libfuzzer_sys::fuzz_target;

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| verifier(true));

fuzz_target!(|header: &[u8]| {
    let presented = PresentedCertificate { source_certificate: None, xfcc: vec![header] };
    let Ok(identified) = VERIFIER.verify(&presented, NOW) else { return };
    let chain = identified.chain();
    let ids: Vec<&str> =
        [identified.caller()].into_iter().chain(chain.hops()).map(|it| it.credential().id().as_str()).collect();
    assert!(ids.iter().all(|id| CALLERS.contains(id)), "certified by nobody: {ids:?}");
    let xfcc = Xfcc::parse(header, Limits { max_bytes: 1 << 20, max_elements: 100 }).expect("it was read before");
    let claims: Vec<&Element> = xfcc.elements().iter().rev().skip(1).collect();
    assert!(chain.hops().len() <= claims.len());
    assert_eq!(chain.is_complete(), chain.hops().len() == claims.len());
    for ((writer, hop), claim) in ids.iter().zip(chain.hops()).zip(claims) {
        assert_eq!(*writer, FORWARDER, "written by one whose word does not count");
        assert!(claim.by().eq([*writer]), "written by another");
        assert_eq!(claim.hash().as_ref(), Some(hop.credential().digest()), "of another certificate");
    }
});
