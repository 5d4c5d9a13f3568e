//! The chains the suite builds, from the files that are shipped. It must not boot anything.

use super::*;

const EXT_AUTHZ: &str = include_str!("../../../../envoy/ext-authz.yaml");
const FILTER: &str = include_str!("../../../../envoy/filter.yaml");

fn shipped(text: &str) -> Chain {
    let names = text.split("${").skip(1).filter_map(|part| part.split('}').next());
    let variables = names.map(|name| (name, if name.ends_with("PORT") { "0" } else { name }.to_owned())).collect();
    Chain::shipped(text, &variables).unwrap().answering_itself().unwrap()
}

fn manager(chain: &Chain) -> &Value {
    chain.bootstrap.pointer(MANAGER).unwrap()
}

fn filter_names(chain: &Chain) -> Vec<&str> {
    let filters = manager(chain)["http_filters"].as_array().unwrap();
    filters.iter().map(|filter| filter["name"].as_str().unwrap()).collect()
}

#[test]
fn all_chains_have_the_listener_that_is_shipped() {
    let (check, filter) = (shipped(EXT_AUTHZ), shipped(FILTER));
    let none = check.clone().with_filters(Vec::new()).unwrap();
    for chain in [&check, &filter, &none] {
        let listener = &chain.bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"];
        assert_eq!(listener["typed_config"]["require_client_certificate"], true);
        assert_eq!(manager(chain)["forward_client_cert_details"], "SANITIZE_SET");
        assert_eq!(manager(chain)["normalize_path"], true);
        assert_eq!(
            manager(chain)["early_header_mutation_extensions"],
            manager(&check)["early_header_mutation_extensions"]
        );
        assert_eq!(manager(chain)["access_log"], json!([]));
        let route = &manager(chain)["route_config"]["virtual_hosts"][0]["routes"][0];
        assert_eq!(route["direct_response"]["status"], 200);
    }
}

#[test]
fn filters_stand_before_the_router_and_instead_of_the_products() {
    let (wasm, ext_authz, router) =
        ("envoy.filters.http.wasm", "envoy.filters.http.ext_authz", "envoy.filters.http.router");
    assert_eq!(filter_names(&shipped(EXT_AUTHZ)), [ext_authz, router]);
    assert_eq!(filter_names(&shipped(FILTER)), [wasm, router]);
    assert_eq!(filter_names(&shipped(EXT_AUTHZ).with_filters(Vec::new()).unwrap()), [router]);
    let other = json!({ "name": "other" });
    assert_eq!(filter_names(&shipped(FILTER).with_filters(vec![other]).unwrap()), ["other", router]);
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
        let chain = shipped(EXT_AUTHZ).asking(&address).unwrap();
        let clusters = chain.bootstrap["static_resources"]["clusters"].as_array().unwrap();
        assert_eq!(clusters.len(), 1);
        let endpoint = &clusters[0]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
        assert_eq!(endpoint["address"], expected);
    }
}

#[test]
fn the_empty_module_runs_where_ours_does() {
    let chain = shipped(FILTER).with_module(Path::new("/wasm/empty.wasm")).unwrap();
    let plugin = chain.bootstrap.pointer(PLUGIN).unwrap();
    assert_eq!(plugin["vm_config"]["code"]["local"]["filename"], "/wasm/empty.wasm");
    assert_eq!(plugin["vm_config"]["runtime"], "envoy.wasm.runtime.v8");
    assert_eq!(plugin.get("configuration"), None);
}

#[test]
fn a_configuration_of_another_shape_is_refused() {
    let none = BTreeMap::new();
    let parsed = |text| Chain::shipped(text, &none).and_then(Chain::answering_itself).map(|_| ());
    assert_eq!(parsed("a: ${B}"), Err(InvalidChain::Unfilled("B".to_owned())));
    assert_eq!(parsed("a: b"), Err(InvalidChain::Missing(MANAGER.to_owned())));
    assert!(matches!(parsed("a: [b"), Err(InvalidChain::Yaml(_))));
}
