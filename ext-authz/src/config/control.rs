//! `control`: who may use the control API for what, beyond who may come in at its doors.

use std::path::PathBuf;

use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
    service::ServiceConfig,
};
use crate::policy::control::ControlFiles;

/// The rights of those who come in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlConfig {
    /// Cedar policies; none: whoever comes in may do everything.
    pub policy: Vec<PathBuf>,
}

pub(super) const KNOBS: &[Knob] = &[Knob::new(
    "control.policy[]",
    KnobDefault::None,
    "Cedar policies that say who may signal and read what, as policy.files; without them whoever comes in may do everything.",
)];

impl ControlConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        const POLICY: &str = "control.policy";
        let files = if reader.set(POLICY).is_some() { reader.values(POLICY, scalar::path)? } else { Vec::new() };
        Some(Self { policy: files.iter().map(|file| reader.located(file)).collect() })
    }

    pub(super) fn files_for(&self, service: &ServiceConfig) -> ControlFiles {
        ControlFiles { policies: self.policy.clone(), service: service.name.clone() }
    }
}
