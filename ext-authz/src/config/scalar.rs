//! Values out of YAML scalars, each strict, each with words for what is wrong. It knows no knob.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use authz_core::identity::{IdPattern, TrustDomain};

use super::tree::{Node, Value};

/// `true` or `false`.
pub(super) fn boolean(node: &Node) -> Result<bool, String> {
    match node.value {
        Value::Boolean(value) => Ok(value),
        _ => Err(format!("is {}; write true or false", node.describe())),
    }
}

/// Text that is not empty and has no control characters.
pub(super) fn text(node: &Node) -> Result<String, String> {
    match &node.value {
        Value::Text(text) if text.is_empty() => Err("is empty".to_owned()),
        Value::Text(text) if text.chars().any(char::is_control) => {
            Err(format!("is {text:?}; leave control characters out"))
        }
        Value::Text(text) => Ok(text.clone()),
        Value::List(_) | Value::Map(_) | Value::Null => Err(format!("is {}; write text", node.describe())),
        _ => Err(format!("is {}, which is no text; put it in quotes", node.describe())),
    }
}

/// A path, not yet located.
pub(super) fn path(node: &Node) -> Result<PathBuf, String> {
    text(node).map(PathBuf::from)
}

/// A whole number between `least` and `most`.
pub(super) fn number(node: &Node, least: u64, most: u64) -> Result<u64, String> {
    match node.value {
        Value::Integer(value) => match u64::try_from(value) {
            Ok(value) if (least..=most).contains(&value) => Ok(value),
            _ => Err(format!("is {value}; write a number from {least} to {most}")),
        },
        _ => Err(format!("is {}; write a whole number", node.describe())),
    }
}

/// A duration between `least` and `most`: a whole number with `ms`, `s`, `m` or `h`.
pub(super) fn duration(node: &Node, least: Duration, most: Duration) -> Result<Duration, String> {
    let wrong = || format!("is {}; write a whole number with ms, s, m or h, such as 250ms or 5m", node.describe());
    let Value::Text(text) = &node.value else { return Err(wrong()) };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let unit: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let millis = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)?;
    let duration = Duration::from_millis(millis);
    if !(least..=most).contains(&duration) {
        return Err(format!("is {text}; write a duration from {least:?} to {most:?}"));
    }
    Ok(duration)
}

/// `IP:port`.
pub(super) fn address(node: &Node) -> Result<SocketAddr, String> {
    let wrong = || format!("is {}; write an IP address and a port, such as 127.0.0.1:9902", node.describe());
    text(node).map_err(|_| wrong())?.parse().map_err(|_| wrong())
}

/// The name of a trust domain.
pub(super) fn trust_domain(node: &Node) -> Result<TrustDomain, String> {
    TrustDomain::parse(&text(node)?).map_err(|error| format!("is not valid: {error}"))
}

/// Which workloads are meant: an ID, or an ID followed by `/*`.
pub(super) fn id_pattern(node: &Node) -> Result<IdPattern, String> {
    IdPattern::parse(&text(node)?).map_err(|error| format!("is not valid: {error}"))
}

/// Permission bits of a socket, in octal, with read and write for its owner.
pub(super) fn mode(node: &Node) -> Result<u32, String> {
    let wrong = || format!("is {}; write permission bits in octal with four digits, such as 0660", node.describe());
    let Value::Text(text) = &node.value else { return Err(wrong()) };
    if text.len() != 4 || !text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let mode = u32::from_str_radix(text, 8).map_err(|_| wrong())?;
    if mode & 0o600 == 0o600 {
        Ok(mode)
    } else {
        Err(format!("is {text}; its owner must be able to use it, as with 0600"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Node, duration, mode};
    use crate::config::tree::{self, Value};

    fn node(yaml: &str) -> Node {
        tree::parse(yaml).unwrap()
    }

    #[test]
    fn a_duration_is_a_whole_number_with_a_unit() {
        let good = [("250ms", 250), ("3s", 3000), ("5m", 300_000), ("1h", 3_600_000), ("0s", 0), ("\"2s\"", 2000)];
        for (yaml, millis) in good {
            assert_eq!(
                duration(&node(yaml), Duration::ZERO, Duration::MAX),
                Ok(Duration::from_millis(millis)),
                "{yaml}"
            );
        }
        for yaml in [
            "3",
            "3 s",
            "1.5s",
            "-1s",
            "s",
            "3S",
            "1d",
            "3s5ms",
            "99999999999999999999s",
            "18446744073709551615h",
            "[]",
            "true",
        ] {
            let error = duration(&node(yaml), Duration::ZERO, Duration::MAX).unwrap_err();
            assert!(error.contains("250ms or 5m"), "{yaml}: {error}");
        }
    }

    #[test]
    fn a_duration_keeps_its_bounds() {
        let (least, most) = (Duration::from_millis(100), Duration::from_mins(1));
        assert!(duration(&node("100ms"), least, most).is_ok() && duration(&node("1m"), least, most).is_ok());
        let error = duration(&node("61s"), least, most).unwrap_err();
        assert_eq!(error, "is 61s; write a duration from 100ms to 60s");
    }

    #[test]
    fn a_mode_is_four_octal_digits() {
        for (yaml, expected) in [("0660", 0o660), ("\"0600\"", 0o600), ("0777", 0o777)] {
            assert_eq!(mode(&node(yaml)), Ok(expected), "{yaml}");
        }
        for yaml in ["660", "0o660", "0880", "00660", "0060", "0000", "rw", "432"] {
            assert!(mode(&node(yaml)).is_err(), "{yaml}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(text in any::<String>()) {
            let node = Node { line: 1, column: 1, value: Value::Text(text) };
            let _ = (duration(&node, Duration::ZERO, Duration::MAX), mode(&node), super::address(&node), super::trust_domain(&node));
        }
    }
}
