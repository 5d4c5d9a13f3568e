//! Rules about the proxy around the chain: its admin API, the way to the sidecar, and what the document does not show.

use serde_json::Value as Json;

use super::{
    super::{
        model::{Filter, Manager, Model, is_loopback},
        spot::{Hole, Spot, camel_case},
    },
    Rule, error, warning,
};

pub(in super::super) const RULES: &[Rule] = &[
    error(
        "admin-open",
        admin_open,
        "whoever reaches the admin API owns this proxy, and needs no identity for it",
        "admin.address: { pipe: { path: …, mode: 384 } }, or loopback",
    ),
    error(
        "sidecar-in-plaintext",
        sidecar_in_plaintext,
        "whoever is on the way to the sidecar can answer in its place",
        "a Unix socket (pipe), loopback, or a transport_socket with TLS on the cluster",
    ),
    warning(
        "key-repeated",
        key_repeated,
        "Envoy takes the last one; whoever reads the first one reads something that isn't so",
        "write it once",
    ),
    warning(
        "not-in-this-document",
        not_in_this_document,
        "it comes from elsewhere, and what isn't seen isn't checked",
        "lint what `curl ADMIN/config_dump?include_eds` prints",
    ),
];

fn admin_open(model: &Model<'_>) -> Vec<Hole> {
    let address = model.admin.as_ref().and_then(|admin| admin.at("address.socket_address"));
    let open = address.filter(|it| !it.text("address").is_some_and(is_loopback));
    open.map(|it| it.hole_at("address")).into_iter().collect()
}

fn sidecar_in_plaintext(model: &Model<'_>) -> Vec<Hole> {
    let mut clusters: Vec<_> = model.deciders().filter_map(asks).collect();
    clusters.sort_unstable();
    clusters.dedup();
    let clusters = clusters.iter().filter_map(|name| model.cluster(name)).filter(|cluster| is_plaintext(cluster));
    let clusters = clusters.filter(|cluster| is_remote(cluster)).map(|it| it.hole("leads to another host without TLS"));
    let channels = model.ext_authz().filter_map(|settings| settings.at("grpc_service.google_grpc"));
    let channels = channels.filter(is_plaintext_channel).map(|it| it.hole_at("target_uri"));
    clusters.chain(channels).collect()
}

fn key_repeated(model: &Model<'_>) -> Vec<Hole> {
    let mut holes = Vec::new();
    let mut look = |spot: &Spot<'_>| {
        let mut keys: Vec<_> = spot.keys().map(camel_case).collect();
        keys.sort_unstable();
        let twice = keys.iter().zip(keys.iter().skip(1)).find(|(key, next)| key == next);
        holes.extend(twice.map(|(key, _)| spot.hole(format!("has {key} more than once"))));
    };
    look(&model.root);
    model.root.walk(&mut |spot, _| look(spot));
    holes
}

fn not_in_this_document(model: &Model<'_>) -> Vec<Hole> {
    let listeners = model.elsewhere.iter().map(|it| it.hole("brings the listeners, none of which is here"));
    let settings = model.deciders().filter(|filter| filter.settings.is_none());
    let settings = settings.map(|filter| filter.spot.hole("has its settings elsewhere"));
    let routes = model.guarded().filter(|manager| manager.routes.is_none()).map(missing_routes);
    listeners.chain(settings).chain(routes).collect()
}

fn missing_routes(manager: &Manager<'_>) -> Hole {
    let place = manager.spot.get("rds").or_else(|| manager.spot.get("scoped_routes"));
    place.as_ref().unwrap_or(&manager.spot).hole("has its routes elsewhere")
}

/// The cluster that a filter asks.
fn asks(filter: &Filter<'_>) -> Option<String> {
    let settings = filter.settings.as_ref()?;
    if filter.is_ext_authz() {
        return settings.text("grpc_service.envoy_grpc.cluster_name").map(ToOwned::to_owned);
    }
    let configuration = filter.plugin()?.text("configuration.value").unwrap_or("{}");
    let configuration: Json = serde_json::from_str(configuration).ok()?;
    Some(configuration.get("cluster").and_then(Json::as_str).unwrap_or("countersign").to_owned())
}

/// A channel of gRPC's own library, which knows no cluster.
fn is_plaintext_channel(channel: &Spot<'_>) -> bool {
    let target = channel.text("target_uri").unwrap_or_default();
    let host = target.rsplit_once(':').map_or(target, |(host, _port)| host.trim_matches(['[', ']']));
    let here = target.starts_with("unix:") || is_loopback(host);
    !here && channel.at("channel_credentials.ssl_credentials").is_none()
}

fn is_plaintext(cluster: &Spot<'_>) -> bool {
    let socket = cluster.typed("transport_socket.typed_config");
    let plain = socket.map_or(cluster.get("transport_socket").is_none(), |typed| typed.kind.ends_with(".RawBuffer"));
    plain && cluster.get("transport_socket_matches").is_none()
}

/// Whether any endpoint is on another host, as far as the document shows.
fn is_remote(cluster: &Spot<'_>) -> bool {
    let endpoints = cluster.items("load_assignment.endpoints").into_iter().flat_map(|it| it.items("lb_endpoints"));
    let addresses = endpoints.filter_map(|it| it.text("endpoint.address.socket_address.address"));
    addresses.into_iter().any(|address| !is_loopback(address)) || cluster.is_one_of("type", &[("EDS", 3)])
}
