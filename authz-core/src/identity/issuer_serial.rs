//! The name of a certificate by who issued it and under which number. It reads no certificate.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
    sync::Arc,
};

use thiserror::Error;

use super::excerpt::excerpt;

/// Issuer and serial number of a certificate (RFC 5280 §4.1.2.2), cheap to clone; its text is `issuer#serial`.
///
/// The issuer is compared as the text it was given as, so everybody must write it alike (RFC 4514).
/// The serial is lower-case hex without leading zeros, so one number has one text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerSerial {
    issuer: Arc<str>,
    serial: Arc<str>,
}

impl IssuerSerial {
    /// From an issuer and a serial in canonical hex.
    pub fn new(issuer: &str, serial: &str) -> Result<Self, InvalidIssuerSerial> {
        check_issuer(issuer)?;
        check_serial(serial)?;
        Ok(Self { issuer: issuer.into(), serial: serial.into() })
    }

    /// From an issuer and the content octets of the serial in DER, big-endian and with any leading zeros.
    pub fn from_der_serial(issuer: &str, serial: &[u8]) -> Result<Self, InvalidIssuerSerial> {
        if serial.len() > MAX_SERIAL {
            return Err(InvalidIssuerSerial::SerialTooLong { digits: serial.len() * 2 });
        }
        let mut hex = String::with_capacity(serial.len() * 2);
        for byte in serial {
            // Writing to a String never fails.
            let _ = write!(hex, "{byte:02x}");
        }
        let number = hex.trim_start_matches('0');
        Self::new(issuer, if number.is_empty() && !serial.is_empty() { "0" } else { number })
    }

    /// The issuer, as it was given.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The serial number in lower-case hex without leading zeros.
    pub fn serial(&self) -> &str {
        &self.serial
    }
}

/// A text that names no certificate by issuer and serial.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidIssuerSerial {
    /// There is no `#` between issuer and serial.
    #[error("{text} has no # between issuer and serial; write it as issuer#serial")]
    NoSerial {
        /// The text, shortened.
        text: String,
    },
    /// The issuer is empty, or has control characters.
    #[error("issuer {issuer} is empty or has control characters; write the issuer's name as in RFC 4514")]
    Issuer {
        /// The issuer, shortened.
        issuer: String,
    },
    /// The issuer is too long.
    #[error("issuer has {length} bytes; at most {MAX_ISSUER} are allowed")]
    IssuerTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The serial is not canonical hex.
    #[error("serial {serial} is not canonical; write it in lower-case hex without colons or leading zeros")]
    Serial {
        /// The serial, shortened.
        serial: String,
    },
    /// The serial is too long.
    #[error("serial has {digits} hex digits; at most {} are allowed", MAX_SERIAL * 2)]
    SerialTooLong {
        /// Its length in hex digits.
        digits: usize,
    },
}

fn check_issuer(issuer: &str) -> Result<(), InvalidIssuerSerial> {
    if issuer.len() > MAX_ISSUER {
        return Err(InvalidIssuerSerial::IssuerTooLong { length: issuer.len() });
    }
    if issuer.is_empty() || issuer.chars().any(char::is_control) {
        return Err(InvalidIssuerSerial::Issuer { issuer: excerpt(issuer) });
    }
    Ok(())
}

fn check_serial(serial: &str) -> Result<(), InvalidIssuerSerial> {
    if serial.len() > MAX_SERIAL * 2 {
        return Err(InvalidIssuerSerial::SerialTooLong { digits: serial.len() });
    }
    let is_hex = serial.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hex || serial.is_empty() || (serial.starts_with('0') && serial != "0") {
        return Err(InvalidIssuerSerial::Serial { serial: excerpt(serial) });
    }
    Ok(())
}

impl FromStr for IssuerSerial {
    type Err = InvalidIssuerSerial;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The last `#`: an issuer may hold one, a serial can't.
        let Some((issuer, serial)) = text.rsplit_once('#') else {
            return Err(InvalidIssuerSerial::NoSerial { text: excerpt(text) });
        };
        Self::new(issuer, serial)
    }
}

impl fmt::Display for IssuerSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.issuer, self.serial)
    }
}

/// Longest issuer in bytes: our bound on memory.
const MAX_ISSUER: usize = 2048;

/// Longest serial in octets: RFC 5280 asks to handle 20 and allows for worse; this is our bound on memory.
const MAX_SERIAL: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{InvalidIssuerSerial, IssuerSerial, MAX_ISSUER};

    #[test]
    fn the_text_is_issuer_then_serial_and_the_issuer_may_hold_the_separator() {
        let cases = [
            ("CN=root#1f", "CN=root", "1f"),
            ("CN=root,O=Acme\\, \"Inc\"#0", "CN=root,O=Acme\\, \"Inc\"", "0"),
            ("CN=\\#1#2#30", "CN=\\#1#2", "30"),
            ("1.2.3=#0401#ff", "1.2.3=#0401", "ff"),
        ];
        for (text, issuer, serial) in cases {
            let parsed: IssuerSerial = text.parse().unwrap();
            assert_eq!((parsed.issuer(), parsed.serial()), (issuer, serial));
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        let serial = |text: &str| IssuerSerial::new("CN=root", text);
        for bad in ["", "00", "01", "1F", "0x1f", "1:f", "-1", " 1", "1 ", "1#2", "g"] {
            assert!(matches!(serial(bad), Err(InvalidIssuerSerial::Serial { .. })), "{bad}");
        }
        assert!(serial(&"f".repeat(64)).is_ok());
        assert!(matches!(serial(&"f".repeat(65)), Err(InvalidIssuerSerial::SerialTooLong { digits: 65 })));
        assert!(matches!("CN=root".parse::<IssuerSerial>(), Err(InvalidIssuerSerial::NoSerial { .. })));
        for bad in ["", "CN=a\nb", "CN=a\0"] {
            assert!(matches!(IssuerSerial::new(bad, "1"), Err(InvalidIssuerSerial::Issuer { .. })), "{bad}");
        }
        let long = "x".repeat(MAX_ISSUER + 1);
        assert!(matches!(IssuerSerial::new(&long, "1"), Err(InvalidIssuerSerial::IssuerTooLong { .. })));
    }

    #[test]
    fn a_serial_from_der_loses_its_leading_zeros() {
        let cases: [(&[u8], Option<&str>); 6] = [
            (&[0x00, 0xff], Some("ff")),
            (&[0x0a, 0x00], Some("a00")),
            (&[0x00], Some("0")),
            (&[0x00, 0x00], Some("0")),
            (&[], None),
            (&[0xff; 33], None),
        ];
        for (der, expected) in cases {
            let parsed = IssuerSerial::from_der_serial("CN=root", der);
            assert_eq!(parsed.as_ref().ok().map(IssuerSerial::serial), expected, "{der:?}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_is_written_back_as_it_came(text in "[ -~é#]{0,20}#[0-9a-fA-F]{0,5}") {
            if let Ok(parsed) = text.parse::<IssuerSerial>() {
                prop_assert_eq!(parsed.to_string(), text);
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>(), der in any::<Vec<u8>>()) {
            let _ = text.parse::<IssuerSerial>();
            let _ = IssuerSerial::from_der_serial(&text, &der);
        }
    }
}
