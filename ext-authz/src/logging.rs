//! Structured logs on standard error, so that standard output stays free for the audit trail; it logs nothing itself.

use tracing_subscriber::{EnvFilter, filter::ParseError};

use crate::config::{LogConfig, LogFormat};

/// Starts logging for the whole process.
///
/// # Errors
/// When the level is no filter directive. A second call is ignored.
pub fn start(config: &LogConfig) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(&config.level)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Only a second start can fail, and then the first is good.
    let _ = match config.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    };
    Ok(())
}
