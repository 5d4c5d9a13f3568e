//! Times as people write them: RFC 3339, `now`, `1h30m`. Reads and writes text, asks no clock.

use std::time::Duration;

use authz_core::time::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A moment as somebody wrote it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    Now,
    At(Timestamp),
}

impl Moment {
    /// The moment it stands for at `now`.
    pub(crate) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Now => now,
        }
    }
}

/// The end of `length` from `now` on, in milliseconds since the epoch.
pub(crate) fn since(now: Timestamp, length: Duration) -> u64 {
    now.saturating_add_millis(u64::try_from(length.as_millis()).unwrap_or(u64::MAX)).as_millis()
}

/// Reads `now` or a moment in RFC 3339.
pub(crate) fn parse_moment(text: &str) -> Result<Moment, String> {
    if text == "now" {
        return Ok(Moment::Now);
    }
    let remedy = "write it as 2026-11-22T12:00:00Z, or now";
    let parsed = OffsetDateTime::parse(text, &Rfc3339).map_err(|error| format!("{error}; {remedy}"))?;
    let millis = parsed.unix_timestamp_nanos() / 1_000_000;
    let millis = u64::try_from(millis).map_err(|_| format!("it lies before 1970; {remedy}"))?;
    Ok(Moment::At(Timestamp::from_millis(millis)))
}

/// Reads a length of time such as `90s`, `10m`, `1h30m` or `7d`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let invalid = || "write it as 90s, 10m, 1h30m or 7d".to_owned();
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit()).ok_or_else(invalid)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|it: char| it.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(invalid)?;
        let part = number.parse::<u64>().ok().and_then(|it| it.checked_mul(factor)).ok_or_else(invalid)?;
        total = total.checked_add(part).filter(|sum| *sum <= LONGEST_MS).ok_or("it is longer than 100 years")?;
        rest = tail;
    }
    if total == 0 { Err(invalid()) } else { Ok(Duration::from_millis(total)) }
}

/// RFC 3339 in UTC with milliseconds; a moment it can't write is given in milliseconds.
pub(crate) fn to_text(millis: u64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok();
    let moment = moment.filter(|it| (0..=9999).contains(&it.year()));
    moment.map_or_else(
        || format!("{millis} ms after 1970"),
        |it| {
            format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
                it.year(),
                u8::from(it.month()),
                it.day(),
                it.hour(),
                it.minute(),
                it.second(),
                it.millisecond()
            )
        },
    )
}

/// A length of time in the unit that fits.
pub(crate) fn length(of: Duration) -> String {
    match of.as_micros() {
        micros @ 0..1000 => format!("{micros} µs"),
        1000..1_000_000 => format!("{:.1} ms", of.as_secs_f64() * 1000.0),
        _ => format!("{:.1} s", of.as_secs_f64()),
    }
}

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const LONGEST_MS: u64 = 100 * 365 * 86_400_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        let cases = [("90s", 90_000), ("10m", 600_000), ("1h30m", 5_400_000), ("7d", 604_800_000), ("250ms", 250)];
        for (text, millis) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "0s", "10", "h", "1w", "-1s", "1.5h", "1 h", "99999999999999999999s", "36501d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_are_rfc_3339_or_now() {
        assert_eq!(parse_moment("now"), Ok(Moment::Now));
        let noon = Moment::At(Timestamp::from_millis(1_795_348_800_000));
        assert_eq!(parse_moment("2026-11-22T12:00:00Z"), Ok(noon));
        assert_eq!(parse_moment("2026-11-22T14:00:00+02:00"), Ok(noon));
        for bad in ["", "2026-11-22", "1969-12-31T23:59:59Z", "yesterday", "1795348800"] {
            assert!(parse_moment(bad).unwrap_err().contains("2026-11-22T12:00:00Z"), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_moment_written_is_read_back(millis in 0..253_402_300_800_000_u64) {
            prop_assert_eq!(parse_moment(&to_text(millis)), Ok(Moment::At(Timestamp::from_millis(millis))));
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in any::<String>(), millis in any::<u64>()) {
            let _ = parse_moment(&text);
            let _ = parse_duration(&text);
            let _ = to_text(millis);
        }
    }
}
