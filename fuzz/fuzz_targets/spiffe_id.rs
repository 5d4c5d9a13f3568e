//! Any text as a SPIFFE ID: what is accepted keeps the rules that everything after the parser relies on.
#![no_main]

use authz_core::identity::SpiffeId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(id) = SpiffeId::parse(text) else { return };
    assert_eq!(id.as_str(), text, "never normalised");
    assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text, "its parts are the whole");
    assert!(text.len() <= 2048 && text.is_ascii());
    assert!(!id.trust_domain().is_empty() && id.trust_domain().len() <= 255);
    assert!(!text.contains(['%', '?', '#', '\\', ' ']) && !id.path().ends_with('/'));
    assert!(id.path().split('/').skip(1).all(|segment| !matches!(segment, "" | "." | "..")));
    for prefix in id.prefixes().take(8) {
        assert!(text.starts_with(prefix));
        assert!(SpiffeId::parse(prefix).is_ok_and(|shorter| shorter.trust_domain() == id.trust_domain()));
    }
});
