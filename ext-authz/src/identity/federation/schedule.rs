//! When an endpoint is asked again. Pure arithmetic: chance and failures are arguments.

use std::time::Duration;

/// The shortest time between two questions that a publisher can ask for.
pub const SHORTEST_REFRESH: Duration = Duration::from_secs(10);

/// The longest: what was revoked there must not stay in force here for longer.
pub const LONGEST_REFRESH: Duration = Duration::from_hours(24);

/// Without a hint (SPIFFE Trust Domain and Bundle §4.1.2: about every five minutes).
const USUAL_REFRESH: Duration = Duration::from_mins(5);

/// After the first failure; each further one doubles it.
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// How often to ask: as configured, else as the bundle hints within bounds.
pub(super) fn interval(configured: Option<Duration>, hint: Option<Duration>) -> Duration {
    configured.unwrap_or_else(|| hint.map_or(USUAL_REFRESH, |hint| hint.clamp(SHORTEST_REFRESH, LONGEST_REFRESH)))
}

/// How long to wait after so many failures in a row; `chance` takes off up to a tenth, so that not all ask at once.
pub(super) fn wait(interval: Duration, failures: u32, chance: u64) -> Duration {
    let retry = FIRST_RETRY.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let whole = if failures == 0 { interval } else { retry.min(interval) };
    let spread = u64::try_from(whole.as_millis() / 10).unwrap_or(u64::MAX);
    whole.saturating_sub(Duration::from_millis(chance.checked_rem(spread).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn the_hint_counts_within_bounds_and_the_configuration_before_it() {
        let cases = [
            (None, None, secs(300)),
            (None, Some(secs(60)), secs(60)),
            (None, Some(secs(0)), secs(10)),
            (None, Some(secs(u64::MAX)), secs(86_400)),
            (Some(secs(1)), Some(secs(60)), secs(1)),
        ];
        for (configured, hint, expected) in cases {
            assert_eq!(interval(configured, hint), expected, "{configured:?} {hint:?}");
        }
    }

    #[test]
    fn failures_are_tried_again_sooner_and_then_ever_later_up_to_the_interval() {
        let waits: Vec<u64> = (0..9).map(|failures| wait(secs(300), failures, 0).as_secs()).collect();
        assert_eq!(waits, [300, 5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(wait(secs(1), 3, 0), secs(1), "never rarer than when all is well");
        for failures in [31, 32, 33, 64, u32::MAX] {
            assert_eq!(wait(LONGEST_REFRESH, failures, 0), LONGEST_REFRESH, "{failures}");
        }
    }

    #[test]
    fn chance_takes_off_a_tenth_at_most() {
        for chance in [0, 1, 7_777_777, u64::MAX] {
            let waited = wait(secs(100), 0, chance);
            assert!((secs(90)..=secs(100)).contains(&waited), "{waited:?}");
        }
        assert_eq!(wait(Duration::ZERO, 0, u64::MAX), Duration::ZERO);
    }
}
