//! The wall clock: the only place that asks the system what time it is; everything below takes `now` as a value.

use std::time::{SystemTime, UNIX_EPOCH};

use authz_core::time::Timestamp;

/// Now; a clock set before 1970 reads 1970.
#[expect(clippy::disallowed_methods, reason = "somebody has to ask")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
