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
        "the caller's address (context.source.ip) is what the client writes in x-forwarded-for",
        "use_remote_address: true",
    ),
    warning(
        "forwarded-for-believed",
        forwarded_for_believed,
        "the caller's address (context.source.ip) is what the client writes in a header: right only behind a proxy \
         that writes it",
        "take `xff_num_trusted_hops` and `original_ip_detection_extensions` away",
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
    // Envoy takes one or the other.
    let spots = model.guarded().map(|manager| &manager.spot);
    off(spots.filter(|spot| spot.get(DETECTIONS).is_none()), "use_remote_address")
}

fn forwarded_for_believed(model: &Model<'_>) -> Vec<Hole> {
    let hops = |manager: &Manager<'_>| manager.spot.number("xff_num_trusted_hops").is_some_and(|hops| hops > 0.0);
    let by_hops = model.guarded().filter(|manager| hops(manager)).map(|it| it.spot.hole_at("xff_num_trusted_hops"));
    let detections = model.guarded().filter_map(|manager| manager.spot.get(DETECTIONS));
    by_hops.chain(detections.map(|it| it.hole("take the address from the request"))).collect()
}

const DETECTIONS: &str = "original_ip_detection_extensions";
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
