//! `identity.workload_api`: the agent that tells who we are and whom to trust, if there is to be one.

use authz_core::identity::SpiffeId;

use super::{
    environment::SPIFFE_ENDPOINT_SOCKET,
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
    tree::Node,
};
use crate::identity::workload_api::{AgentAddress, Choice};

/// An agent to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadApiConfig {
    /// Where it listens.
    pub agent: AgentAddress,
    /// Which of its SVIDs is ours.
    pub choice: Choice,
}

pub(super) const KNOBS: &[Knob] = &[
    Knob::new(
        "identity.workload_api.enabled",
        KnobDefault::Value("false"),
        "Take our own SVID and trust bundles from a SPIFFE Workload API, such as that of a SPIRE agent.",
    ),
    Knob::new(
        SOCKET,
        KnobDefault::None,
        "Where it listens, unix:///path or tcp://IP:port; without it what SPIFFE_ENDPOINT_SOCKET in the environment says.",
    ),
    Knob::new(HINT, KnobDefault::None, "Which SVID is ours where the agent gives several: the first with this hint."),
    Knob::new(SPIFFE_ID, KnobDefault::None, "The same by its SPIFFE ID; without either it is the first."),
];

const SOCKET: &str = "identity.workload_api.socket";
const HINT: &str = "identity.workload_api.hint";
const SPIFFE_ID: &str = "identity.workload_api.spiffe_id";

impl WorkloadApiConfig {
    /// `Some(None)` if no agent is to be asked; then the environment counts for nothing.
    #[expect(clippy::option_option, reason = "not wanted is not wrong")]
    pub(super) fn read(reader: &Reader<'_>) -> Option<Option<Self>> {
        let enabled = reader.value("identity.workload_api.enabled", scalar::boolean);
        let (socket, choice) = (reader.optional(SOCKET, agent_address), choice(reader));
        if !enabled? {
            return Some(None);
        }
        let agent = match socket? {
            Some(agent) => agent,
            None => from_environment(reader)?,
        };
        Some(Some(Self { agent, choice: choice? }))
    }
}

fn from_environment(reader: &Reader<'_>) -> Option<AgentAddress> {
    let Some(text) = &reader.environment().spiffe_endpoint_socket else {
        let what = format!(
            "is missing; set it to where the agent listens, here or as {SPIFFE_ENDPOINT_SOCKET} in the environment"
        );
        reader.missing_because(SOCKET, what);
        return None;
    };
    let refuse = |error| reader.missing_because(SOCKET, format!("is taken from {SPIFFE_ENDPOINT_SOCKET}: {error}"));
    AgentAddress::parse(text).map_err(refuse).ok()
}

fn choice(reader: &Reader<'_>) -> Option<Choice> {
    let (hint, id) = (reader.optional(HINT, hint), reader.optional(SPIFFE_ID, spiffe_id));
    match (hint?, id?) {
        (None, None) => Some(Choice::First),
        (Some(hint), None) => Some(Choice::Hint(hint)),
        (None, Some(id)) => Some(Choice::Id(id)),
        (Some(_), Some(_)) => {
            let line = reader.set(SPIFFE_ID).map(|node| node.line);
            reader.complain(line, SPIFFE_ID, format!("is set beside {HINT}; keep one of them"));
            None
        }
    }
}

fn agent_address(node: &Node) -> Result<AgentAddress, String> {
    AgentAddress::parse(&scalar::text(node)?).map_err(|error| format!("is not valid: {error}"))
}

fn hint(node: &Node) -> Result<String, String> {
    let hint = scalar::text(node)?;
    if hint.len() <= 1024 { Ok(hint) } else { Err("is longer than 1024 bytes, which no hint is".to_owned()) }
}

fn spiffe_id(node: &Node) -> Result<SpiffeId, String> {
    let id = SpiffeId::parse(&scalar::text(node)?).map_err(|error| format!("is not valid: {error}"))?;
    if id.is_trust_domain_id() {
        return Err(format!("is {id}, which names a trust domain; write the ID of a workload"));
    }
    Ok(id)
}
