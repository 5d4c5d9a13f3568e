//! The walk stops where trust ends, and nothing to the left of that ever becomes a hop.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{
    identity::{Credential, Digest, Element, IdPattern, IssuerSerial, Limits, Xfcc},
    time::Timestamp,
};

const LIMITS: Limits = Limits { max_bytes: 64 * 1024, max_elements: 32 };

fn workload(id: &str) -> Arc<Caller> {
    let id = SpiffeId::parse(id).unwrap();
    let serial = IssuerSerial::new("CN=root", "1").unwrap();
    let credential = Credential::new(id, Digest::from_bytes([1; 32]), serial, Timestamp::default(), Timestamp::NEVER);
    Caller::verified(credential.unwrap())
}

fn forwarders(patterns: &[&str]) -> Forwarders {
    Forwarders::new(patterns.iter().map(|text| IdPattern::parse(text).unwrap()))
}

/// Believes what an element says of its subject if it has a certificate at all; `Cert="x"` stands for one.
fn prove(element: &Element) -> Option<Arc<Caller>> {
    let uri = element.cert_pem().and_then(|_| element.uris().next())?;
    SpiffeId::parse(uri).is_ok_and(|id| !id.is_trust_domain_id()).then(|| workload(uri))
}

fn walked(header: &[u8], caller: &Arc<Caller>, forwarders: &Forwarders) -> Option<Chain> {
    let xfcc = Xfcc::parse(header, LIMITS).ok()?;
    Some(walk(caller, xfcc.elements().iter().rev().skip(1), forwarders, prove))
}

/// Elements from left to right as `writer > subject`; `subject!` comes without a certificate.
#[track_caller]
fn check(header: &[(&str, &str)], caller: &str, expected: &[&str], reach: Reach) {
    let id = |name: &str| format!("spiffe://td/{name}");
    let element = |(by, subject): &(&str, &str)| match subject.strip_suffix('!') {
        Some(subject) => format!("By={};URI={}", id(by), id(subject)),
        None => format!("By={};Cert=\"x\";URI={}", id(by), id(subject)),
    };
    let text = header.iter().map(element).collect::<Vec<_>>().join(",");
    let chain = walked(text.as_bytes(), &workload(&id(caller)), &forwarders(&["spiffe://td/gw/*", "spiffe://td/edge"]))
        .unwrap();
    let hops: Vec<&str> = chain.hops().iter().map(|hop| hop.credential().id().path()).collect();
    let expected: Vec<String> = expected.iter().map(|name| format!("/{name}")).collect();
    assert_eq!((hops, chain.reach()), (expected.iter().map(String::as_str).collect(), reach), "{text}");
}

#[test]
fn the_walk_goes_from_the_right_as_far_as_trusted_writers_reach() {
    check(&[("us", "web")], "web", &[], Reach::Origin);
    check(&[("gw/1", "web"), ("us", "gw/1")], "gw/1", &["web"], Reach::Origin);
    check(&[("edge", "web"), ("gw/1", "edge"), ("us", "gw/1")], "gw/1", &["edge", "web"], Reach::Origin);
}

#[test]
fn the_walk_stops_at_the_first_writer_whose_word_does_not_count() {
    check(&[("web", "admin"), ("us", "web")], "web", &[], Reach::Forwarder);
    check(&[("web", "admin"), ("gw/1", "web"), ("us", "gw/1")], "gw/1", &["web"], Reach::Forwarder);
    check(&[("gw", "admin"), ("us", "gw")], "gw", &["admin"], Reach::Origin);
    check(&[("gw-evil", "admin"), ("us", "gw-evil")], "gw-evil", &[], Reach::Forwarder);
}

#[test]
fn an_element_that_somebody_else_is_said_to_have_written_counts_for_nothing() {
    check(&[("edge", "admin"), ("us", "gw/1")], "gw/1", &[], Reach::Writer);
    check(&[("us", "admin"), ("gw/1", "edge"), ("us", "gw/1")], "gw/1", &["edge"], Reach::Writer);
}

#[test]
fn an_element_without_proof_is_no_hop_and_nothing_left_of_it_is() {
    check(&[("gw/1", "web!"), ("us", "gw/1")], "gw/1", &[], Reach::Proof);
    check(&[("edge", "web"), ("gw/1", "edge!"), ("us", "gw/1")], "gw/1", &[], Reach::Proof);
}

#[test]
fn two_names_for_one_writer_are_none() {
    let caller = workload("spiffe://td/edge");
    for by in ["By=spiffe://td/edge;By=spiffe://td/other", "By=spiffe://td/other;By=spiffe://td/edge", "By="] {
        let header = format!("{by};Cert=\"x\";URI=spiffe://td/web,By=spiffe://td/us;URI=spiffe://td/edge");
        let Some(chain) = walked(header.as_bytes(), &caller, &forwarders(&["spiffe://td/*"])) else { continue };
        assert!(chain.hops().is_empty() && chain.reach() == Reach::Writer, "{header}");
    }
}

#[test]
fn the_origin_is_known_only_if_trust_reaches_it() {
    let (caller, web) = (workload("spiffe://td/gw"), workload("spiffe://td/web"));
    assert_eq!(Chain::direct().origin(&caller), Some(caller.credential().id()));
    for reach in Reach::ALL {
        let chain = Chain::new(vec![Arc::clone(&web)], *reach);
        let expected = (*reach == Reach::Origin).then(|| web.credential().id());
        assert_eq!((chain.origin(&caller), chain.count()), (expected, 2));
        assert_eq!(Reach::parse(reach.as_str()), Some(*reach));
    }
}

/// Parts of headers, some of which fit together.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = select(vec![
        "By=spiffe://td/a",
        "By=spiffe://td/b",
        "By=spiffe://td/evil",
        ";",
        ",",
        "Cert=\"x\"",
        "URI=spiffe://td/a",
        "URI=spiffe://td/b",
        "URI=spiffe://td/evil",
        "Subject=\"CN=a\\\"\"",
        "\"",
        "\\\"",
        "[",
        "{",
        "=",
        "Hash=ab",
    ]);
    let whole = (select(vec!["a", "b", "evil"]), select(vec!["a", "b", "evil"]))
        .prop_map(|(by, uri)| format!("By=spiffe://td/{by};Cert=\"x\";URI=spiffe://td/{uri}"));
    prop_oneof![
        vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes()),
        vec(whole, 0..6).prop_map(|elements| elements.join(",").into_bytes()),
        any::<Vec<u8>>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// The rule itself, said another way than the walk says it.
    #[test]
    fn every_hop_stands_to_the_right_of_only_trusted_writers(header in pieces(), caller in select(vec!["a", "b", "evil"])) {
        let caller = workload(&format!("spiffe://td/{caller}"));
        let trusted = forwarders(&["spiffe://td/a", "spiffe://td/b"]);
        if let Some(chain) = walked(&header, &caller, &trusted) {
            let xfcc = Xfcc::parse(&header, LIMITS).unwrap();
            let claims: Vec<_> = xfcc.elements().iter().rev().skip(1).collect();
            let identities: Vec<&str> =
                [&caller].into_iter().chain(chain.hops()).map(|it| it.credential().id().as_str()).collect();
            prop_assert!(chain.hops().len() <= claims.len());
            for ((writer, hop), claim) in identities.iter().zip(chain.hops()).zip(&claims) {
                prop_assert!(["spiffe://td/a", "spiffe://td/b"].contains(writer));
                prop_assert!(claim.by().eq([*writer]));
                prop_assert_eq!(claim.uris().next(), Some(hop.credential().id().as_str()));
            }
            prop_assert_eq!(chain.is_complete(), chain.hops().len() == claims.len());
        }
    }
}
