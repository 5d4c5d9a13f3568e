//! What holds for any bytes and for any element that can be made.

use super::{Digest, Element, LIMITS, Pair, Xfcc};
use proptest::{collection::vec, prelude::*, sample::select};

fn pem() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9+/= \n-]{1,60}"
}

fn name() -> impl Strategy<Value = String> {
    r##"([ !#-\[\]-~]|\\[ "#+,;<>\\]|\\[0-9A-F]{2}){0,20}"##
}

fn bare() -> impl Strategy<Value = String> {
    r"[ !#-+\--:<-~]{1,20}"
}

/// Single-valued keys at most once, in any order, as the hops of different proxies may write them.
fn element() -> impl Strategy<Value = Element> {
    let once = (
        proptest::option::of(any::<[u8; 32]>().prop_map(|bytes| Pair::Hash(Digest::from_bytes(bytes)))),
        proptest::option::of(pem().prop_map(Pair::Cert)),
        proptest::option::of(pem().prop_map(Pair::Chain)),
        proptest::option::of(name().prop_map(Pair::Subject)),
        proptest::option::of(name().prop_map(Pair::Issuer)),
    );
    let uris = prop_oneof![Just(vec![Pair::Uri(String::new())]), vec(bare().prop_map(Pair::Uri), 0..3),];
    let many = (vec(bare().prop_map(Pair::By), 1..3), uris, vec(bare().prop_map(Pair::Dns), 0..3));
    (once, many)
        .prop_map(|((hash, cert, chain, subject, issuer), (by, uris, dns))| {
            let single = [hash, cert, chain, subject, issuer].into_iter().flatten();
            single.chain(by).chain(uris).chain(dns).collect::<Vec<_>>()
        })
        .prop_shuffle()
        .prop_map(|pairs| Element::new(pairs).unwrap())
}

/// Bits of real headers in any order: far more of these get deep into the parser than of random bytes.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&[u8]] = &[
        b"By=",
        b"Hash=",
        b"Cert=",
        b"Chain=",
        b"Subject=",
        b"URI=",
        b"DNS=",
        b"Issuer=",
        b"uri=",
        b"X=",
        b"\"",
        b"\\",
        b"\\\"",
        b";",
        b",",
        b"=",
        b"%",
        b"%0A",
        b"%41",
        b"a",
        b"spiffe://td/a",
        b" ",
        b"\xff",
        b"\xc3\xa9",
        b"\0",
        b"{",
        b"[",
        b"48dc4d2018ee6a4700a63e4680616feb34b5c35a0ec5c3e5c05b04ea080e48a2",
    ];
    vec(select(pieces), 0..24).prop_map(|pieces| pieces.concat())
}

/// For any accepted input: writing it again gives the input, and reading that gives the same.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(xfcc) = Xfcc::parse(bytes, LIMITS) {
        let text = xfcc.to_string();
        prop_assert_eq!(text.as_bytes(), bytes);
        prop_assert_eq!(Xfcc::parse(text.as_bytes(), LIMITS), Ok(xfcc));
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_written_back_as_they_came(bytes in any::<Vec<u8>>()) {
        check(&bytes)?;
    }

    #[test]
    fn any_pieces_of_headers_are_refused_or_written_back_as_they_came(bytes in pieces()) {
        check(&bytes)?;
    }

    #[test]
    fn one_byte_of_a_good_header_changed_is_refused_or_written_back(element in element(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = element.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        check(&bytes)?;
    }

    #[test]
    fn what_is_written_is_read_as_it_was(elements in vec(element(), 1..5)) {
        let xfcc = Xfcc::new(elements).unwrap();
        prop_assert_eq!(Xfcc::parse(xfcc.to_string().as_bytes(), LIMITS), Ok(xfcc));
    }
}
