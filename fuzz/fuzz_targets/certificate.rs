//! Any bytes as what identity reads: a leaf, a trust bundle, and what Envoy presents. Nobody becomes a caller whom our authority never certified.
#![no_main]

use std::sync::LazyLock;

use countersign::identity::{Bundle, PresentedCertificate, Verifier, svid};
use countersign_fuzz::{CALLERS, NOW, verifier};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::CertificateDer;

/// By whether the leaf may come from XFCC alone.
static VERIFIERS: LazyLock<[Verifier; 2]> = LazyLock::new(|| [verifier(false), verifier(true)]);

fuzz_target!(|bytes: &[u8]| {
    svid::fuzz_entry(bytes);
    let _ = Bundle::parse(bytes);
    if bytes.first() == Some(&0x30) {
        present(&pem(&CertificateDer::from(bytes)), &[]);
    }
    // As text: the certificate, an empty line, and then one XFCC header in each line.
    let mut lines =
        bytes.split(|&byte| byte == b'\n').skip_while(|line| !line.is_empty()).skip_while(|line| line.is_empty());
    let headers: Vec<&[u8]> = lines.by_ref().collect();
    let certificate = bytes.windows(2).position(|pair| pair == b"\n\n").map_or(bytes, |end| &bytes[..end]);
    if let Ok(certificate) = str::from_utf8(certificate) {
        present(certificate, &headers);
    }
});

fn present(certificate: &str, xfcc: &[&[u8]]) {
    for source_certificate in [Some(certificate), None] {
        let presented = PresentedCertificate { source_certificate, xfcc: xfcc.to_vec() };
        for verifier in VERIFIERS.iter() {
            if let Ok(identified) = verifier.verify(&presented, NOW) {
                let id = identified.caller().credential().id();
                assert!(CALLERS.contains(&id.as_str()), "certified by nobody: {id}");
            }
        }
    }
}

/// RFC 7468, but for the length of lines.
fn pem(der: &CertificateDer<'_>) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for chunk in der.chunks(3) {
        let bits = chunk.iter().chain([&0; 2]).take(3).fold(0_usize, |bits, &byte| bits << 8 | usize::from(byte));
        for digit in 0..4 {
            text.push(if digit > chunk.len() { '=' } else { char::from(DIGITS[bits >> (18 - 6 * digit) & 63]) });
        }
    }
    text + "\n-----END CERTIFICATE-----\n"
}
