//! A status as a screen for people: the verdict first, then what is wrong and what to do, then every part. Pure but for colours.

use crate::{
    cli::{Output, moment, output::Tone},
    status::length,
    wire::control::{
        AuditStatus, BundleStatus, FilterStatus, FleetStatus, LogStatus, OwnStatus, PolicyStatus, Problem,
        StatusResponse,
    },
};

pub(super) fn show(status: &StatusResponse, out: &Output<'_>) -> String {
    let now = status.at_ms;
    let mut lines = vec![verdict(status, out)];
    lines.extend(status.problems.iter().flat_map(|it| problem(it, out)));
    lines.push(String::new());
    lines.extend(status.identity.as_ref().map(|it| row("identity", &identity(it, now))));
    lines.extend(rows("bundles", "none", status.bundles.iter().map(|it| bundle(it, now))));
    lines.extend(status.policy.as_ref().map(|it| row("policy", &policy(it, now))));
    lines.extend(status.log.as_ref().map(|it| row("log", &log(it))));
    let head = status.log.as_ref().map_or(0, |log| log.head_seq);
    lines.extend(rows("filters", "none connected", status.filters.iter().map(|it| filter(it, head, now))));
    lines.extend(status.audit.as_ref().map(|it| row("audit", &audit(it, now))));
    lines.join("\n")
}

/// The one line that is read at 3 a.m.
fn verdict(status: &StatusResponse, out: &Output<'_>) -> String {
    let StatusResponse { service, version, problems, .. } = status;
    let up = length(status.at_ms.saturating_sub(status.started_ms));
    match problems.as_slice() {
        [] => format!("{}: {service}, countersign {version}, up for {up}", out.paint(Tone::Good, "FINE")),
        [Problem { part, what, .. }, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            let what = plain(what.lines().next().unwrap_or_default());
            format!("{}: {part}: {what}{more}", out.paint(Tone::Bad, "NOT FINE"))
        }
    }
}

fn problem(problem: &Problem, out: &Output<'_>) -> [String; 2] {
    let Problem { part, what, remedy } = problem;
    let what: Vec<String> = what.lines().map(plain).collect();
    [format!("  {} {part}: {}", out.paint(Tone::Bad, "!"), what.join("\n      ")), format!("    do: {remedy}")]
}

/// What went wrong may quote what others sent: nothing of theirs moves the cursor.
fn plain(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { '?' } else { it }).collect()
}

fn row(name: &str, text: &str) -> String {
    format!("{name:<10}{text}")
}

/// One line each, the name before the first only.
fn rows(name: &str, none: &str, texts: impl Iterator<Item = String>) -> Vec<String> {
    let names = std::iter::once(name).chain(std::iter::repeat(""));
    let lines: Vec<String> = names.zip(texts).map(|(name, text)| row(name, &text)).collect();
    if lines.is_empty() { vec![row(name, none)] } else { lines }
}

fn identity(own: &OwnStatus, now: u64) -> String {
    let OwnStatus { source, id, not_after_ms, .. } = own;
    match (source.is_empty(), id.is_empty()) {
        (true, true) => "none configured".to_owned(),
        (_, true) => format!("none yet from {source}"),
        _ => format!("{id} from {source}, {}", ends(*not_after_ms, now)),
    }
}

fn ends(at: u64, now: u64) -> String {
    if at < now { format!("EXPIRED {} ago", length(now - at)) } else { format!("ends in {}", length(at - now)) }
}

fn bundle(bundle: &BundleStatus, now: u64) -> String {
    let BundleStatus { trust_domain, origin, .. } = bundle;
    let content = match (bundle.missing, bundle.authorities) {
        (true, _) => "MISSING, its workloads are denied".to_owned(),
        (false, 0) => "EMPTY, all of it is revoked".to_owned(),
        (false, 1) => "1 authority".to_owned(),
        (false, many) => format!("{many} authorities"),
    };
    let sequence = bundle.sequence.map(|it| format!(", sequence {it}"));
    let age = (!bundle.missing).then(|| format!(", {} old", length(now.saturating_sub(bundle.fetched_at_ms))));
    let next = bundle.next_refresh_ms.map(|at| {
        let (late, left) = (now.saturating_sub(at), at.saturating_sub(now));
        if late > 0 {
            format!(", asked again since {}", length(late))
        } else {
            format!(", asked again in {}", length(left))
        }
    });
    let trouble = (!bundle.trouble.is_empty()).then(|| ", IN TROUBLE".to_owned());
    let rest: String = [sequence, age, next, trouble].into_iter().flatten().collect();
    format!("{trust_domain} ({origin}): {content}{rest}")
}

fn policy(policy: &PolicyStatus, now: u64) -> String {
    let PolicyStatus { digest, policies, accepted_at_ms, refused, refused_at_ms } = policy;
    let short: String = digest.chars().take(12).collect();
    let in_force = if digest.is_empty() {
        "NONE in force".to_owned()
    } else {
        let noun = if *policies == 1 { "policy" } else { "policies" };
        format!("{policies} {noun}, digest {short}, in force for {}", length(now.saturating_sub(*accepted_at_ms)))
    };
    match refused.as_str() {
        "" => in_force,
        _ => format!("{in_force}; REFUSED others {} ago", length(now.saturating_sub(*refused_at_ms))),
    }
}

fn log(log: &LogStatus) -> String {
    let LogStatus { replayed, head_seq, revocations, taken, degraded, conduct, fleet, .. } = log;
    if !replayed {
        return "NOT REPLAYED".to_owned();
    }
    let taken = if *taken { "are taken" } else { "are NOT TAKEN" };
    let state = match degraded.as_str() {
        "" => String::new(),
        state => format!(", {} (requests: {conduct})", state.to_uppercase()),
    };
    let fleet = fleet.as_ref().map_or_else(String::new, of_fleet);
    format!("at {head_seq}, {revocations} revoked now, revocations {taken}{state}{fleet}")
}

fn of_fleet(fleet: &FleetStatus) -> String {
    let FleetStatus { reachable, end_seq, refused, .. } = fleet;
    match (refused.is_empty(), *reachable) {
        (false, _) => ", stream REFUSED".to_owned(),
        (true, false) => ", stream OUT OF REACH".to_owned(),
        (true, true) => format!(", stream ends at {end_seq}"),
    }
}

fn filter(filter: &FilterStatus, head: u64, now: u64) -> String {
    let FilterStatus { node, instance, connected, enforced_seq, lease_until_ms, .. } = filter;
    let short: String = instance.chars().take(8).collect();
    let name = if short.is_empty() { node.clone() } else { format!("{node} {short}") };
    let state = if *connected { "connected" } else { "NOT CONNECTED" };
    let lag = match head.saturating_sub(*enforced_seq) {
        0 => format!("at {enforced_seq}"),
        lag => format!("at {enforced_seq}, {lag} BEHIND for {}", length(filter.behind_ms)),
    };
    let lease = match lease_until_ms.saturating_sub(now) {
        0 => "no lease".to_owned(),
        left => format!("lease for {}", moment::length(std::time::Duration::from_millis(left))),
    };
    format!("{name}: {state}, {lag}, {lease}")
}

fn audit(audit: &AuditStatus, now: u64) -> String {
    let AuditStatus { written, lost, lost_at_ms } = audit;
    match lost {
        0 => format!("{written} written, none lost"),
        _ => format!("{written} written, {lost} LOST, the last {} ago", length(now.saturating_sub(*lost_at_ms))),
    }
}

#[cfg(test)]
mod tests;
