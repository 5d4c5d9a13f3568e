//! Trust bundles as SPIFFE writes them in JSON; how they are read is the business of whoever is tested.

use rcgen::PublicKeyData;
use serde_json::{Value, json};

use super::Authority;
use super::svid::{STANDARD, URL_SAFE, base64};

/// A SPIFFE bundle with the roots of `authorities` (several: a rotation); no authority at all means "trust nobody any more".
pub fn jwks(authorities: &[&Authority], sequence: u64) -> Value {
    let keys: Vec<Value> = authorities.iter().map(|authority| jwk(authority)).collect();
    json!({ "keys": keys, "spiffe_sequence": sequence, "spiffe_refresh_hint": 60 })
}

/// A SPIFFE bundle map, as Envoy's SPIFFE validator reads it: one bundle per trust domain.
pub fn bundle_map_json(authorities: &[&Authority]) -> String {
    let mut domains = serde_json::Map::new();
    for name in authorities.iter().map(|authority| authority.trust_domain()) {
        let of_domain: Vec<&Authority> =
            authorities.iter().copied().filter(|authority| authority.trust_domain() == name).collect();
        domains.insert(name.to_owned(), jwks(&of_domain, 1));
    }
    json!({ "trust_domains": domains }).to_string()
}

/// RFC 7517 with `x5c`; `use` tells SPIFFE what the key is for (X509-SVID §6.1).
fn jwk(authority: &Authority) -> Value {
    // An uncompressed point: one byte 4, then x and y of 32 bytes each.
    let point = authority.root.issuer.key().der_bytes();
    let coordinate = |bytes: &[u8]| base64(bytes, URL_SAFE).trim_end_matches('=').to_owned();
    json!({
        "use": "x509-svid",
        "kty": "EC",
        "crv": "P-256",
        "x": coordinate(&point[1..33]),
        "y": coordinate(&point[33..65]),
        "x5c": [base64(authority.root_der(), STANDARD)],
    })
}
