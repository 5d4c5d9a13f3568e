//! The chains the suite builds, from the files that are shipped. It must not boot anything.

use super::*;

const EXT_AUTHZ: &str = include_str!("../../../../envoy/ext-authz.yaml");
const FILTER: &str = include_str!("../../../../envoy/filter.yaml");

fn measured(text: &str, filters: &Filters) -> Value {
    let mut text =
        text.replace("${LISTENER_PORT}", "0").replace("${COUNTERSIGN_PORT}", "0").replace("${UPSTREAM_PORT}", "0");
    text = text.replace("${", "").replace("}\"", "\"");
    let mut config = serde_saphyr::from_str(&text).unwrap();
    measure(&mut config, filters).unwrap();
    config
}

fn manager(config: &Value) -> &Value {
    config.pointer(MANAGER).unwrap()
}

fn filter_names(config: &Value) -> Vec<&str> {
    let filters = manager(config)["http_filters"].as_array().unwrap();
    filters.iter().map(|filter| filter["name"].as_str().unwrap()).collect()
}

#[test]
fn all_chains_have_the_listener_that_is_shipped() {
    let check = measured(EXT_AUTHZ, &Filters::Product);
    let filter = measured(FILTER, &Filters::Product);
    let none = measured(EXT_AUTHZ, &Filters::Other(Vec::new()));
    for config in [&check, &filter, &none] {
        let listener = &config["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"];
        assert_eq!(listener["typed_config"]["require_client_certificate"], true);
        assert_eq!(manager(config)["forward_client_cert_details"], "SANITIZE_SET");
        assert_eq!(manager(config)["normalize_path"], true);
        let stripping = "early_header_mutation_extensions";
        assert_eq!(manager(config)[stripping], manager(&check)[stripping]);
        assert_eq!(manager(config)["access_log"], json!([]));
        let route = &manager(config)["route_config"]["virtual_hosts"][0]["routes"][0];
        assert_eq!(route["direct_response"]["status"], 200);
    }
}

#[test]
fn filters_stand_before_the_router_and_instead_of_the_products() {
    let (wasm, ext_authz, router) =
        ("envoy.filters.http.wasm", "envoy.filters.http.ext_authz", "envoy.filters.http.router");
    assert_eq!(filter_names(&measured(EXT_AUTHZ, &Filters::Product)), [ext_authz, router]);
    assert_eq!(filter_names(&measured(FILTER, &Filters::Product)), [wasm, router]);
    assert_eq!(filter_names(&measured(EXT_AUTHZ, &Filters::Other(Vec::new()))), [router]);
    let other = Filters::Other(vec![json!({ "name": "other" })]);
    assert_eq!(filter_names(&measured(EXT_AUTHZ, &other)), ["other", router]);
}

#[test]
fn the_only_cluster_left_is_the_authorizer_wherever_it_listens() {
    let cases = [
        (Address::Unix("/run/a.sock".into()), json!({ "pipe": { "path": "/run/a.sock" } })),
        (
            Address::Tcp("127.0.0.1:9191".parse().unwrap()),
            json!({ "socket_address": { "address": "127.0.0.1", "port_value": 9191 } }),
        ),
    ];
    for (address, expected) in cases {
        let config = measured(EXT_AUTHZ, &Filters::ProductAsking(address));
        let clusters = config["static_resources"]["clusters"].as_array().unwrap();
        assert_eq!(clusters.len(), 1);
        let endpoint = &clusters[0]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
        assert_eq!(endpoint["address"], expected);
    }
}

#[test]
fn the_empty_module_runs_where_ours_does() {
    let config = measured(FILTER, &Filters::Module("/wasm/empty.wasm".into()));
    let plugin = &manager(&config)["http_filters"][0]["typed_config"]["config"];
    assert_eq!(plugin["vm_config"]["code"]["local"]["filename"], "/wasm/empty.wasm");
    assert_eq!(plugin["vm_config"]["runtime"], "envoy.wasm.runtime.v8");
    assert_eq!(plugin.get("configuration"), None);
}

#[test]
fn a_configuration_of_another_shape_is_refused() {
    let mut config = json!({ "a": "b" });
    assert_eq!(measure(&mut config, &Filters::Product), Err(ShapeChanged(MANAGER.to_owned())));
}
