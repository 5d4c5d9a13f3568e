//! `--dry-run`: what a revocation would hit, as the sidecar and its filters count it; nothing is sent.

use serde_json::json;
use tonic::transport::Channel;

use super::{CliError, Exit, Output, client::refusal, output::Tone, wait};
use crate::wire::control::{
    DryRunRequest, DryRunResponse, FilterHits, Kind, SubmitRequest, control_client::ControlClient,
};

/// Asks about the scopes of all `requests` together.
pub(super) async fn run(
    client: &mut ControlClient<Channel>,
    requests: Vec<SubmitRequest>,
    out: &mut Output<'_>,
) -> Result<Exit, CliError> {
    let revocations = requests.iter().filter(|request| request.kind() == Kind::Revoke);
    // The furthest reach of any.
    let issued_before_ms = revocations.map(|request| request.issued_before_ms.unwrap_or(u64::MAX)).max();
    let scopes: Vec<String> = requests.into_iter().map(|request| request.scope).collect();
    let issued_before_ms = issued_before_ms.filter(|moment| *moment != u64::MAX);
    let request = DryRunRequest { scopes, issued_before_ms, timeout_ms: 0 };
    let answer = client.dry_run(request).await.map_err(|status| refusal(&status))?.into_inner();
    out.say(&view(&answer), |out| text(&answer, out))?;
    Ok(if answer.silent.is_empty() { Exit::Done } else { Exit::NotYet })
}

fn totals(answer: &DryRunResponse) -> (u64, u64) {
    let add = |(decisions, streams): (u64, u64), hits: &FilterHits| {
        (decisions.saturating_add(hits.cached_decisions), streams.saturating_add(hits.open_streams))
    };
    answer.filters.iter().fold((0, 0), add)
}

fn view(answer: &DryRunResponse) -> serde_json::Value {
    let (cached_decisions, open_streams) = totals(answer);
    let hits = |it: &FilterHits| {
        json!({
            "node": it.node, "instance": it.instance, "cached_decisions": it.cached_decisions,
            "open_streams": it.open_streams,
        })
    };
    json!({
        "dry_run": true,
        "cached_decisions": cached_decisions,
        "open_streams": open_streams,
        "sidecar_decisions": answer.sidecar_decisions,
        "filters": answer.filters.iter().map(hits).collect::<Vec<_>>(),
        "silent": answer.silent.iter().map(|it| json!({ "node": it.node, "instance": it.instance })).collect::<Vec<_>>(),
    })
}

fn text(answer: &DryRunResponse, out: &Output<'_>) -> String {
    let (decisions, streams) = totals(answer);
    let mut lines = vec![format!(
        "nothing was sent; a revocation would hit {decisions} cached decisions and {streams} open streams in filters, and {} decisions \
         in the sidecar's cache",
        answer.sidecar_decisions
    )];
    lines.extend(answer.filters.iter().map(|it| {
        let name = wait::name(&it.node, &it.instance);
        format!("  {name}: {} cached decisions, {} open streams", it.cached_decisions, it.open_streams)
    }));
    let silent = |name: String| format!("  {name}: {}", out.paint(Tone::Warn, "did not answer, not counted"));
    lines.extend(answer.silent.iter().map(|it| silent(wait::name(&it.node, &it.instance))));
    lines.join("\n")
}
