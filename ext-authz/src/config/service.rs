//! `service`: who we are. Policies name it as the resource.

use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
};

/// The service behind this sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Its name, as in `Service::"orders"`.
    pub name: String,
}

pub(super) const KNOBS: &[Knob] = &[Knob::new(
    "service.name",
    KnobDefault::Required,
    "Name of the service behind this sidecar, as policies call it.",
)];

impl ServiceConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        Some(Self { name: reader.value("service.name", scalar::text)? })
    }
}
