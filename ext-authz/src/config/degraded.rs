//! `degraded`: what happens to requests while the sidecar can't know or take every revocation.

use std::time::Duration;

use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
    tree::Node,
};
use crate::degraded::Conduct;

/// What to do in each degraded state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DegradedConfig {
    /// How old the view of the log may be before the log counts as lost.
    pub max_view_age: Duration,
    /// While the log is lost.
    pub log_lost: Conduct,
    /// While the log's file can't be written.
    pub store_unwritable: Conduct,
}

pub(super) const KNOBS: &[Knob] = &[
    Knob::new(
        "degraded.max_view_age",
        KnobDefault::Value("30s"),
        "How long a log kept elsewhere may go unheard before it counts as lost: the bound on a revocation made elsewhere.",
    ),
    Knob::new(
        "degraded.log_lost",
        KnobDefault::Value("deny"),
        "While the log is lost: deny all; cached, to answer only what is remembered; or policy, to decide by context.view_age.",
    ),
    Knob::new(
        "degraded.store_unwritable",
        KnobDefault::Value("policy"),
        "While the log's file takes no signals: the same three; what was revoked before stays revoked in each.",
    ),
];

impl DegradedConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        let max_view_age = reader.value("degraded.max_view_age", max_view_age);
        let (log_lost, store_unwritable) =
            (reader.value("degraded.log_lost", conduct), reader.value("degraded.store_unwritable", conduct));
        Some(Self { max_view_age: max_view_age?, log_lost: log_lost?, store_unwritable: store_unwritable? })
    }
}

/// Shorter than a few questions to the log would be lost at every hiccup; longer than a day is no bound.
fn max_view_age(node: &Node) -> Result<Duration, String> {
    scalar::duration(node, Duration::from_secs(1), Duration::from_hours(24))
}

fn conduct(node: &Node) -> Result<Conduct, String> {
    let text = scalar::text(node).unwrap_or_default();
    Conduct::ALL
        .iter()
        .copied()
        .find(|known| known.as_str() == text)
        .ok_or_else(|| format!("is {}; write deny, cached or policy", node.describe()))
}
