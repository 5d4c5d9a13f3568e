//! What became of a signal in the filters, as the person who sent it wants to know it.

use std::time::Duration;

use serde_json::{Value, json};
use tonic::{Status, transport::Channel};

use super::{Exit, Output, client::refusal, moment, output::Tone};
use crate::{
    clock,
    wire::control::{AwaitRequest, Enforcement, Filter, control_client::ControlClient},
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
            Self::Heard(Enforcement { seq, enforcing, pending, unreachable, complete }) => {
                let times = took(enforcing);
                json!({
                    "complete": complete,
                    "seq": seq,
                    "median_us": median(&times).map(|(us, _)| us),
                    "slowest_us": times.last().map(|(us, _)| us),
                    "enforcing": filters(enforcing),
                    "pending": filters(pending),
                    "unreachable": filters(unreachable),
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
    let Enforcement { enforcing, pending, unreachable, complete, .. } = enforcement;
    let mut lines = vec![match (complete, enforcing.len() + pending.len()) {
        (true, 0) => format!("  {} in this sidecar; no filter is connected", out.paint(Tone::Good, "in force")),
        (true, _) => format!("  {} everywhere: {}", out.paint(Tone::Good, "in force"), summary(enforcing)),
        (false, _) => format!("  {} everywhere: {}", out.paint(Tone::Bad, "not yet in force"), summary(enforcing)),
    }];
    let pending = pending.iter().map(|it| format!("  {}: connected, has not acknowledged it{}", name(it), until(it)));
    let unreachable = unreachable.iter().map(|it| format!("  {}: unreachable{}", name(it), until(it)));
    lines.extend(pending.chain(unreachable));
    lines.join("\n")
}

fn summary(enforcing: &[Filter]) -> String {
    let count = match enforcing.len() {
        0 => return "no filter".to_owned(),
        1 => "1 filter".to_owned(),
        many => format!("{many} filters"),
    };
    let times = took(enforcing);
    match (median(&times), times.last()) {
        (Some((middle, _)), Some((slowest, filter))) => {
            let length = |us: u64| moment::length(Duration::from_micros(us));
            format!("{count}, median {}, slowest {} ({})", length(*middle), length(*slowest), name(filter))
        }
        _ => count,
    }
}

/// The known times, shortest first.
fn took(enforcing: &[Filter]) -> Vec<(u64, &Filter)> {
    let mut times: Vec<_> = enforcing.iter().filter(|it| it.took_us > 0).map(|it| (it.took_us, it)).collect();
    times.sort_by_key(|(us, _)| *us);
    times
}

fn median<'t, 'f>(times: &'t [(u64, &'f Filter)]) -> Option<&'t (u64, &'f Filter)> {
    times.get(times.len().saturating_sub(1) / 2)
}

fn name(filter: &Filter) -> String {
    let short: String = filter.instance.chars().take(8).collect();
    match (filter.node.as_str(), short.as_str()) {
        (node, "") => node.to_owned(),
        ("", instance) => instance.to_owned(),
        (node, instance) => format!("{node} {instance}"),
    }
}

fn until(filter: &Filter) -> String {
    if filter.lease_until_ms == 0 {
        return ", may not answer from memory".to_owned();
    }
    let left = filter.lease_until_ms.saturating_sub(clock::now().as_millis());
    let (until, left) = (moment::to_text(filter.lease_until_ms), moment::length(Duration::from_millis(left)));
    format!(", may answer from memory until {until} (in {left})")
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
