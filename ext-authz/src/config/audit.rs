//! `audit`: where decisions are accounted for. It can't be switched off.

use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
    tree::{Node, Value},
};
use crate::audit::Target;

/// The audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditConfig {
    /// Where it goes.
    pub target: Target,
    /// How many records may wait to be written; what finds it full is lost and counted.
    pub queue: usize,
}

pub(super) const KNOBS: &[Knob] = &[
    Knob::new(
        "audit.file",
        KnobDefault::Value("\"-\""),
        "File that audit records are appended to, or \"-\" for standard output.",
    ),
    Knob::new(
        "audit.queue",
        KnobDefault::Value("65536"),
        "How many records may wait to be written; more are lost, and counted.",
    ),
];

impl AuditConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        let (file, queue) = (reader.value("audit.file", file), reader.value("audit.queue", queue));
        let file = file?;
        let target = if file == "-" { Target::Stdout } else { Target::File(reader.located(file)) };
        Some(Self { target, queue: queue? })
    }
}

fn file(node: &Node) -> Result<String, String> {
    match &node.value {
        Value::List(_) => Err("is a list; write \"-\" in quotes for standard output".to_owned()),
        _ => scalar::text(node),
    }
}

fn queue(node: &Node) -> Result<usize, String> {
    scalar::number(node, 1, 1 << 24).and_then(|number| usize::try_from(number).map_err(|error| error.to_string()))
}
