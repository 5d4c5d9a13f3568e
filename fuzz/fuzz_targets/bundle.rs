//! Any bytes as what a bundle endpoint serves after any other bytes, as intermediates, and as its URL: no old bundle comes back, and reading twice is reading once.
#![no_main]

use std::sync::Arc;

use authz_core::identity::{SpiffeId, TrustDomain};
use countersign::identity::{
    Bundle, Bundles,
    federation::{EndpointUrl, judge},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Up to three answers, one after the other, separated by a byte that no text has.
    let mut last: Option<Bundle> = None;
    let mut highest = None;
    for body in bytes.split(|&byte| byte == 0).take(3) {
        if let Ok(accepted) = judge(last.as_ref(), highest, body) {
            let bundle = accepted.bundle;
            assert!(bundle.sequence().is_none_or(|sequence| Some(sequence) >= highest), "an old bundle put back");
            look_at(&bundle, body);
            highest = highest.max(bundle.sequence());
            let again = judge(Some(&bundle), bundle.sequence(), body).expect("what was accepted once");
            assert!(again.bundle == bundle && again.doubt.is_none(), "the same is no change");
            last = Some(bundle);
        }
        if let (Ok(bundle), Some(last)) = (Bundle::parse(body), &last) {
            look_at(&bundle, body);
            if let Ok(complete) = last.clone().with_intermediates(body) {
                assert_eq!(complete.authorities(), last.authorities(), "an intermediate is no authority");
            }
        }
    }
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(url) = EndpointUrl::parse(text)
    {
        let whole = url.to_string();
        let authority = whole.strip_prefix("https://").expect("https only").split(['/', '?']).next();
        assert!(authority.is_some_and(|authority| !authority.contains('@')), "userinfo: {whole}");
        assert_eq!(EndpointUrl::parse(&url.to_string()).as_ref(), Ok(&url));
    }
});

fn look_at(bundle: &Bundle, bytes: &[u8]) {
    assert_eq!(bundle.authorities() == 0, bundle.not_after().is_none());
    let id = SpiffeId::parse("spiffe://td").expect("an ID");
    let named = |bundle: Bundle| Bundles::new([(TrustDomain::of(&id), Arc::new(bundle))]).digest();
    let again = Bundle::parse(bytes).or_else(|_| Bundle::parse_spiffe(bytes)).expect("what was read once");
    assert_eq!(named(bundle.clone()), named(again));
}
