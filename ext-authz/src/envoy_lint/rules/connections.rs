//! Rules about Countersign's wasm filter before `tcp_proxy`: is it told of connections, and can they come to it?

use super::{
    super::{
        model::Model,
        spot::{Hole, Spot},
    },
    Rule, error, warning,
};

pub(in super::super) const RULES: &[Rule] = &[
    error(
        "wasm-sees-no-connections",
        wasm_sees_no_connections,
        "a module that Envoy may not tell of connections is not asked: they pass",
        "proxy_on_new_connection and proxy_on_downstream_data in allowed_capabilities, as in envoy/tcp-filter.yaml",
    ),
    warning(
        "tcp-proxy-reads-late",
        tcp_proxy_reads_late,
        "tcp_proxy reads nothing before it is connected, which waits for the decision: no TLS handshake ends",
        "max_early_data_bytes: 65536",
    ),
];

/// What tells a module of connections.
const NEEDED: [&str; 2] = ["proxy_on_new_connection", "proxy_on_downstream_data"];

fn wasm_sees_no_connections(model: &Model<'_>) -> Vec<Hole> {
    let lists = model.network_plugins().flat_map(|plugin| lists(&plugin));
    lists.filter(|list| !tells_of_connections(list)).map(|list| list.hole(missing())).collect()
}

fn tcp_proxy_reads_late(model: &Model<'_>) -> Vec<Hole> {
    let held = model.chains().filter(|chain| chain.network_decider().is_some_and(|filter| filter.is_wasm()));
    let proxies = held.filter_map(|chain| chain.tcp_proxy()?.settings.clone());
    let late = proxies.filter(|settings| settings.get("max_early_data_bytes").is_none());
    late.map(|settings| settings.hole("max_early_data_bytes is not set")).collect()
}

/// What a module may do, where it is listed.
fn lists<'a>(plugin: &Spot<'a>) -> impl Iterator<Item = Spot<'a>> + use<'a> {
    let places = ["capability_restriction_config", "vm_config.capability_restriction_config"];
    let found: Vec<_> = places.iter().filter_map(|place| plugin.at(place)?.get("allowed_capabilities")).collect();
    // An empty list allows everything.
    found.into_iter().filter(|list| list.keys().next().is_some())
}

fn tells_of_connections(list: &Spot<'_>) -> bool {
    NEEDED.iter().all(|needed| list.keys().any(|key| key == *needed))
}

fn missing() -> String {
    format!("allowed_capabilities lacks {}", NEEDED.join(" or "))
}
