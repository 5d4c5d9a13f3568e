//! Rules about the request itself: policy and service must read one and the same, and nobody else may speak in Countersign's headers.

use super::{
    super::{
        model::{Manager, Model},
        spot::{EnumValue, Hole},
    },
    Rule, error, off, warning,
};

pub(in super::super) const RULES: &[Rule] = &[
    error(
        "path-not-normalized",
        path_not_normalized,
        "`/open/../admin` is one path for a policy and another one for the service",
        "normalize_path: true",
    ),
    error(
        "slashes-not-merged",
        slashes_not_merged,
        "`//admin` is one path for a policy and another one for the service",
        "merge_slashes: true",
    ),
    error(
        "escaped-slashes-kept",
        escaped_slashes_kept,
        "`/open%2f..%2fadmin` is one path for a policy and another one for the service",
        "path_with_escaped_slashes_action: REJECT_REQUEST",
    ),
    warning(
        "escaped-slashes-redirected",
        escaped_slashes_redirected,
        "a client is told where the slashes lead instead of being refused; gRPC clients can't follow",
        "path_with_escaped_slashes_action: REJECT_REQUEST",
    ),
    error(
        "private-headers-kept",
        private_headers_kept,
        "a client can send x-countersign-caller itself, and where the decision adds none the service believes it",
        "early_header_mutation_extensions as in envoy/ext-authz.yaml: remove x[-_]countersign[-_].*",
    ),
    warning(
        "failure-header-kept",
        failure_header_kept,
        "a client can send x-envoy-auth-failure-mode-allowed itself, and look as if the sidecar had failed",
        "early_header_mutation_extensions: remove x-envoy-auth-failure-mode-allowed",
    ),
    warning(
        "remote-address-unused",
        remote_address_unused,
        "x-forwarded-for and x-envoy-* headers of a client are believed",
        "use_remote_address: true",
    ),
];

fn path_not_normalized(model: &Model<'_>) -> Vec<Hole> {
    off(model.guarded().map(|manager| &manager.spot), "normalize_path")
}

fn slashes_not_merged(model: &Model<'_>) -> Vec<Hole> {
    off(model.guarded().map(|manager| &manager.spot), "merge_slashes")
}

fn escaped_slashes_kept(model: &Model<'_>) -> Vec<Hole> {
    let kept = |manager: &&Manager<'_>| !manager.spot.is_one_of(ESCAPED_SLASHES, &[("REJECT_REQUEST", 2), REDIRECT]);
    model.guarded().filter(kept).map(|manager| manager.spot.hole_at(ESCAPED_SLASHES)).collect()
}

fn escaped_slashes_redirected(model: &Model<'_>) -> Vec<Hole> {
    let redirected = model.guarded().filter(|manager| manager.spot.is_one_of(ESCAPED_SLASHES, &[REDIRECT]));
    redirected.map(|manager| manager.spot.hole_at(ESCAPED_SLASHES)).collect()
}

fn private_headers_kept(model: &Model<'_>) -> Vec<Hole> {
    let kept = |manager: &Manager<'_>| {
        let header = PRIVATE_HEADERS.iter().find(|header| !manager.removes(header))?;
        Some(manager.spot.hole(format!("no early header mutation removes {header}")))
    };
    model.guarded().filter_map(kept).collect()
}

fn failure_header_kept(model: &Model<'_>) -> Vec<Hole> {
    let kept = model.guarded().filter(|manager| !manager.removes(FAILURE_HEADER));
    kept.map(|manager| manager.spot.hole(format!("no early header mutation removes {FAILURE_HEADER}"))).collect()
}

fn remote_address_unused(model: &Model<'_>) -> Vec<Hole> {
    off(model.guarded().map(|manager| &manager.spot), "use_remote_address")
}

const ESCAPED_SLASHES: &str = "path_with_escaped_slashes_action";
const REDIRECT: EnumValue = ("UNESCAPE_AND_REDIRECT", 3);
const FAILURE_HEADER: &str = "x-envoy-auth-failure-mode-allowed";

/// Those there are, one there might be, and how a service like CGI may spell them.
const PRIVATE_HEADERS: &[&str] = &[
    "x-countersign-caller",
    "x-countersign-decision-id",
    "x-countersign-any",
    "x_countersign_caller",
    "x_countersign-caller",
    "x-countersign_caller",
];
