//! Every state by what is known when, and what each lets happen.

use super::*;

const CONFIG: DegradedConfig = DegradedConfig {
    max_view_age: Duration::from_secs(30),
    log_lost: Conduct::Deny,
    store_unwritable: Conduct::Policy,
};
const LEASE: Duration = Duration::from_secs(3);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The state `age` seconds after a log kept elsewhere was last known to be whole.
fn elsewhere(config: &DegradedConfig, age: u64, writable: bool) -> Standing {
    let freshness = Freshness::unknown();
    let asked = Instant::now() + seconds(1000);
    freshness.confirm(asked);
    assess(config, &freshness, writable, asked + seconds(age))
}

#[test]
fn a_log_kept_elsewhere_is_lost_when_its_bound_is_over_or_it_was_never_heard_of() {
    assert_eq!(elsewhere(&CONFIG, 29, true).trouble, None);
    assert_eq!(
        elsewhere(&CONFIG, 30, true).trouble,
        Some((Condition::LogLost, Conduct::Deny)),
        "rounded up, it is over"
    );
    assert_eq!(elsewhere(&CONFIG, 40, false).condition(), Some(Condition::LogLost), "what is worse is said");
    assert_eq!(elsewhere(&CONFIG, 5, false).trouble, Some((Condition::StoreUnwritable, Conduct::Policy)));
    let unheard = assess(&CONFIG, &Freshness::unknown(), true, Instant::now());
    assert_eq!((unheard.condition(), unheard.view_age_millis()), (Some(Condition::LogLost), i64::MAX));
}

#[test]
fn a_log_of_our_own_is_never_lost_but_it_may_take_no_signals() {
    let freshness = Freshness::always();
    let later = Instant::now() + seconds(1000);
    assert_eq!(assess(&CONFIG, &freshness, true, later), Standing::FINE);
    freshness.lose(later);
    let standing = assess(&CONFIG, &freshness, false, later + seconds(100));
    assert_eq!(standing.trouble, Some((Condition::StoreUnwritable, Conduct::Policy)));
    assert_eq!(standing.view_age_millis(), 100_001);
}

#[test]
fn policies_see_an_age_only_while_something_is_wrong() {
    assert_eq!(elsewhere(&CONFIG, 29, true).view_age_millis(), 0);
    assert_eq!(elsewhere(&CONFIG, 31, true).view_age_millis(), 31_001);
}

#[test]
fn no_lease_outlives_the_bound_of_the_view_unless_memory_may() {
    let lease = |log_lost, age, writable| {
        let config = DegradedConfig { log_lost, ..CONFIG };
        elsewhere(&config, age, writable).lease(&config, LEASE)
    };
    for conduct in [Conduct::Deny, Conduct::Policy] {
        assert_eq!(lease(conduct, 0, true), LEASE);
        assert_eq!(lease(conduct, 28, true), Duration::from_millis(1999));
        assert_eq!(lease(conduct, 31, true), Duration::ZERO);
        assert_eq!(lease(conduct, 5, false), Duration::ZERO, "policies decide each anew");
    }
    assert_eq!(lease(Conduct::Cached, 28, true), LEASE);
    assert_eq!(lease(Conduct::Cached, 3000, true), LEASE);
    let unheard = assess(&CONFIG, &Freshness::unknown(), true, Instant::now());
    assert_eq!(unheard.lease(&CONFIG, LEASE), Duration::ZERO);
    assert_eq!(Standing::FINE.lease(&CONFIG, LEASE), LEASE);
}
