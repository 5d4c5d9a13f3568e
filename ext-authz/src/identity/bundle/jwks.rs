//! SPIFFE bundles in JSON, read by the rules for consumers (SPIFFE Trust Domain and Bundle §4, X509-SVID §6). Keys for JWTs are not taken.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use serde_json::{Map, Value};

use super::{Bundle, InvalidBundle, MAX_AUTHORITIES, json};
use crate::identity::pem;

/// Reads a bundle. An empty `keys` is an answer and not an error: all authorities are gone, and every SVID with them.
pub(super) fn parse(text: &str) -> Result<Bundle, InvalidBundle> {
    let document = json::parse(text).map_err(|error| invalid(error.to_string()))?;
    let Some(keys) = document.get("keys").and_then(Value::as_array) else {
        return Err(invalid("keys is missing or no list; an empty list would revoke everything"));
    };
    let mut certificates = Vec::new();
    for (position, key) in keys.iter().enumerate() {
        let Some(x5c) = key.as_object().and_then(x509_svid_certificate) else { continue };
        let place = format!("keys[{position}].x5c[0]");
        certificates.push((place.clone(), certificate(&place, x5c)?));
    }
    if certificates.len() > MAX_AUTHORITIES {
        return Err(invalid(format!("it has {} authorities; at most {MAX_AUTHORITIES} are read", certificates.len())));
    }
    let sequence = number(&document, "spiffe_sequence")?;
    let refresh_hint = number(&document, "spiffe_refresh_hint")?.map(Duration::from_secs);
    Bundle::of(certificates.iter().map(|(place, der)| (place.clone(), der)), sequence, refresh_hint)
}

/// The certificate of a key meant for X.509-SVIDs; consumers ignore keys of unknown use or type, keys without x5c, and all but its first entry.
fn x509_svid_certificate(key: &Map<String, Value>) -> Option<&Value> {
    let text = |name| key.get(name).and_then(Value::as_str);
    if text("use") != Some("x509-svid") || !text("kty").is_some_and(|kty| KEY_TYPES.contains(&kty)) {
        return None;
    }
    key.get("x5c").and_then(Value::as_array).and_then(|chain| chain.first())
}

/// The key types that certificates can have (RFC 7518 §6, RFC 8037 §2).
const KEY_TYPES: [&str; 3] = ["EC", "OKP", "RSA"];

/// RFC 7517 §4.7: base64 of the DER, without line breaks. In PEM's armour, the PEM reader's own base64 reads it.
fn certificate(place: &str, x5c: &Value) -> Result<CertificateDer<'static>, InvalidBundle> {
    let refuse = |what: &str| InvalidBundle::Authority { place: place.to_owned(), what: what.to_owned() };
    let text = x5c.as_str().ok_or_else(|| refuse("is no text"))?;
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')) {
        return Err(refuse("is not base64"));
    }
    let armoured = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    let certificates = pem::certificates(&armoured, 1).map_err(|error| refuse(&error.to_string()))?;
    certificates.into_iter().next().ok_or_else(|| refuse("is empty"))
}

fn number(document: &Value, name: &str) -> Result<Option<u64>, InvalidBundle> {
    match document.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) => Ok(Some(number)),
            None => Err(invalid(format!("{name} is {value}, not a whole number of 64 bits"))),
        },
    }
}

fn invalid(what: impl Into<String>) -> InvalidBundle {
    InvalidBundle::Json { what: what.into() }
}
