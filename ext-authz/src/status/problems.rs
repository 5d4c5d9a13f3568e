//! What is wrong in a status, the worst first, each with what to do; pure: the moment is that of the status.

use std::time::Duration;

use crate::wire::control::{
    AuditStatus, BundleStatus, ControlPolicyStatus, FilterStatus, FleetStatus, LogStatus, OwnStatus, PolicyStatus,
    Problem, StatusResponse,
};

/// Everything that is wrong in `status` besides what it says itself; nothing, if the sidecar is fine.
pub fn problems(status: &StatusResponse) -> Vec<Problem> {
    let now = status.at_ms;
    let mut found = Vec::new();
    found.extend(status.draining.then(draining));
    found.extend(status.log.as_ref().and_then(|log| log.fleet.as_ref()).and_then(fleet));
    found.extend(status.log.as_ref().and_then(log));
    found.extend(status.log.as_ref().and_then(|log| contradicted(log, now)));
    found.extend(status.policy.as_ref().and_then(policy));
    found.extend(status.control_policy.as_ref().and_then(control_policy));
    found.extend(status.identity.as_ref().and_then(|own| identity(own, now)));
    found.extend(status.bundles.iter().filter_map(|it| bundle(it, now)));
    found.extend(status.filters.iter().filter_map(|it| filter(it, now)));
    found.extend(status.audit.as_ref().and_then(|audit| lost_audit(audit, now)));
    if !status.ready && found.is_empty() {
        let what = "requests are denied, a part is not in yet".to_owned();
        found.push(problem("sidecar", what, "ask again in a moment; if it stays so, see its log".to_owned()));
    }
    found
}

fn problem(part: &str, what: String, remedy: String) -> Problem {
    Problem { part: part.to_owned(), what, remedy }
}

fn draining() -> Problem {
    let what = "it was told to stop and takes no new work".to_owned();
    problem("sidecar", what, "wait for its end, or see who sent SIGTERM".to_owned())
}

fn log(log: &LogStatus) -> Option<Problem> {
    if !log.replayed {
        let remedy = "see its log for what keeps signals.log from opening".to_owned();
        return Some(problem(
            "log",
            "the log of revocations is not replayed, every request is denied".to_owned(),
            remedy,
        ));
    }
    if log.degraded == "log_lost" {
        let age = log
            .view_age_ms
            .map_or("was never whole since the start".to_owned(), |ms| format!("is {} s old", ms.div_ceil(1000)));
        let what = format!(
            "the log is lost, what others revoked may not be known here: the view of it {age}; requests: {}",
            log.conduct
        );
        let remedy = "see whether the servers of signals.nats answer, and what the log says about them".to_owned();
        return Some(problem("log", what, remedy));
    }
    let what = "the log can't be written: nobody can be revoked; what was revoked stays so".to_owned();
    let remedy = "free the disk of signals.log or mend its permissions, it is tried again every few seconds".to_owned();
    (!log.taken).then(|| problem("log", what, remedy))
}

fn fleet(fleet: &FleetStatus) -> Option<Problem> {
    let FleetStatus { refused, remedy, trouble, .. } = fleet;
    if !refused.is_empty() {
        let what = format!("the stream of signals is refused, no revocation arrives or leaves: {refused}");
        return Some(problem("fleet", what, remedy.clone()));
    }
    let what = format!("the stream of signals is out of reach, no revocation arrives or leaves: {trouble}");
    let remedy = "see whether the servers of signals.nats run and let this sidecar in; it is tried again all the time";
    (!trouble.is_empty()).then(|| problem("fleet", what, remedy.to_owned()))
}

fn contradicted(log: &LogStatus, now: u64) -> Option<Problem> {
    let ago = length(now.saturating_sub(log.contradicted_at_ms));
    let what = format!("the log was set back or exchanged, {ago} ago: {}", log.contradiction);
    let remedy =
        "put the latest copy of signals.log back and restart, or send again what was revoked since the one in place";
    (!log.contradiction.is_empty()).then(|| problem("log", what, remedy.to_owned()))
}

fn policy(policy: &PolicyStatus) -> Option<Problem> {
    let remedy = || "run `countersign policy validate --config FILE`, it shows every mistake with its place".to_owned();
    match (policy.digest.is_empty(), policy.refused.is_empty()) {
        (true, true) => {
            Some(problem("policy", "no policy set is in force, every request is denied".to_owned(), remedy()))
        }
        (true, false) => {
            let what = format!("no policy set is in force, every request is denied: {}", policy.refused);
            Some(problem("policy", what, remedy()))
        }
        (false, false) => {
            let what = format!("the new files were refused, the old policies stay in force: {}", policy.refused);
            Some(problem("policy", what, remedy()))
        }
        (false, true) => None,
    }
}

fn control_policy(policy: &ControlPolicyStatus) -> Option<Problem> {
    let what = format!("the new control policies were refused, the old ones stay in force: {}", policy.refused);
    let remedy = "run `countersign policy validate --control --config FILE`, it shows every mistake with its place";
    (!policy.refused.is_empty()).then(|| problem("control", what, remedy.to_owned()))
}

fn identity(own: &OwnStatus, now: u64) -> Option<Problem> {
    let OwnStatus { source, id, not_before_ms, not_after_ms } = own;
    let remedy = || format!("see whether its source ({source}) still issues, and what the log says about it");
    if source.is_empty() {
        return None;
    }
    if id.is_empty() {
        return Some(problem("identity", format!("there is no SVID from {source} yet"), remedy()));
    }
    if now > *not_after_ms {
        return Some(problem("identity", format!("{id} has expired, nobody accepts it"), remedy()));
    }
    if now < *not_before_ms {
        let remedy = "set the clock of this machine, or wait".to_owned();
        return Some(problem("identity", format!("{id} is not valid yet"), remedy));
    }
    let (life, left) = (not_after_ms.saturating_sub(*not_before_ms), not_after_ms.saturating_sub(now));
    let what = format!("{id} was not rotated and ends soon");
    (left < life / LATE_ROTATION).then(|| problem("identity", what, remedy()))
}

/// SPIRE rotates at half of the life; with less than this part left somebody has stopped doing so.
const LATE_ROTATION: u64 = 6;

fn bundle(bundle: &BundleStatus, now: u64) -> Option<Problem> {
    let BundleStatus { trust_domain, origin, trouble, .. } = bundle;
    let found = |what: String, remedy: String| Some(problem("bundles", what, remedy));
    if bundle.missing {
        let because = if trouble.is_empty() { String::new() } else { format!(": {trouble}") };
        let what = format!("no bundle of {trust_domain} has come from {origin}, its workloads are denied{because}");
        return found(what, source_remedy(origin));
    }
    if bundle.authorities == 0 {
        let what = format!("{trust_domain} has no authorities: every SVID of it is revoked by its publisher");
        return found(what, "if it is not meant, its publisher must serve authorities again; if it is, take it out of the configuration".to_owned());
    }
    if bundle.authorities_end_ms.is_some_and(|end| end < now) {
        let what = format!("every authority of {trust_domain} has expired, its workloads are denied");
        return found(what, "its publisher must add new authorities to the bundle".to_owned());
    }
    if !trouble.is_empty() {
        let what = format!("the bundle of {trust_domain} could not be renewed, the last one stays in force: {trouble}");
        return found(what, source_remedy(origin));
    }
    if bundle.next_refresh_ms.is_some_and(|next| next.saturating_add(OVERDUE_MS) < now) {
        let what = format!("the bundle of {trust_domain} should have been asked for and was not");
        return found(what, "restart this sidecar, and report it as a fault of Countersign".to_owned());
    }
    None
}

fn source_remedy(origin: &str) -> String {
    match origin {
        "federation" => "mend the endpoint, or what identity.federation says about it",
        "workload_api" => "see whether the agent behind the Workload API runs and knows this workload",
        _ => "mend the file that identity.trust_bundles names for it",
    }
    .to_owned()
}

/// A fetch may take twenty seconds; after this nobody is fetching.
const OVERDUE_MS: u64 = 60_000;

fn filter(filter: &FilterStatus, now: u64) -> Option<Problem> {
    let FilterStatus { node, enforced_seq, behind_ms, lease_until_ms, .. } = filter;
    let waited = length(*behind_ms);
    let may_answer = *lease_until_ms > now;
    let until = if may_answer { length(lease_until_ms.saturating_sub(now)) } else { String::new() };
    if !filter.connected && *behind_ms > 0 && may_answer {
        let what = format!(
            "{node} is not connected and may answer from memory for {until} more, without what came after {enforced_seq}"
        );
        return Some(problem("filters", what, "wait for its lease to end; then it denies until it is back".to_owned()));
    }
    let what = format!("{node} has not put in force for {waited} what came after {enforced_seq}");
    let remedy = "see whether its Envoy is overloaded; restart that Envoy to be sure".to_owned();
    (filter.connected && *behind_ms > SLOW_FILTER_MS).then(|| problem("filters", what, remedy))
}

/// It takes milliseconds; a busy worker may need more, but not this long.
const SLOW_FILTER_MS: u64 = 2000;

fn lost_audit(audit: &AuditStatus, now: u64) -> Option<Problem> {
    let since = now.saturating_sub(audit.lost_at_ms);
    let what = format!(
        "{} audit records are lost, the last {} ago; decisions are enforced all the same",
        audit.lost,
        length(since)
    );
    let remedy = "free the disk of audit.file, or raise audit.queue".to_owned();
    (audit.lost > 0 && since < RECENT_LOSS_MS).then(|| problem("audit", what, remedy))
}

/// What was lost longer ago is still counted, but nothing to be done about now.
const RECENT_LOSS_MS: u64 = 10 * 60_000;

/// A length of time for people, in the two largest units that fit.
pub fn length(millis: u64) -> String {
    let seconds = Duration::from_millis(millis).as_secs();
    let two = |large: u64, name: &str, small: u64, other: &str| match small {
        0 => format!("{large} {name}"),
        _ => format!("{large} {name} {small} {other}"),
    };
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

#[cfg(test)]
pub(crate) use tests::fine;

#[cfg(test)]
mod tests;
