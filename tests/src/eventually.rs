//! Waits for a value instead of sleeping; a value that does not come in time fails the test and says what was missing.

use std::time::{Duration, Instant};

/// How long tests wait for something that takes milliseconds on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Calls `probe` until it gives a value.
///
/// # Panics
/// After [`PATIENCE`], naming `what`.
pub async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, probe).await
}

/// Calls `probe` until it gives a value, for at most `patience`.
///
/// # Panics
/// After `patience`, naming `what`.
pub async fn within<T>(patience: Duration, what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(start.elapsed() < patience, "no {what} within {patience:?}");
        tokio::time::sleep(BETWEEN_PROBES).await;
    }
}

const BETWEEN_PROBES: Duration = Duration::from_millis(5);
