//! Whether what an endpoint served becomes the bundle of its trust domain. Pure; who served it was settled before.

use thiserror::Error;

use crate::identity::{Bundle, InvalidBundle};

/// A bundle to put in force.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// It.
    pub bundle: Bundle,
    /// What its publisher should look into, though it is no reason to refuse it.
    pub doubt: Option<String>,
}

/// A bundle that is not put in force; the last one stays.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RefusedAnswer {
    /// It is none.
    #[error(transparent)]
    Content(#[from] InvalidBundle),
    /// An old bundle put back: authorities that were taken away since would be believed again.
    #[error(
        "spiffe_sequence went back from {had} to {got}, an old bundle put back; if the publisher really starts over, restart this sidecar"
    )]
    Older {
        /// The highest sequence this endpoint has served.
        had: u64,
        /// That of the new one.
        got: u64,
    },
}

/// Judges the body of an answer by the bundle that the same endpoint served last, and the highest sequence it ever did.
///
/// # Errors
/// No SPIFFE bundle in JSON, or one with a lower sequence than the last (SPIFFE Trust Domain and Bundle §4.1.1).
pub fn judge(last: Option<&Bundle>, highest: Option<u64>, body: &[u8]) -> Result<Accepted, RefusedAnswer> {
    let bundle = Bundle::parse_spiffe(body)?;
    let doubt = match (highest, bundle.sequence()) {
        (Some(had), Some(got)) if got < had => return Err(RefusedAnswer::Older { had, got }),
        (Some(had), Some(got)) if got == had && !last.is_some_and(|last| last.trusts_as(&bundle)) => {
            Some(format!("other authorities under the same spiffe_sequence {had}; its publisher should count changes"))
        }
        (Some(had), None) => Some(format!("spiffe_sequence is gone, it was {had}; an old bundle can't be told now")),
        _ => None,
    };
    Ok(Accepted { bundle, doubt })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::test_pki::{Ca, base64};

    fn body(authorities: &[&Ca], sequence: Option<u64>) -> Vec<u8> {
        let keys: Vec<String> = authorities
            .iter()
            .map(|ca| format!(r#"{{"use": "x509-svid", "kty": "EC", "x5c": ["{}"]}}"#, base64(&ca.der)))
            .collect();
        let sequence = sequence.map_or(String::new(), |it| format!(r#", "spiffe_sequence": {it}"#));
        format!(r#"{{"keys": [{}]{sequence}}}"#, keys.join(",")).into_bytes()
    }

    #[test]
    fn an_old_bundle_put_back_is_refused_and_an_uncounted_change_is_told() {
        let (one, two) = (Ca::root("one"), Ca::root("two"));
        let last = Bundle::parse_spiffe(&body(&[&one], Some(7))).unwrap();
        let doubt = |body: Vec<u8>| judge(Some(&last), last.sequence(), &body).map(|accepted| accepted.doubt);
        assert_eq!(doubt(body(&[&one], Some(7))), Ok(None));
        assert_eq!(doubt(body(&[&two], Some(8))), Ok(None));
        assert!(doubt(body(&[&two], Some(7))).unwrap().unwrap().contains("same spiffe_sequence 7"));
        assert!(doubt(body(&[], Some(7))).unwrap().unwrap().contains("same"), "revoking everything is a change too");
        assert!(doubt(body(&[&one], None)).unwrap().unwrap().contains("gone"));
        assert_eq!(doubt(body(&[&one], Some(6))), Err(RefusedAnswer::Older { had: 7, got: 6 }));
        assert_eq!(doubt(body(&[&one], Some(0))), Err(RefusedAnswer::Older { had: 7, got: 0 }));
    }

    #[test]
    fn the_first_bundle_and_those_without_sequences_are_taken_as_they_are() {
        let (one, two) = (Ca::root("one"), Ca::root("two"));
        assert!(judge(None, None, &body(&[&one], Some(0))).unwrap().doubt.is_none());
        let last = Bundle::parse_spiffe(&body(&[&one], None)).unwrap();
        assert!(judge(Some(&last), None, &body(&[&two], None)).unwrap().doubt.is_none());
        assert!(judge(Some(&last), None, b"<html>").is_err());
    }
}
