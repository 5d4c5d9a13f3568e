//! Waits for what a step wants to see; unlike the tests' own waiting it never panics: a step that fails is a row.

use std::time::{Duration, Instant};

/// How long a step waits for something that takes milliseconds on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Calls `probe` until it gives a value, for at most [`PATIENCE`].
pub async fn until<T>(mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(value) = probe().await {
            return Some(value);
        }
        tokio::time::sleep(BETWEEN_PROBES).await;
    }
    None
}

const BETWEEN_PROBES: Duration = Duration::from_millis(5);
