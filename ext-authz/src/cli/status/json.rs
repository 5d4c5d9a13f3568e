//! A status as one JSON object for scripts; moments are RFC 3339, and what there is none of is null.

use serde_json::{Value, json};

use crate::{
    cli::moment::to_text,
    wire::control::{BundleStatus, FilterStatus, OwnStatus, StatusResponse},
};

pub(super) fn view(status: &StatusResponse) -> Value {
    let problems: Vec<Value> =
        status.problems.iter().map(|it| json!({ "part": it.part, "what": it.what, "remedy": it.remedy })).collect();
    json!({
        "fine": problems.is_empty(),
        "ready": status.ready,
        "draining": status.draining,
        "problems": problems,
        "at": to_text(status.at_ms),
        "started": to_text(status.started_ms),
        "service": status.service,
        "version": status.version,
        "identity": status.identity.as_ref().map(identity),
        "bundles": status.bundles.iter().map(|it| bundle(it, status.at_ms)).collect::<Vec<_>>(),
        "policy": status.policy.as_ref().map(|it| json!({
            "digest": text(&it.digest),
            "policies": it.policies,
            "accepted_at": moment(it.accepted_at_ms),
            "refused": text(&it.refused),
            "refused_at": moment(it.refused_at_ms),
        })),
        "control_policy": status.control_policy.as_ref().map(|it| json!({
            "accepted_at": moment(it.accepted_at_ms),
            "refused": text(&it.refused),
            "refused_at": moment(it.refused_at_ms),
        })),
        "log": status.log.as_ref().map(|it| json!({
            "replayed": it.replayed, "head_seq": it.head_seq, "revocations": it.revocations, "taken": it.taken,
            "degraded": it.degraded, "conduct": it.conduct, "view_age_ms": it.view_age_ms,
            "contradiction": text(&it.contradiction), "contradicted_at": moment(it.contradicted_at_ms),
            "fleet": it.fleet.as_ref().map(|fleet| json!({
                "reachable": fleet.reachable, "caught_up": fleet.caught_up, "end_seq": fleet.end_seq,
                "refused": text(&fleet.refused), "remedy": text(&fleet.remedy), "trouble": text(&fleet.trouble),
            })),
        })),
        "filters": status.filters.iter().map(filter).collect::<Vec<_>>(),
        "audit": status.audit.as_ref().map(|it| json!({
            "written": it.written, "lost": it.lost, "lost_at": moment(it.lost_at_ms),
        })),
    })
}

fn identity(own: &OwnStatus) -> Value {
    json!({
        "source": text(&own.source),
        "id": text(&own.id),
        "not_before": moment(own.not_before_ms),
        "not_after": moment(own.not_after_ms),
    })
}

fn bundle(bundle: &BundleStatus, now: u64) -> Value {
    let seconds = |millis: u64| millis / 1000;
    json!({
        "trust_domain": bundle.trust_domain,
        "origin": bundle.origin,
        "missing": bundle.missing,
        "revoked": !bundle.missing && bundle.authorities == 0,
        "authorities": bundle.authorities,
        "authorities_end": bundle.authorities_end_ms.map(to_text),
        "sequence": bundle.sequence,
        "age_seconds": (!bundle.missing).then(|| seconds(now.saturating_sub(bundle.fetched_at_ms))),
        "fetched_at": moment(bundle.fetched_at_ms),
        "next_refresh": bundle.next_refresh_ms.map(to_text),
        "trouble": text(&bundle.trouble),
    })
}

fn filter(filter: &FilterStatus) -> Value {
    json!({
        "node": filter.node,
        "instance": filter.instance,
        "connected": filter.connected,
        "enforced_seq": filter.enforced_seq,
        "behind_ms": filter.behind_ms,
        "lease_until": moment(filter.lease_until_ms),
    })
}

fn moment(millis: u64) -> Option<String> {
    (millis > 0).then(|| to_text(millis))
}

fn text(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
