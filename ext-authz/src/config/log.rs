//! `log`: what we say about ourselves on standard error.

use tracing_subscriber::EnvFilter;

use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
    tree::Node,
};

/// The log of this process, which is neither audit nor the log of signals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// How a line looks.
    pub format: LogFormat,
    /// What is said: a level, or filter directives that were found valid.
    pub level: String,
}

/// How a line looks.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A JSON object.
    Json,
    /// For people.
    Text,
}

pub(super) const KNOBS: &[Knob] = &[
    Knob::new("log.format", KnobDefault::Value("json"), "How a log line looks: json or text."),
    Knob::new(
        "log.level",
        KnobDefault::Value("info"),
        "What is logged: error, warn, info, debug or trace, also for one part, as in info,countersign::identity=debug.",
    ),
];

impl LogConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        let (format, level) = (reader.value("log.format", format), reader.value("log.level", level));
        Some(Self { format: format?, level: level? })
    }
}

fn format(node: &Node) -> Result<LogFormat, String> {
    match scalar::text(node).as_deref() {
        Ok("json") => Ok(LogFormat::Json),
        Ok("text") => Ok(LogFormat::Text),
        _ => Err(format!("is {}; write json or text", node.describe())),
    }
}

fn level(node: &Node) -> Result<String, String> {
    let text = scalar::text(node)?;
    let good =
        text.split(',').all(|directive| is_level(directive.rsplit_once('=').map_or(directive, |(_, level)| level)));
    // A lone word that is no level would pass as the name of a part, all of which would then be logged.
    if good && EnvFilter::try_new(&text).is_ok() {
        return Ok(text);
    }
    Err(format!("is {text:?}; write error, warn, info, debug or trace, or such as info,countersign::identity=debug"))
}

fn is_level(word: &str) -> bool {
    matches!(word, "off" | "error" | "warn" | "info" | "debug" | "trace")
}
