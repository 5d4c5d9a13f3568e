//! Which SVID is taken, what is refused, and what takes it back.

use rcgen::KeyPair;

use super::*;
use crate::identity::test_pki::{Ca, uri};

/// Makes a good SVID a bad one.
type Spoil = fn(&mut X509svid);

fn svid(ca: &Ca, id: &str, hint: &str) -> X509svid {
    let pair = KeyPair::generate().unwrap();
    let leaf = ca.leaf_for(&pair, |params| params.subject_alt_names = vec![uri(id)]);
    X509svid {
        spiffe_id: id.to_owned(),
        x509_svid: leaf.to_vec().into(),
        x509_svid_key: pair.serialize_der().into(),
        bundle: ca.der.to_vec().into(),
        hint: hint.to_owned(),
    }
}

fn message(svids: &[&X509svid]) -> X509svidResponse {
    X509svidResponse { svids: svids.iter().copied().cloned().collect(), ..Default::default() }
}

fn agent(choice: Choice) -> (AgentSvids, OwnIdentity) {
    let own = OwnIdentity::default();
    (AgentSvids::new(choice, own.clone()), own)
}

fn id_of(own: &OwnIdentity) -> Option<String> {
    own.current().map(|svid| svid.id().to_string())
}

fn denied() -> Failure {
    Failure::Denied { what: "no identity issued".to_owned() }
}

#[test]
fn the_choice_is_by_hint_by_id_or_the_first_and_of_two_with_one_hint_the_first() {
    let ca = Ca::root("root");
    let (a, b, c) =
        (svid(&ca, "spiffe://td/a", ""), svid(&ca, "spiffe://td/b", "inner"), svid(&ca, "spiffe://td/c", "inner"));
    let all = message(&[&a, &b, &c]);
    let cases = [
        (Choice::First, Some("spiffe://td/a")),
        (Choice::Hint("inner".to_owned()), Some("spiffe://td/b")),
        (Choice::Hint("outer".to_owned()), None),
        (Choice::Id(SpiffeId::parse("spiffe://td/c").unwrap()), Some("spiffe://td/c")),
        (Choice::Id(SpiffeId::parse("spiffe://td/d").unwrap()), None),
    ];
    for (choice, expected) in cases {
        let (agent, own) = agent(choice.clone());
        assert_eq!(agent.take(&all).unwrap().offered, 3);
        assert_eq!(id_of(&own).as_deref(), expected, "{choice}");
    }
}

#[test]
fn a_rotation_replaces_it_and_the_same_again_wakes_nobody() {
    let ca = Ca::root("root");
    let (agent, own) = agent(Choice::First);
    let (old, new) = (svid(&ca, "spiffe://td/a", ""), svid(&ca, "spiffe://td/a", ""));
    assert!(matches!(agent.take(&message(&[&old])).unwrap().change, SvidChange::New { .. }));
    let before = *own.current().unwrap().digest();
    let mut changes = own.subscribe();
    changes.mark_unchanged();
    assert_eq!(agent.take(&message(&[&old])).unwrap().change, SvidChange::Same);
    assert!(!changes.has_changed().unwrap());
    assert!(matches!(agent.take(&message(&[&new])).unwrap().change, SvidChange::New { .. }));
    assert_ne!(*own.current().unwrap().digest(), before);
}

#[test]
fn an_svid_that_is_no_longer_among_them_is_unloaded() {
    let ca = Ca::root("root");
    let (a, b) = (svid(&ca, "spiffe://td/a", "ours"), svid(&ca, "spiffe://td/b", ""));
    let (agent, own) = agent(Choice::Hint("ours".to_owned()));
    agent.take(&message(&[&a, &b])).unwrap();
    let change = agent.take(&message(&[&b])).unwrap().change;
    assert!(matches!(change, SvidChange::Gone { why, .. } if why.contains("\"ours\"")));
    assert_eq!(id_of(&own), None);
    assert_eq!(agent.take(&message(&[&b])).unwrap().change, SvidChange::Same);
}

#[test]
fn a_denial_takes_it_back_at_once_and_an_agent_that_is_gone_does_not() {
    let ca = Ca::root("root");
    let (agent, own) = agent(Choice::First);
    agent.take(&message(&[&svid(&ca, "spiffe://td/a", "")])).unwrap();
    for failure in [Failure::closed(), Failure::silent(), Failure::Rejected { what: String::new() }] {
        assert_eq!(agent.end(&failure), SvidChange::Same);
        assert!(id_of(&own).is_some(), "{failure}");
    }
    assert!(matches!(agent.end(&denied()), SvidChange::Gone { why, .. } if why.contains("registration entry")));
    assert_eq!(id_of(&own), None);
    assert_eq!(agent.end(&denied()), SvidChange::Same);
}

#[test]
fn a_message_with_a_mandatory_field_at_its_default_is_discarded_and_the_last_stays() {
    let ca = Ca::root("root");
    let good = svid(&ca, "spiffe://td/a", "");
    let (agent, own) = agent(Choice::First);
    agent.take(&message(&[&good])).unwrap();
    let spoil: [(&str, Spoil); 4] = [
        ("X509SVID.spiffe_id", |svid| svid.spiffe_id.clear()),
        ("X509SVID.x509_svid", |svid| svid.x509_svid.clear()),
        ("X509SVID.x509_svid_key", |svid| svid.x509_svid_key.clear()),
        ("X509SVID.bundle", |svid| svid.bundle.clear()),
    ];
    for (field, spoil) in spoil {
        // Also where the entry is not the one that we use.
        let mut bad = svid(&ca, "spiffe://td/other", "");
        spoil(&mut bad);
        let fresh = svid(&ca, "spiffe://td/fresh", "");
        assert_eq!(agent.take(&message(&[&fresh, &bad])).unwrap_err(), InvalidMessage::Missing { field });
    }
    let empty = agent.take(&message(&[])).unwrap_err();
    assert_eq!(empty, InvalidMessage::Missing { field: "X509SVIDResponse.svids" });
    assert_eq!(id_of(&own).as_deref(), Some("spiffe://td/a"));
}

#[test]
fn garbage_is_discarded_and_the_last_stays() {
    let ca = Ca::root("root");
    let good = svid(&ca, "spiffe://td/a", "");
    let (agent, own) = agent(Choice::First);
    agent.take(&message(&[&good])).unwrap();
    let spoil: [(&str, Spoil); 6] = [
        ("certificate 1 is none", |svid| svid.x509_svid = vec![1, 2, 3].into()),
        ("certificate 2 is none", |svid| svid.x509_svid = [svid.x509_svid.as_ref(), b"tail"].concat().into()),
        ("private key", |svid| svid.x509_svid_key = vec![1, 2, 3].into()),
        ("belongs to another certificate", |svid| {
            svid.x509_svid_key = KeyPair::generate().unwrap().serialize_der().into();
        }),
        ("is said to be spiffe://td/b and is spiffe://td/fresh", |svid| svid.spiffe_id = "spiffe://td/b".to_owned()),
        ("bundle of td", |svid| svid.bundle = svid.x509_svid.clone()),
    ];
    for (because, spoil) in spoil {
        let mut bad = svid(&ca, "spiffe://td/fresh", "");
        spoil(&mut bad);
        let error = agent.take(&message(&[&bad])).unwrap_err().to_string();
        assert!(error.contains(because), "{error:?} does not say {because:?}");
    }
    let mut ca_itself = svid(&ca, "spiffe://td/fresh", "");
    ca_itself.x509_svid = ca.der.to_vec().into();
    assert!(matches!(agent.take(&message(&[&ca_itself])).unwrap_err(), InvalidMessage::Svid(_)));
    assert_eq!(id_of(&own).as_deref(), Some("spiffe://td/a"));
}

#[test]
fn no_agent_can_give_too_much() {
    let ca = Ca::root("root");
    let one = svid(&ca, "spiffe://td/a", "");
    let (agent, own) = agent(Choice::First);
    let many = vec![&one; MAX_SVIDS + 1];
    assert!(matches!(agent.take(&message(&many)).unwrap_err(), InvalidMessage::TooMany { .. }));
    let long = X509svid { hint: "x".repeat(MAX_HINT_BYTES + 1), ..one.clone() };
    assert!(matches!(agent.take(&message(&[&one, &long])).unwrap_err(), InvalidMessage::Hint { .. }));
    let chain = X509svid { x509_svid: one.x509_svid.repeat(MAX_CHAIN + 1).into(), ..one.clone() };
    assert!(matches!(agent.take(&message(&[&chain])).unwrap_err(), InvalidMessage::Chain { .. }));
    assert_eq!(id_of(&own), None);
    agent.take(&message(&many[..MAX_SVIDS])).unwrap();
}
