//! What became of a signal in the filters, as the person who sent it wants to know it.

use std::time::Duration;

use serde_json::{Value, json};
use tonic::{Status, transport::Channel};

use super::{Exit, Output, client::refusal, moment, output::Tone};
use crate::{
    clock,
    wire::control::{AwaitRequest, Enforcement, Filter, SidecarEnforcement, control_client::ControlClient},
};

/// The last word on enforcement.
#[derive(Debug)]
pub(super) enum Waited {
    /// How far it got in the time given.
    Heard(Enforcement),
    /// The sidecar went away meanwhile; the signal stands.
    Lost(String),
}

/// Waits until the signal at `seq` is in force everywhere, for no longer than `timeout`.
pub(super) async fn wait(client: &mut ControlClient<Channel>, seq: u64, timeout: Duration) -> Waited {
    let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    match last_word(client, AwaitRequest { seq, timeout_ms }).await {
        Ok(Some(enforcement)) => Waited::Heard(enforcement),
        Ok(None) => Waited::Lost("the sidecar said nothing".to_owned()),
        Err(status) => Waited::Lost(refusal(&status).to_string()),
    }
}

async fn last_word(client: &mut ControlClient<Channel>, request: AwaitRequest) -> Result<Option<Enforcement>, Status> {
    let mut stream = client.r#await(request).await?.into_inner();
    let mut last = None;
    while let Some(enforcement) = stream.message().await? {
        last = Some(enforcement);
    }
    Ok(last)
}

impl Waited {
    /// In force everywhere, or not yet known to be.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Heard(enforcement) if enforcement.complete => Exit::Done,
            Self::Heard(_) | Self::Lost(_) => Exit::NotYet,
        }
    }

    /// For JSON.
    pub(super) fn view(&self) -> Value {
        match self {
            Self::Lost(why) => json!({ "complete": false, "error": why }),
            Self::Heard(Enforcement { seq, enforcing, pending, unreachable, complete, sidecars }) => {
                let times = took(enforcing.iter().chain(sidecars.iter().flat_map(|it| &it.enforcing)));
                json!({
                    "complete": complete,
                    "seq": seq,
                    "median_us": median(&times).map(|(us, _)| us),
                    "slowest_us": times.last().map(|(us, _)| us),
                    "enforcing": filters(enforcing),
                    "pending": filters(pending),
                    "unreachable": filters(unreachable),
                    "sidecars": sidecars.iter().map(sidecar).collect::<Vec<_>>(),
                })
            }
        }
    }

    /// For people.
    pub(super) fn to_text(&self, out: &Output<'_>) -> String {
        match self {
            Self::Lost(why) => format!("  {}: {why}", out.paint(Tone::Warn, "not known how far it is in force")),
            Self::Heard(enforcement) => text(enforcement, out),
        }
    }
}

fn text(enforcement: &Enforcement, out: &Output<'_>) -> String {
    let Enforcement { enforcing, pending, unreachable, complete, sidecars, .. } = enforcement;
    let counted = summary(enforcement);
    let mut lines = vec![match (complete, enforcing.len() + pending.len() + sidecars.len()) {
        (true, 0) => format!("  {} in this sidecar; no filter is connected", out.paint(Tone::Good, "in force")),
        (true, _) => format!("  {} everywhere: {counted}", out.paint(Tone::Good, "in force")),
        (false, _) => format!("  {} everywhere: {counted}", out.paint(Tone::Bad, "not yet in force")),
    }];
    let pending = pending.iter().map(|it| format!("  {}: connected, has not acknowledged it{}", of(it), until(it)));
    let unreachable = unreachable.iter().map(|it| format!("  {}: unreachable{}", of(it), until(it)));
    lines.extend(pending.chain(unreachable));
    lines.extend(sidecars.iter().filter(|one| !one.complete).flat_map(missing));
    lines.join("\n")
}

/// What is missing in another sidecar.
fn missing(sidecar: &SidecarEnforcement) -> Vec<String> {
    let SidecarEnforcement { instance, service, reachable, pending, unreachable, bound_until_ms, .. } = sidecar;
    let name = format!("sidecar {}", name(service, instance));
    if !reachable {
        let until = match bound_until_ms {
            0 => "no bound ends what it knows from before".to_owned(),
            until => format!("may answer by what it knew before until {}", moment_and_left(*until)),
        };
        return vec![format!("  {name}: unreachable, {until}")];
    }
    let filters = pending.iter().map(|it| format!("  {name}, {}: has not acknowledged it{}", of(it), until(it)));
    let gone = unreachable.iter().map(|it| format!("  {name}, {}: unreachable{}", of(it), until(it)));
    let mut lines: Vec<String> = filters.chain(gone).collect();
    if lines.is_empty() {
        lines.push(format!("  {name}: has it not in force yet"));
    }
    lines
}

fn summary(enforcement: &Enforcement) -> String {
    let sidecars = &enforcement.sidecars;
    let enforcing: Vec<&Filter> =
        enforcement.enforcing.iter().chain(sidecars.iter().flat_map(|it| &it.enforcing)).collect();
    let filters = match enforcing.len() {
        0 => "no filter".to_owned(),
        1 => "1 filter".to_owned(),
        many => format!("{many} filters"),
    };
    let times = took(enforcing.into_iter());
    let length = |us: u64| moment::length(Duration::from_micros(us));
    let filters = match (median(&times), times.last()) {
        (Some((middle, _)), Some((slowest, filter))) => {
            format!("{filters}, median {}, slowest {} ({})", length(*middle), length(*slowest), of(filter))
        }
        _ => filters,
    };
    if sidecars.is_empty() {
        return filters;
    }
    let done = sidecars.iter().filter(|it| it.reachable && it.enforced_seq >= enforcement.seq);
    let mut times: Vec<u64> = done.map(|it| it.took_us).collect();
    times.sort_unstable();
    let count = format!("{} of {} sidecars", times.len() + 1, sidecars.len() + 1);
    let slowest = times.last().filter(|us| **us > 0).map(|us| format!(", slowest {}", length(*us))).unwrap_or_default();
    format!("{count}{slowest}; {filters}")
}

/// The known times, shortest first.
fn took<'f>(enforcing: impl Iterator<Item = &'f Filter>) -> Vec<(u64, &'f Filter)> {
    let mut times: Vec<_> = enforcing.filter(|it| it.took_us > 0).map(|it| (it.took_us, it)).collect();
    times.sort_by_key(|(us, _)| *us);
    times
}

fn median<'t, 'f>(times: &'t [(u64, &'f Filter)]) -> Option<&'t (u64, &'f Filter)> {
    times.get(times.len().saturating_sub(1) / 2)
}

/// A filter as people are told of it.
pub(super) fn name(node: &str, instance: &str) -> String {
    let short: String = instance.chars().take(8).collect();
    match (node, short.as_str()) {
        (node, "") => node.to_owned(),
        ("", instance) => instance.to_owned(),
        (node, instance) => format!("{node} {instance}"),
    }
}

fn of(filter: &Filter) -> String {
    name(&filter.node, &filter.instance)
}

fn until(filter: &Filter) -> String {
    if filter.lease_until_ms == 0 {
        return ", may not answer from memory".to_owned();
    }
    format!(", may answer from memory until {}", moment_and_left(filter.lease_until_ms))
}

fn moment_and_left(millis: u64) -> String {
    let left = millis.saturating_sub(clock::now().as_millis());
    format!("{} (in {})", moment::to_text(millis), moment::length(Duration::from_millis(left)))
}

fn sidecar(one: &SidecarEnforcement) -> Value {
    json!({
        "instance": one.instance,
        "service": one.service,
        "complete": one.complete,
        "reachable": one.reachable,
        "enforced_seq": one.enforced_seq,
        "took_us": (one.took_us > 0).then_some(one.took_us),
        "enforcing": filters(&one.enforcing),
        "pending": filters(&one.pending),
        "unreachable": filters(&one.unreachable),
        "bound_until": (one.bound_until_ms > 0).then(|| moment::to_text(one.bound_until_ms)),
    })
}

fn filters(list: &[Filter]) -> Vec<Value> {
    let view = |Filter { instance, node, enforced_seq, took_us, lease_until_ms }: &Filter| {
        json!({
            "node": node,
            "instance": instance,
            "enforced_seq": enforced_seq,
            "took_us": (*took_us > 0).then_some(took_us),
            "lease_until": (*lease_until_ms > 0).then(|| moment::to_text(*lease_until_ms)),
        })
    };
    list.iter().map(view).collect()
}
