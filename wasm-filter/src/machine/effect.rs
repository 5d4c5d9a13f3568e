//! What the host is to do for the machine, as values; nothing happens here.

use super::{
    answer::Note,
    stats::{Change, Metric},
};

/// One thing to do. The order matters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Close the Watch stream.
    Close,
    /// Write a line to the log.
    Log(Level, String),
    /// Tell Envoy how a stat changed.
    Metric(Metric, Change),
    /// Open the Watch stream.
    Open,
    /// End this request, which is on its way, and leave the note for the access log.
    Reset(u32, Note),
    /// Send this message on the Watch stream.
    Send(Vec<u8>),
}

/// How much a line matters.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Level {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warn,
}
