//! XFCC as a real Envoy 1.40 wrote it, every rule as a row of a table, and what holds for any bytes.

use super::{Element, InvalidXfcc, Key, Limits, Pair, Xfcc};
use crate::identity::{Digest, SpiffeId};

mod properties;

/// Captured from Envoy 1.40, one header a line: plain; Subject with quotes, separators and a line feed, and two URI SANs; Subject that ends
/// with a backslash; no Subject and no URI SAN; Subject beyond ASCII; two elements by `APPEND_FORWARD`.
const REAL: &str = include_str!("testdata/envoy-1.40.txt");

/// Captured from Envoy 1.40: a URI SAN that forges an element, and one with a quote.
const FORGED: &str = include_str!("testdata/envoy-1.40-forged.txt");

const LIMITS: Limits = Limits { max_bytes: 16 * 1024, max_elements: 8 };
const HASH: &str = "48dc4d2018ee6a4700a63e4680616feb34b5c35a0ec5c3e5c05b04ea080e48a2";

fn parse(text: &str) -> Result<Xfcc, InvalidXfcc> {
    Xfcc::parse(text.as_bytes(), LIMITS)
}

fn real(line: usize) -> Xfcc {
    parse(REAL.lines().nth(line).unwrap()).unwrap_or_else(|error| panic!("line {line}: {error}"))
}

#[test]
fn what_a_real_envoy_wrote_is_written_back_byte_for_byte() {
    for (number, line) in REAL.lines().enumerate() {
        assert_eq!(real(number).to_string(), line);
    }
    assert_eq!(REAL.lines().count(), 6);
}

#[test]
fn a_real_element_tells_everything_about_both_ends() {
    let xfcc = real(0);
    let [element] = xfcc.elements() else { panic!("{xfcc}") };
    assert_eq!(element.by().collect::<Vec<_>>(), ["spiffe://td/proxy/a", "https://proxy.td/b?x=y"]);
    assert_eq!(element.uris().collect::<Vec<_>>(), ["spiffe://td/a/b"]);
    assert_eq!(element.dns().collect::<Vec<_>>(), ["a.example", "b.example"]);
    assert_eq!(element.subject(), Some("CN=client,O=SPIRE,C=US"));
    assert_eq!(element.issuer(), Some(r#"CN=inter\, \"x\""#));
    assert_eq!(element.hash().unwrap().to_string().len(), 64);
    let (leaf, chain) = (element.cert_pem().unwrap(), element.chain_pem().unwrap());
    assert!(leaf.starts_with("-----BEGIN CERTIFICATE-----\nMII") && leaf.ends_with("\n-----END CERTIFICATE-----\n"));
    assert!(chain.starts_with(leaf) && chain.len() > leaf.len());
    let keys: Vec<_> = element.pairs().iter().map(Pair::key).collect();
    let expected =
        [Key::By, Key::By, Key::Hash, Key::Cert, Key::Chain, Key::Subject, Key::Uri, Key::Dns, Key::Dns, Key::Issuer];
    assert_eq!(keys, expected);
}

#[test]
fn a_real_subject_with_quotes_backslashes_or_nothing_stays_one_value() {
    let subject = |line| real(line).newest().unwrap().subject().unwrap().to_owned();
    assert_eq!(subject(1), r#"CN=\ lead\\ \C3\A9\0A\+\<\>#t\ ,O=Acme\, \"Inc\"\; =x"#);
    assert_eq!(subject(2), r"CN=end\\");
    assert_eq!(subject(3), "");
    assert_eq!(subject(4), r"CN=\D0\BF\D0\B8\01\7F");
}

#[test]
fn two_uri_sans_are_both_there_and_an_empty_one_is_none() {
    assert_eq!(real(1).newest().unwrap().uris().collect::<Vec<_>>(), ["spiffe://td/a", "https://td/c?x=y"]);
    assert_eq!(real(3).newest().unwrap().uris().count(), 0);
}

#[test]
fn the_newest_element_is_the_last() {
    let xfcc = real(5);
    let uris: Vec<Vec<_>> = xfcc.elements().iter().map(|element| element.uris().collect()).collect();
    assert_eq!(uris, [vec!["spiffe://td/a", "https://td/c?x=y"], vec!["spiffe://td/a/b"]]);
    assert_eq!(xfcc.newest(), xfcc.elements().get(1));
}

/// The format can't show this forgery, which is why an element is believed only for a certificate that matches its `Hash`.
#[test]
fn a_uri_san_with_separators_reads_as_what_it_forges_and_one_with_a_quote_is_refused() {
    let forged = FORGED.lines().next().unwrap();
    let keys = parse(forged).map(|xfcc| xfcc.elements().len());
    assert_eq!(keys, Ok(2));
    assert!(matches!(parse(FORGED.lines().nth(1).unwrap()), Err(InvalidXfcc::StrayQuote { .. })));
}

#[test]
fn a_text_that_envoy_would_not_write_is_refused_by_the_rule_it_breaks() {
    for (row, expected) in REFUSED {
        let text = row.replace("{HASH}", HASH).replace("{UPPER}", &HASH.to_uppercase());
        match parse(&text) {
            Ok(xfcc) => panic!("{text} was read as {xfcc:?}"),
            Err(error) => assert_eq!(variant(&error), *expected, "{text}: {error}"),
        }
    }
}

fn variant(error: &InvalidXfcc) -> String {
    let debug = format!("{error:?}");
    debug.split([' ', '{']).next().unwrap_or_default().to_owned()
}

#[test]
fn bytes_that_are_no_utf8_are_refused_where_they_are() {
    let error = Xfcc::parse(b"URI=a\xff", LIMITS);
    assert_eq!(error, Err(InvalidXfcc::NotUtf8 { offset: 5 }));
}

#[test]
fn limits_are_the_most_that_is_read() {
    let at = |max_bytes, max_elements| Xfcc::parse(b"By=a,By=b", Limits { max_bytes, max_elements });
    assert!(at(9, 2).is_ok());
    assert_eq!(at(8, 2), Err(InvalidXfcc::TooManyBytes { length: 9, max: 8 }));
    assert_eq!(at(9, 1), Err(InvalidXfcc::TooManyElements { max: 1 }));
    assert_eq!(at(9, 0), Err(InvalidXfcc::TooManyElements { max: 0 }));
}

#[test]
fn a_message_names_the_bad_value_and_the_remedy() {
    assert_eq!(parse("By=a;by=b").unwrap_err().to_string(), "xfcc key by is not written as Envoy writes it; write By");
    assert_eq!(
        parse("Cert=\"%zz\"").unwrap_err().to_string(),
        "xfcc Cert: percent-encoding has \"%zz\"; a % must be followed by two hex digits"
    );
    let long = parse(&format!("Hash={}", "x".repeat(10_000))).unwrap_err().to_string();
    assert!(long.len() < 200, "{long}");
}

#[test]
fn an_element_that_could_not_be_read_back_can_not_be_made() {
    let bad = [
        vec![],
        vec![Pair::By("a;b".to_owned())],
        vec![Pair::Uri("a,b".to_owned())],
        vec![Pair::Dns("a\"".to_owned())],
        vec![Pair::Dns("\u{e9}".to_owned())],
        vec![Pair::Subject("\"".to_owned())],
        vec![Pair::Subject("\\".to_owned())],
        vec![Pair::Cert("%41".to_owned())],
        vec![Pair::Chain(String::new())],
        vec![Pair::Uri(String::new()), Pair::Uri("a".to_owned())],
        vec![Pair::Hash(Digest::from_bytes([0; 32])), Pair::Hash(Digest::from_bytes([1; 32]))],
    ];
    for pairs in bad {
        assert!(Element::new(pairs.clone()).is_err(), "{pairs:?}");
    }
    assert!(Xfcc::new(vec![]).is_err());
}

#[test]
fn a_bare_uri_that_is_a_spiffe_id_holds_no_separator() {
    for separator in [',', ';', '=', '"', '\\', ' '] {
        assert!(SpiffeId::parse(&format!("spiffe://td/a{separator}b")).is_err());
    }
}

/// A header value, with `{HASH}` for a digest and `{UPPER}` for it in upper case, and the rule it breaks.
#[rustfmt::skip]
const REFUSED: &[(&str, &str)] = &[
    ("", "EmptyElement"),
    (",", "EmptyElement"),
    ("By=a,", "EmptyElement"),
    (",By=a", "EmptyElement"),
    ("By=a,,By=b", "EmptyElement"),
    (";", "EmptyPair"),
    ("By=a;", "EmptyPair"),
    (";By=a", "EmptyPair"),
    ("By=a;;URI=b", "EmptyPair"),
    ("By=a;,By=b", "EmptyPair"),
    ("By", "MissingEquals"),
    ("By=a;URI", "MissingEquals"),
    ("By;URI=a", "MissingEquals"),
    ("\"By\"=a", "MissingEquals"),
    ("\"", "MissingEquals"),
    (" ", "MissingEquals"),
    ("=a", "UnknownKey"),
    (" By=a", "UnknownKey"),
    ("By =a", "UnknownKey"),
    ("By=a, By=b", "UnknownKey"),
    ("By=a;X=b", "UnknownKey"),
    ("Serial=1", "UnknownKey"),
    ("by=a", "KeyCase"),
    ("Uri=a", "KeyCase"),
    ("dns=a", "KeyCase"),
    ("Hash={HASH};hash={HASH}", "KeyCase"),
    ("Hash={HASH};Hash={HASH}", "DuplicateKey"),
    ("Cert=\"a\";Cert=\"a\"", "DuplicateKey"),
    ("Chain=\"a\";By=x;Chain=\"b\"", "DuplicateKey"),
    ("Subject=\"\";Subject=\"\"", "DuplicateKey"),
    ("Issuer=\"\";Issuer=\"a\"", "DuplicateKey"),
    ("Hash=", "Hash"),
    ("Hash=0", "Hash"),
    ("Hash={UPPER}", "Hash"),
    ("Hash={HASH}0", "Hash"),
    ("Hash=\"{HASH}\"", "Quoted"),
    ("URI=\"spiffe://td/a\"", "Quoted"),
    ("By=\"\"", "Quoted"),
    ("DNS=\"a\"", "Quoted"),
    ("Subject=CN=a", "NotQuoted"),
    ("Subject=", "NotQuoted"),
    ("Cert=a", "NotQuoted"),
    ("URI=a\"", "StrayQuote"),
    ("URI=a\"b\"", "StrayQuote"),
    ("Subject= \"a\"", "StrayQuote"),
    ("Subject=\"", "OpenQuote"),
    ("Subject=\"a", "OpenQuote"),
    ("Subject=\"a\\\"", "OpenQuote"),
    ("Subject=\"a\\", "OpenQuote"),
    ("Subject=\"a\\\\\\\";URI=b", "OpenQuote"),
    ("Subject=\"a\"b", "TextAfterQuote"),
    ("Subject=\"a\"\"", "TextAfterQuote"),
    ("Subject=\"a\" ;URI=b", "TextAfterQuote"),
    // With `"` toggled and `\` ignored, the next three would forge a URI or hide one.
    ("Subject=\"CN=a\";URI=spiffe://td/admin;x=\"\"", "UnknownKey"),
    ("Subject=\"CN=a\\\\\"\";URI=spiffe://td/admin", "TextAfterQuote"),
    ("Subject=\"CN=\\x\"", "Value"),
    ("Subject=\"CN=\\4\"", "Value"),
    ("Subject=\"CN=\\4g\"", "Value"),
    ("Subject=\"CN=\\c3\"", "Value"),
    ("Issuer=\"CN=\\=\"", "Value"),
    ("By=", "EmptyValue"),
    ("DNS=", "EmptyValue"),
    ("Cert=\"\"", "EmptyValue"),
    ("Chain=\"\"", "EmptyValue"),
    ("URI=;URI=spiffe://td/a", "EmptyValue"),
    ("URI=spiffe://td/a;URI=", "EmptyValue"),
    ("URI=;URI=", "EmptyValue"),
    ("Cert=\"%\"", "Percent"),
    ("Cert=\"%4\"", "Percent"),
    ("Chain=\"%zz\"", "Percent"),
    ("Chain=\"%ff\"", "Percent"),
    ("Cert=\"%22;URI=a\"", "Value"),
    ("Cert=\"%25\"", "Value"),
    ("Cert=\"%0D%0A\"", "Value"),
    ("Cert=\"a\\\"b\"", "Value"),
    ("Cert=\"a;b\"", "Value"),
    ("Cert=\"a%0a\"", "NotCanonical"),
    ("Cert=\"%41\"", "NotCanonical"),
    ("Cert=\"a b\"", "NotCanonical"),
    ("Cert=\"a+b\"", "NotCanonical"),
    ("Chain=\"a/b=\"", "NotCanonical"),
    ("URI=a\tb", "NotPrintable"),
    ("URI=a\0", "NotPrintable"),
    ("URI=a\u{7f}", "NotPrintable"),
    ("URI=a\r\nx: y", "NotPrintable"),
    ("Subject=\"\u{e9}\"", "NotPrintable"),
    ("[{\"By\":\"a\"}]", "JsonFormat"),
    ("{\"By\":\"a\"}", "JsonFormat"),
    ("By=a,{\"By\":\"a\"}", "JsonFormat"),
    ("[", "JsonFormat"),
];
