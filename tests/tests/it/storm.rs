//! Kill -9 at random moments of many signals: what was acknowledged is in force, nothing is there twice, nothing was invented.

mod askers;
mod embedded;
mod fleet;
mod ledger;
mod senders;

use std::collections::BTreeSet;

use ledger::Ledger;

/// How many there are, as metrics say it.
fn count(revoked: &BTreeSet<String>) -> f64 {
    f64::from(u32::try_from(revoked.len()).unwrap())
}

/// Where a run's random choices come from; `COUNTERSIGN_SEED` repeats them. What the processes were at when they
/// died can't be repeated.
fn random() -> fastrand::Rng {
    let seed = std::env::var("COUNTERSIGN_SEED").ok().map(|seed| seed.parse().expect("COUNTERSIGN_SEED is a number"));
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("COUNTERSIGN_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}
