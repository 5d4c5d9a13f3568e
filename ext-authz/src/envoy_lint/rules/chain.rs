//! Rules about the filter chain: is Countersign asked, is its word the last one, can it be left out?

use super::{
    super::{
        model::{Chain, Filter, Manager, Model},
        spot::{Hole, Spot},
    },
    Rule, error, warning,
};

pub(in super::super) const RULES: &[Rule] = &[
    error(
        "no-countersign",
        no_countersign,
        "requests to this listener reach the service and nobody decides on them",
        "put the ext_authz filter or Countersign's wasm filter before the router, or bind the listener to loopback",
    ),
    warning(
        "asked-nowhere",
        asked_nowhere,
        "nothing in it asks Countersign, so there was next to nothing to check",
        "lint the configuration of the Envoy that stands before the service",
    ),
    error(
        "chain-unguarded",
        chain_unguarded,
        "a connection that matches this filter chain passes by the one in which Countersign decides",
        "guard this chain as well, or take it out of the listener",
    ),
    error(
        "upgrade-unguarded",
        upgrade_unguarded,
        "a request that asks for this upgrade runs through other filters, none of which is Countersign's",
        "leave `filters` of the upgrade out: then the chain's own filters run",
    ),
    error(
        "filter-disabled",
        filter_disabled,
        "the filter runs only on routes that switch it on; all others pass unasked",
        "take `disabled` away",
    ),
    error(
        "filter-skippable",
        filter_skippable,
        "a matcher decides whether Countersign is asked, and what it matches on may be the client's own words",
        "configure the filter itself, without ExtensionWithMatcher around it",
    ),
    warning(
        "filter-optional",
        filter_optional,
        "an Envoy that doesn't know the filter leaves it out and starts all the same",
        "take `is_optional` away",
    ),
    error(
        "changed-after-decision",
        changed_after_decision,
        "the service gets another request than the one that was allowed",
        "put the filter before Countersign's",
    ),
    warning(
        "unknown-after-decision",
        unknown_after_decision,
        "if this filter changes path, headers or route, the service gets another request than the one that was allowed",
        "put it before Countersign's filter, or make sure that it only looks",
    ),
    error(
        "no-router",
        no_router,
        "the last filter is not the router, so requests end, or are answered, somewhere else",
        "end http_filters with envoy.filters.http.router",
    ),
];

fn no_countersign(model: &Model<'_>) -> Vec<Hole> {
    let inward = model.listeners.iter().filter(|listener| listener.inward).flat_map(|listener| &listener.chains);
    let unguarded = inward.filter(|chain| !chain.is_guarded()).flat_map(|chain| &chain.managers);
    unguarded.map(|manager| manager.spot.hole("none of its HTTP filters asks Countersign")).collect()
}

fn asked_nowhere(model: &Model<'_>) -> Vec<Hole> {
    // Listeners that should ask, or that are elsewhere, are findings of their own.
    let said = model.elsewhere.is_some() || !no_countersign(model).is_empty();
    let asked = model.deciders().next().is_some();
    if asked || said { Vec::new() } else { vec![model.root.hole("has no filter that asks Countersign")] }
}

fn chain_unguarded(model: &Model<'_>) -> Vec<Hole> {
    let mixed = model.listeners.iter().filter(|listener| listener.chains.iter().any(Chain::is_guarded));
    let unguarded = mixed.flat_map(|listener| &listener.chains).filter(|chain| !chain.is_guarded());
    let proxies = unguarded.filter_map(Chain::tcp_proxy).filter(|proxy| !leads_nowhere(model, proxy));
    proxies.map(|proxy| proxy.spot.hole("sends connections on and Countersign isn't asked")).collect()
}

/// Meshes refuse connections by sending them to a cluster without hosts.
fn leads_nowhere(model: &Model<'_>, proxy: &Filter<'_>) -> bool {
    let name = proxy.settings.as_ref().and_then(|settings| settings.text("cluster"));
    let cluster = name.and_then(|name| model.cluster(name));
    let is_static = |it: &Spot<'_>| it.get("type").is_none() || it.is_one_of("type", &[("STATIC", 0)]);
    cluster.is_some_and(|it| is_static(it) && it.get("cluster_type").is_none() && it.get("load_assignment").is_none())
}

fn upgrade_unguarded(model: &Model<'_>) -> Vec<Hole> {
    let upgrades = model.guarded().flat_map(|manager| &manager.upgrades);
    let unguarded = upgrades.filter(|(_, filters)| Filter::decider(filters).is_none());
    unguarded.map(|(list, _)| list.hole("replaces the HTTP filters and asks Countersign nowhere")).collect()
}

fn filter_disabled(model: &Model<'_>) -> Vec<Hole> {
    super::on(model.deciders().map(|filter| &filter.spot), "disabled")
}

fn filter_optional(model: &Model<'_>) -> Vec<Hole> {
    super::on(model.deciders().map(|filter| &filter.spot), "is_optional")
}

fn filter_skippable(model: &Model<'_>) -> Vec<Hole> {
    let skippable = model.deciders().filter(|filter| filter.skippable);
    skippable.map(|filter| filter.spot.hole("is wrapped in an ExtensionWithMatcher, which can skip it")).collect()
}

fn changed_after_decision(model: &Model<'_>) -> Vec<Hole> {
    after_decision(model, Effect::Changes, "changes requests, and runs after Countersign has decided")
}

fn unknown_after_decision(model: &Model<'_>) -> Vec<Hole> {
    after_decision(model, Effect::Unknown, "runs after Countersign has decided, and may change requests")
}

fn no_router(model: &Model<'_>) -> Vec<Hole> {
    let last = model.guarded().filter_map(|manager| manager.filters.last());
    let others = last.filter(|filter| filter.word() != Some("router"));
    others.map(|filter| filter.spot.hole("is the last filter, and no router")).collect()
}

/// What a filter does to requests.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Effect {
    Changes,
    Looks,
    Unknown,
}

fn after_decision(model: &Model<'_>, effect: Effect, what: &str) -> Vec<Hole> {
    let after = model.guarded().flat_map(Manager::after_decision);
    after.filter(|filter| effect_of(filter) == effect).map(|filter| filter.spot.hole(what)).collect()
}

fn effect_of(filter: &Filter<'_>) -> Effect {
    // Code that is built into Envoy goes by the name of a module in some meshes.
    let built_in = || filter.plugin().is_some_and(|it| it.text("vm_config.runtime") == Some("envoy.wasm.runtime.null"));
    match filter.word() {
        Some("wasm") if built_in() => Effect::Looks,
        Some(word) if CHANGES.contains(&word) => Effect::Changes,
        Some(word) if LOOKS.contains(&word) => Effect::Looks,
        _ if LOOKS_ELSEWHERE.contains(&filter.kind) || LOOKS_ELSEWHERE.contains(&filter.name) => Effect::Looks,
        _ => Effect::Unknown,
    }
}

/// Filters of Envoy that exist to change path, headers or route, or run code that may.
const CHANGES: &[&str] = &[
    "aws_lambda",
    "dynamic_modules",
    "ext_proc",
    "golang",
    "grpc_json_reverse_transcoder",
    "grpc_json_transcoder",
    "header_mutation",
    "lua",
    "mcp_json_rest_bridge",
    "on_demand",
    "transform",
    "wasm",
];

/// Filters of Envoy that answer, delay, count or look, but send on what they got.
const LOOKS: &[&str] = &[
    "adaptive_concurrency",
    "admission_control",
    "alternate_protocols_cache",
    "aws_request_signing",
    "bandwidth_limit",
    "bandwidth_share",
    "buffer",
    "cdn_loop",
    "compressor",
    "connect_grpc_bridge",
    "cors",
    "credential_injector",
    "csrf",
    "custom_response",
    "decompressor",
    "fault",
    "file_system_buffer",
    "gcp_authn",
    "grpc_field_extraction",
    "grpc_http1_bridge",
    "grpc_stats",
    "grpc_web",
    "header_to_metadata",
    "health_check",
    "json_to_metadata",
    "kill_request",
    "local_ratelimit",
    "original_src",
    "proto_message_extraction",
    "rate_limit_quota",
    "ratelimit",
    "rbac",
    "router",
    "set_filter_state",
    "set_metadata",
    "sse_to_metadata",
    "stateful_session",
    "tap",
    "thrift_to_metadata",
    "upstream_codec",
];

/// The same for filters that come with a mesh, by type or name.
const LOOKS_ELSEWHERE: &[&str] = &[
    "io.istio.http.peer_metadata.Config",
    "istio.alpn",
    "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
    "istio.metadata_exchange",
    "istio.stats",
    "stats.PluginConfig",
];
