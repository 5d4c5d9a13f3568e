//! Rules about `ext_authz` when Countersign does not answer, or is not asked.

use super::{
    super::{
        model::Model,
        spot::{EnumValue, Hole, Spot},
    },
    Rule, error, on, warning,
};

pub(in super::super) const RULES: &[Rule] = &[
    error("fails-open", fails_open, "whoever stops or slows the sidecar is let in", "failure_mode_allow: false"),
    error(
        "shadow-mode",
        shadow_mode,
        "Countersign is asked, and its answer changes nothing",
        "take `shadow_mode` away",
    ),
    error(
        "not-always-asked",
        not_always_asked,
        "requests that the condition leaves out pass unasked",
        "take `filter_enabled` and `filter_enabled_metadata` away, or set `deny_at_disable: { default_value: true }`",
    ),
    warning(
        "runtime-switch",
        runtime_switch,
        "whoever can write Envoy's runtime (its admin API can) switches Countersign off",
        "take `filter_enabled` away, or set `deny_at_disable: { default_value: true }`",
    ),
    warning(
        "timeout-by-default",
        timeout_by_default,
        "Envoy waits for 200 ms, which a machine under load exceeds: good requests are then refused",
        "grpc_service.timeout: 0.5s",
    ),
    warning(
        "timeout-too-long",
        timeout_too_long,
        "while the sidecar hangs, requests pile up in Envoy instead of being refused",
        "grpc_service.timeout: 0.5s",
    ),
    warning(
        "refusal-retried",
        refusal_retried,
        "gRPC clients and proxies retry on this status, at the worst moment",
        "status_on_error: { code: Forbidden }",
    ),
];

fn fails_open(model: &Model<'_>) -> Vec<Hole> {
    on(model.ext_authz(), "failure_mode_allow")
}

fn shadow_mode(model: &Model<'_>) -> Vec<Hole> {
    on(model.ext_authz(), "shadow_mode")
}

fn not_always_asked(model: &Model<'_>) -> Vec<Hole> {
    let open = model.ext_authz().filter(|settings| !settings.is_on("deny_at_disable.default_value"));
    open.flat_map(|settings| {
        let by_share = settings
            .get("filter_enabled")
            .filter(|enabled| share(enabled) < 1.0)
            .map(|it| it.hole("is less than 100 %"));
        let by_metadata =
            settings.get("filter_enabled_metadata").map(|it| it.hole("asks only if metadata of the request matches"));
        by_share.into_iter().chain(by_metadata)
    })
    .collect()
}

fn runtime_switch(model: &Model<'_>) -> Vec<Hole> {
    let open = model.ext_authz().filter(|settings| !settings.is_on("deny_at_disable.default_value"));
    let enabled = open.filter_map(|settings| settings.get("filter_enabled")).filter(|enabled| share(enabled) >= 1.0);
    enabled.filter_map(|enabled| Some(enabled.get("runtime_key")?.hole("can be lowered at runtime"))).collect()
}

fn timeout_by_default(model: &Model<'_>) -> Vec<Hole> {
    let services = model.ext_authz().filter_map(|settings| settings.get("grpc_service"));
    services.filter(|service| service.get("timeout").is_none()).map(|service| service.hole_at("timeout")).collect()
}

fn timeout_too_long(model: &Model<'_>) -> Vec<Hole> {
    let services = model.ext_authz().filter_map(|settings| settings.get("grpc_service"));
    // 0 waits for ever.
    let too_long = |service: &Spot<'_>| service.seconds("timeout").is_some_and(|it| it == 0.0 || it > LONGEST_SECONDS);
    services.filter(too_long).map(|service| service.hole_at("timeout")).collect()
}

fn refusal_retried(model: &Model<'_>) -> Vec<Hole> {
    let statuses = model.http_ext_authz().filter_map(|settings| settings.get("status_on_error"));
    let retried = statuses
        .filter(|status| status.is_one_of("code", RETRIED) || status.number("code").is_some_and(|code| code >= 500.0));
    retried.map(|status| status.hole_at("code")).collect()
}

/// The share of requests for which a filter is on, from 0 to 1.
fn share(enabled: &Spot<'_>) -> f64 {
    let Some(fraction) = enabled.get("default_value") else { return 1.0 };
    let of = |values: &[EnumValue]| fraction.is_one_of("denominator", values);
    let denominator = match () {
        () if of(&[("TEN_THOUSAND", 1)]) => 10_000.0,
        () if of(&[("MILLION", 2)]) => 1_000_000.0,
        () => 100.0,
    };
    fraction.number("numerator").unwrap_or(0.0) / denominator
}

const LONGEST_SECONDS: f64 = 10.0;

/// Besides every number from 500 on.
const RETRIED: &[EnumValue] = &[
    ("TooManyRequests", 429),
    ("InternalServerError", 500),
    ("NotImplemented", 501),
    ("BadGateway", 502),
    ("ServiceUnavailable", 503),
    ("GatewayTimeout", 504),
    ("HTTPVersionNotSupported", 505),
    ("VariantAlsoNegotiates", 506),
    ("InsufficientStorage", 507),
    ("LoopDetected", 508),
    ("NotExtended", 510),
    ("NetworkAuthenticationRequired", 511),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree;

    #[test]
    fn a_share_is_of_a_hundred_unless_it_says_otherwise() {
        for (yaml, expected) in [
            ("{ runtime_key: x }", 1.0),
            ("{ default_value: { numerator: 50 } }", 0.5),
            ("{ default_value: {} }", 0.0),
            ("{ default_value: { numerator: 100, denominator: HUNDRED } }", 1.0),
            ("{ defaultValue: { numerator: 100, denominator: TEN_THOUSAND } }", 0.01),
            ("{ default_value: { numerator: 1000000, denominator: 2 } }", 1.0),
        ] {
            let node = tree::parse(yaml).unwrap();
            assert!((share(&Spot::root(&node)) - expected).abs() < 1e-9, "{yaml}");
        }
    }
}
