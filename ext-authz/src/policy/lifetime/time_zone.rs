//! A time zone by its IANA name, from the database in this program. It knows the clock on the wall, and for how long that goes on evenly.

use authz_core::time::Timestamp;
use jiff::tz::{self, TimeZoneDatabase};

use super::millis;

/// Where `context.clock` hangs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimeZone {
    name: String,
    rules: tz::TimeZone,
}

/// A name that is none of a time zone.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("is {name:?}, which is no time zone; write an IANA name such as Europe/Berlin, America/New_York or UTC")]
pub struct UnknownTimeZone {
    name: String,
}

const DAY: i64 = 24 * 60 * 60 * 1000;

impl TimeZone {
    /// A time zone by its name in the IANA database, without regard to case.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn parse(name: &str) -> Result<Self, UnknownTimeZone> {
        let unknown = || UnknownTimeZone { name: name.to_owned() };
        let rules = TimeZoneDatabase::bundled().get(name).map_err(|_| unknown())?;
        let name = rules.iana_name().ok_or_else(unknown)?.to_owned();
        Ok(Self { name, rules })
    }

    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self { name: "UTC".into(), rules: tz::TimeZone::UTC }
    }

    /// Its IANA name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How much its clock is ahead of UTC, in milliseconds.
    pub(in crate::policy) fn offset_millis(&self, at: Timestamp) -> i64 {
        i64::from(self.rules.to_offset(instant(at)).seconds()) * 1000
    }

    /// When its clock next changes the day or is changed.
    pub(in crate::policy) fn steady_until(&self, at: Timestamp) -> i64 {
        let now = millis(at);
        let midnight = now.saturating_add(DAY - now.saturating_add(self.offset_millis(at)).rem_euclid(DAY));
        let change = self.rules.following(instant(at)).next().map(|change| change.timestamp().as_millisecond());
        change.map_or(midnight, |change| change.min(midnight))
    }
}

/// What its clock shows `offset` milliseconds ahead of UTC, as minutes since midnight.
pub(in crate::policy) fn minute(at: i64, offset: i64) -> i64 {
    at.saturating_add(offset).rem_euclid(DAY) / (60 * 1000)
}

/// The day of the week, 1 for Monday to 7 for Sunday (ISO 8601).
pub(in crate::policy) fn weekday(at: i64, offset: i64) -> i64 {
    // The epoch was a Thursday.
    (at.saturating_add(offset).div_euclid(DAY) + 3).rem_euclid(7) + 1
}

/// A moment as Cedar reads it, which knows four digits of a year.
pub(in crate::policy) fn datetime(at: Timestamp) -> String {
    instant(at).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// What comes after the last moment of the calendar, in the year 9999, is that moment.
fn instant(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(millis(at)).unwrap_or(jiff::Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let instant: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_millis(instant.as_millisecond().try_into().unwrap())
    }

    fn clock(zone: &TimeZone, text: &str) -> (i64, i64) {
        let (now, offset) = (millis(at(text)), zone.offset_millis(at(text)));
        (weekday(now, offset), minute(now, offset))
    }

    #[test]
    fn the_clock_shows_local_weekday_and_minute() {
        let zone = |name| TimeZone::parse(name).unwrap();
        let cases = [
            ("UTC", "1970-01-01T00:00:00Z", (4, 0)),
            ("UTC", "2026-11-25T23:59:59.999Z", (3, 1439)),
            ("Europe/Berlin", "2026-11-25T23:00:00Z", (4, 0)),
            ("Europe/Berlin", "2026-07-01T15:00:00Z", (3, 17 * 60)),
            ("America/New_York", "2026-11-30T04:59:59Z", (7, 1439)),
            ("Asia/Kathmandu", "2026-11-25T00:00:00Z", (3, 5 * 60 + 45)),
        ];
        for (name, text, expected) in cases {
            assert_eq!(clock(&zone(name), text), expected, "{name} at {text}");
        }
    }

    #[test]
    fn it_goes_on_evenly_until_midnight_or_a_change_of_the_clock() {
        let berlin = TimeZone::parse("Europe/Berlin").unwrap();
        let cases = [
            ("2026-11-25T12:00:00Z", "2026-11-25T23:00:00Z"),
            ("2026-11-25T23:00:00Z", "2026-11-26T23:00:00Z"),
            ("2026-03-28T23:00:00Z", "2026-03-29T01:00:00Z"),
            ("2026-03-29T00:59:59.999Z", "2026-03-29T01:00:00Z"),
            ("2026-03-29T01:00:00Z", "2026-03-29T22:00:00Z"),
            ("2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"),
        ];
        for (now, expected) in cases {
            assert_eq!(berlin.steady_until(at(now)), millis(at(expected)), "{now}");
        }
        assert_eq!(TimeZone::utc().steady_until(at("2026-03-29T00:30:00Z")), millis(at("2026-03-30T00:00:00Z")));
    }

    #[test]
    fn a_moment_is_written_with_milliseconds_and_four_digits_of_its_year() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_795_593_600_007, "2026-11-25T08:00:00.007Z"),
            (u64::MAX, "9999-12-30T22:00:00.999Z"),
        ];
        for (millis, expected) in cases {
            assert_eq!(datetime(Timestamp::from_millis(millis)), expected);
        }
    }

    #[test]
    fn names_are_those_of_the_database_in_this_program() {
        assert_eq!(TimeZone::parse("europe/berlin").unwrap().name(), "Europe/Berlin");
        assert_eq!(TimeZone::parse("UTC").unwrap().name(), TimeZone::utc().name());
        for name in ["", "Berlin", "Europe/Berlin ", "+01:00", "CEST", "../etc/passwd", "Local", "localtime"] {
            assert!(TimeZone::parse(name).is_err(), "{name}");
        }
        let error = TimeZone::parse("Mars/Olympus").unwrap_err().to_string();
        assert_eq!(
            error,
            "is \"Mars/Olympus\", which is no time zone; write an IANA name such as Europe/Berlin, America/New_York or UTC"
        );
    }
}
