//! The name and the end of a token, to revoke it: it is read, never verified, never shown and never sent.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use authz_core::{scope::Scope, time::Timestamp};
use serde::Deserialize;

/// What a revocation needs of a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TokenName {
    /// `token:JTI`.
    pub scope: Scope,
    /// When it ends, and with it the need to keep its revocation.
    pub expires_at: Option<Timestamp>,
}

/// RFC 7519 §4.1: of all claims, these.
#[derive(Deserialize)]
struct Claims {
    jti: Option<String>,
    exp: Option<f64>,
}

/// Reads a JWT from a file, or from standard input for `-`.
pub(super) fn of_file(file: &Path) -> Result<TokenName, String> {
    let text = if file == Path::new("-") { io::read_to_string(io::stdin().take(MAX_TOKEN)) } else { read(file) };
    let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
    of_text(text.trim()).map_err(|error| format!("{}: {error}", file.display()))
}

/// Reads a JWT in compact form (RFC 7515 §7.1). No message says anything that stands in it.
fn of_text(token: &str) -> Result<TokenName, String> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err("it is no JWT, which has three parts with dots between them".to_owned());
    };
    let payload = base64url(payload).ok_or("it is no JWT: its claims are not base64url")?;
    let claims: Claims = serde_json::from_slice(&payload)
        .map_err(|_| "it is no JWT: its claims are no JSON object with a text as jti and a number as exp".to_owned())?;
    let jti = claims.jti.ok_or("it has no jti, so it has no name: revoke its --subject or --session")?;
    let scope = Scope::token(&jti).map_err(|error| format!("its jti can't be used: {error}"))?;
    Ok(TokenName { scope, expires_at: claims.exp.and_then(end) })
}

/// `exp` is in seconds and may have a fraction; rounded up, so that the revocation outlives the token.
fn end(seconds: f64) -> Option<Timestamp> {
    let millis = (seconds * 1000.0).ceil();
    let in_range = millis.is_finite() && (0.0..LATEST_MS).contains(&millis);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and in range")]
    in_range.then(|| Timestamp::from_millis(millis as u64))
}

fn read(file: &Path) -> io::Result<String> {
    io::read_to_string(fs::File::open(file)?.take(MAX_TOKEN))
}

/// RFC 4648 §5 without padding, as in RFC 7515 §2.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let bits = chunk.iter().try_fold(0_u32, |bits, byte| Some(bits << 6 | u32::from(digit(*byte)?)))?;
        let [_, first, second, third] = (bits << (6 * (4 - chunk.len()))).to_be_bytes();
        match chunk.len() {
            4 => bytes.extend([first, second, third]),
            3 => bytes.extend([first, second]),
            2 => bytes.push(first),
            _ => return None,
        }
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

/// Longest token that is read, in bytes.
const MAX_TOKEN: u64 = 64 * 1024;
/// The year 9999; what ends later never ends.
const LATEST_MS: f64 = 253_402_300_800_000.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // {"iss":"https://a.test","sub":"bob","jti":"t-1","exp":1900000000.5}
    const PAYLOAD: &str = "eyJpc3MiOiJodHRwczovL2EudGVzdCIsInN1YiI6ImJvYiIsImp0aSI6InQtMSIsImV4cCI6MTkwMDAwMDAwMC41fQ";

    #[test]
    fn a_token_is_named_by_its_jti_and_ends_with_its_exp() {
        let name = of_text(&format!("aaaa.{PAYLOAD}.c2lnbmF0dXJl")).unwrap();
        assert_eq!(
            (name.scope.to_string().as_str(), name.expires_at),
            ("token:t-1", Some(Timestamp::from_millis(1_900_000_000_500)))
        );
    }

    #[test]
    fn what_can_not_be_named_is_refused_and_nothing_of_it_is_said() {
        // {"sub":"secret-bob"} and {"jti":7}
        for (token, why) in [
            ("", "three parts"),
            ("secret", "three parts"),
            ("secret.secret", "three parts"),
            ("a.secret.c.d", "three parts"),
            ("a.secret!.c", "base64url"),
            ("a.secret.c", "JSON"),
            ("a.eyJzdWIiOiJzZWNyZXQtYm9iIn0.c", "no jti"),
            ("a.eyJqdGkiOjd9.c", "JSON"),
        ] {
            let error = of_text(token).unwrap_err();
            assert!(error.contains(why) && !error.contains("secret"), "{token}: {error}");
        }
    }

    #[test]
    fn ends_that_no_clock_reaches_are_none() {
        for (seconds, expected) in [(1.0, Some(1000)), (0.0001, Some(1)), (-1.0, None), (f64::NAN, None), (1e300, None)]
        {
            assert_eq!(end(seconds), expected.map(Timestamp::from_millis), "{seconds}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = of_text(&text);
            let _ = base64url(&text);
        }

        #[test]
        fn base64url_is_read_as_it_is_written(bytes in any::<Vec<u8>>()) {
            const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let mut text = String::new();
            for chunk in bytes.chunks(3) {
                let mut whole = [0; 4];
                whole[1..=chunk.len()].copy_from_slice(chunk);
                let bits = u32::from_be_bytes(whole);
                (0..=chunk.len()).for_each(|n| text.push(char::from(DIGITS[(bits >> (18 - 6 * n)) as usize & 63])));
            }
            prop_assert_eq!(base64url(&text), Some(bytes));
        }
    }
}
