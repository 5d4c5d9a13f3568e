//! `signals`: where revocations are kept.

use std::path::PathBuf;

use super::{
    knob::{Knob, KnobDefault},
    nats::NatsConfig,
    reader::Reader,
    scalar,
};

/// The log of signals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalsConfig {
    /// The file it is in.
    pub log: PathBuf,
    /// The stream it is a replica of, in a fleet.
    pub nats: Option<NatsConfig>,
}

pub(super) const KNOBS: &[Knob] = &[Knob::new(
    "signals.log",
    KnobDefault::Value("/var/lib/countersign/signals.redb"),
    "File of the durable log of revocations; it must survive restarts.",
)];

impl SignalsConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        let (log, nats) = (reader.value("signals.log", scalar::path), NatsConfig::read(reader));
        Some(Self { log: reader.located(log?), nats: nats? })
    }
}
