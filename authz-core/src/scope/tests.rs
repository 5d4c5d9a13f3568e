//! The text of scopes, what their hash rests on, and the list that one credential rests on.

use proptest::prelude::*;

use super::*;
use crate::time::Timestamp;

fn digest() -> String {
    "0a".repeat(32)
}

#[test]
fn every_kind_comes_back_from_its_text() {
    let texts = [
        (ScopeKind::Agent, "agent:urn:agent:7#x".to_owned()),
        (ScopeKind::Certificate, format!("certificate:{}", digest())),
        (ScopeKind::Device, "device:laptop 7:ä".to_owned()),
        (ScopeKind::IssuerSerial, "issuer-serial:CN=a:b\\, #1,O=x#ff".to_owned()),
        (ScopeKind::PathPrefix, "path-prefix:spiffe://demo.test/ns".to_owned()),
        (ScopeKind::Session, "session:s-1".to_owned()),
        (ScopeKind::SpiffeId, "spiffe-id:spiffe://demo.test/ns/shop/sa/web".to_owned()),
        (ScopeKind::Subject, "subject:https://idp.test/#alice#1".to_owned()),
        (ScopeKind::Token, "token:0b6f".to_owned()),
        (ScopeKind::TrustDomain, "trust-domain:demo.test".to_owned()),
    ];
    assert_eq!(texts.each_ref().map(|(kind, _)| *kind), ScopeKind::ALL);
    for (kind, text) in texts {
        let scope: Scope = text.parse().unwrap();
        assert_eq!((scope.kind(), scope.to_string()), (kind, text.clone()));
        assert_eq!(text.strip_prefix(kind.as_str()).and_then(|rest| rest.strip_prefix(':')), Some(scope.value()));
    }
}

#[test]
fn a_scope_parsed_is_the_scope_built() {
    let id = SpiffeId::parse("spiffe://demo.test/a").unwrap();
    let serial = IssuerSerial::new("CN=root", "ff").unwrap();
    let built = [
        Scope::certificate(&Digest::from_bytes([10; 32])),
        Scope::issuer_serial(&serial),
        Scope::path_prefix(&PathPrefix::parse(id.as_str()).unwrap()),
        Scope::spiffe_id(&id),
        Scope::trust_domain(&TrustDomain::of(&id)),
    ];
    for scope in &built {
        assert_eq!(scope.to_string().parse().as_ref(), Ok(scope));
        assert_eq!(built.iter().filter(|other| *other == scope).count(), 1, "{scope}");
    }
    assert_eq!(built[0].value(), digest());
}

#[test]
fn one_value_under_two_kinds_is_two_scopes() {
    let scope = |text: &str| text.parse::<Scope>().unwrap();
    let (workload, prefix) = (scope("spiffe-id:spiffe://demo.test/a"), scope("path-prefix:spiffe://demo.test/a"));
    assert_ne!(workload, prefix);
    assert_ne!(workload.precomputed_hash(), prefix.precomputed_hash());
}

#[test]
fn what_has_no_known_kind_is_refused() {
    let unknown =
        ["", ":", "demo.test", "spiffe://demo.test/a", "Certificate:x", " trust-domain:a", "trust-domain", "grant:a"];
    for text in unknown {
        assert_eq!(text.parse::<Scope>(), Err(InvalidScope::Kind(text.to_owned())));
    }
}

#[test]
fn what_does_not_fit_its_kind_is_refused_with_kind_and_remedy() {
    let cases = [
        ("certificate:", "64 lower-case hex digits"),
        ("certificate:0A", "64 lower-case hex digits"),
        ("issuer-serial:CN=root", "issuer#serial"),
        ("issuer-serial:CN=root#0F", "lower-case hex"),
        ("path-prefix:spiffe://demo.test", "no path"),
        ("path-prefix:spiffe://demo.test/a/", "slash"),
        ("path-prefix:spiffe://demo.test/a*", "letters"),
        ("path-prefix:/a", "spiffe://"),
        ("spiffe-id:demo.test/a", "spiffe://"),
        ("spiffe-id: spiffe://demo.test/a", "spiffe://"),
        ("spiffe-id:spiffe://demo.test", "write trust-domain:demo.test"),
        ("trust-domain:spiffe://demo.test", "lower-case letters"),
        ("trust-domain:Demo.test", "lower-case letters"),
        ("trust-domain:", "missing"),
    ];
    for (text, remedy) in cases {
        let error = text.parse::<Scope>().unwrap_err();
        let InvalidScope::Value { kind, value, .. } = &error else { panic!("{text}: {error}") };
        assert_eq!(format!("{}:{value}", kind.as_str()), text);
        assert!(error.to_string().contains(remedy), "{text}: {error}");
    }
}

#[test]
fn messages_stay_short_and_printable() {
    let long = format!("spiffe-id:\n{}", "x".repeat(1_000_000));
    for text in [long.as_str(), &long[1..]] {
        let message = text.parse::<Scope>().unwrap_err().to_string();
        assert!(message.len() < 1000 && !message.contains('\n'), "{message}");
    }
}

#[test]
fn a_credential_rests_on_itself_its_id_everything_above_and_nothing_else() {
    let credential = Credential::new(
        SpiffeId::parse("spiffe://demo.test/a/b").unwrap(),
        Digest::from_bytes([10; 32]),
        IssuerSerial::new("CN=root", "1").unwrap(),
        Timestamp::default(),
        Timestamp::NEVER,
    );
    let scopes = Scopes::of(&credential.unwrap());
    let mut texts: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    texts.sort_unstable();
    let expected = [
        &format!("certificate:{}", digest()),
        "issuer-serial:CN=root#1",
        "path-prefix:spiffe://demo.test/a",
        "path-prefix:spiffe://demo.test/a/b",
        "spiffe-id:spiffe://demo.test/a/b",
        "trust-domain:demo.test",
    ];
    assert_eq!(texts, expected);
    // Each of them can be sent as a signal: what was built here is what the text gives.
    assert!(texts.iter().all(|text| scopes.contains(&text.parse().unwrap())));
    assert!(!scopes.contains(&"spiffe-id:spiffe://demo.test/a".parse().unwrap()));
}

proptest! {
    #[test]
    fn any_text_is_a_scope_that_prints_as_it_was_or_none(
        kind in prop::sample::select(vec!["", "certificate:", "issuer-serial:", "path-prefix:", "spiffe-id:", "trust-domain:"]),
        value in "(spiffe://)?[a-c0/.#=]{0,12}|\\PC{0,20}|[0-9a-f]{64}",
    ) {
        let text = format!("{kind}{value}");
        if let Ok(scope) = text.parse::<Scope>() {
            prop_assert_eq!(scope.to_string(), text);
        }
    }

    #[test]
    fn scopes_are_equal_exactly_if_their_texts_are(a in "[ab]{1,2}", b in "[ab]{1,2}", kinds in any::<[bool; 2]>()) {
        let scope = |name: &str, id: bool| -> Scope {
            let text = if id { format!("spiffe-id:spiffe://{name}/x") } else { format!("trust-domain:{name}") };
            text.parse().unwrap()
        };
        let (one, other) = (scope(&a, kinds[0]), scope(&b, kinds[1]));
        prop_assert_eq!(one == other, one.to_string() == other.to_string());
        prop_assert_eq!(one == other, one.precomputed_hash() == other.precomputed_hash());
    }
}

#[test]
fn a_name_of_others_is_taken_as_it_stands_or_refused_with_a_remedy() {
    let refused = [
        ("token:", "empty"),
        ("device: a", "blanks"),
        ("agent:a\n", "control"),
        ("session:a\u{85}b", "control"),
        ("subject:alice", "ISSUER#SUBJECT"),
        ("subject:#alice", "ISSUER#SUBJECT"),
        ("subject:https://idp.test#", "ISSUER#SUBJECT"),
    ];
    for (text, remedy) in refused {
        let error = text.parse::<Scope>().unwrap_err().to_string();
        assert!(error.contains(remedy), "{text}: {error}");
    }
    let long = |length: usize| format!("token:{}", "a".repeat(length)).parse::<Scope>();
    assert!(long(MAX_NAME).is_ok() && long(MAX_NAME + 1).is_err());
    assert_eq!(Scope::token("a").unwrap().to_string(), "token:a");
    assert_eq!(Scope::subject("https://idp.test", "a").unwrap(), "subject:https://idp.test#a".parse().unwrap());
    assert!(Scope::subject("", "a").is_err() && Scope::subject("https://idp.test", "").is_err());
}
