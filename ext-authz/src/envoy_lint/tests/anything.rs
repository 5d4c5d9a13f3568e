//! Whatever the bytes, linting ends and panics never; what it finds in them does not matter.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// Names and words that lead the rules far into a document.
const WORDS: &[&str] = &[
    "@type",
    "address",
    "admin",
    "allowed_capabilities",
    "bootstrap",
    "clusters",
    "common_tls_context",
    "config",
    "config_discovery",
    "configs",
    "configuration",
    "countersign",
    "default_filter_chain",
    "default_value",
    "disabled",
    "dynamic_listeners",
    "active_state",
    "early_header_mutation_extensions",
    "ecds_filters",
    "ecds_filter",
    "envoy.filters.http.ext_authz",
    "extension_config",
    "filter_chains",
    "filter_enabled",
    "filters",
    "forward_client_cert_details",
    "forward_client_cert_matcher",
    "grpc_service",
    "http_filters",
    "key_matcher",
    "listener",
    "listeners",
    "mutations",
    "name",
    "numerator",
    "regex",
    "remove",
    "remove_on_match",
    "request_headers_to_add",
    "resources",
    "route_config",
    "routes",
    "safe_regex",
    "socket_address",
    "static_resources",
    "timeout",
    "transport_socket",
    "trust_bundles",
    "type_url",
    "type_urls",
    "typed_config",
    "typed_per_filter_config",
    "upgrade_configs",
    "validation_context",
    "value",
    "virtual_hosts",
    "vm_config",
    "0s",
    "-1e999s",
    "${PORT}",
    "(a{9}){9}",
    "10.0.0.1",
    "type.googleapis.com/envoy.config.route.v3.FilterConfig",
    "type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher",
    "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
    "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
    "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
    "type.googleapis.com/udpa.type.v1.TypedStruct",
];

fn json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(WORDS).prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|fields| Value::from(Map::from_iter(fields))),
        ]
    })
}

fn survives(text: &str) {
    if let Ok(document) = Document::parse(text) {
        let _ = lint(&document);
    }
}

/// Puts `value` somewhere into a whole configuration, chosen by `place`.
fn put(target: &mut Value, mut place: u32, value: Value) {
    match target {
        Value::Array(items) if !items.is_empty() && !place.is_multiple_of(7) => {
            let position = place as usize % items.len();
            put(&mut items[position], place / 3, value);
        }
        Value::Object(fields) if !fields.is_empty() && !place.is_multiple_of(7) => {
            place /= 2;
            let position = place as usize % fields.len();
            put(fields.values_mut().nth(position).unwrap(), place, value);
        }
        _ => *target = value,
    }
}

proptest! {
    #[test]
    fn any_text_is_linted_or_refused(text in ".{0,200}") {
        survives(&text);
        survives(&format!("admin: {text}"));
    }

    #[test]
    fn any_json_under_a_known_name_is_linted(value in json(), name in prop::sample::select(WORDS)) {
        survives(&json!({ "static_resources": value, name: value, "configs": [value, value] }).to_string());
    }

    #[test]
    fn a_good_configuration_with_anything_anywhere_is_linted(value in json(), place in any::<u32>(), wasm in any::<bool>()) {
        let text = document::without_braces(&shipped(if wasm { "filter" } else { "ext-authz" }));
        let mut config = serde_saphyr::from_str(&text).unwrap();
        put(&mut config, place, value);
        survives(&config.to_string());
    }

    #[test]
    fn a_piece_cut_out_of_a_good_configuration_is_linted_or_refused(from in 0_usize..6000, length in 0_usize..400) {
        let mut text = shipped("filter");
        let end = (from + length).min(text.len());
        if text.is_char_boundary(from) && text.is_char_boundary(end) {
            text.replace_range(from..end, "");
        }
        survives(&text);
    }
}

#[test]
fn the_deepest_document_that_is_read_is_linted() {
    let depth = 120;
    for key in ["typed_config", "transport_socket", "filters", "value"] {
        let nested = format!("{}1{}", format!("{{\"{key}\":").repeat(depth), "}".repeat(depth));
        let listener = format!(r#"{{"configs":[{{"listener":{{"filter_chains":[{nested}]}}}}]}}"#);
        lint(&Document::parse(&listener).unwrap());
    }
}
