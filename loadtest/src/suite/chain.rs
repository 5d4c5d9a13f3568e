//! Turns a shipped Envoy configuration into one that is measured: the same listener, other filters, no upstream.
//! It must not weaken or speed up the listener, so that what is measured is what is shipped.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::peer::Address;

/// What stands between the listener and the answer.
#[derive(Clone, Debug)]
pub enum Filters {
    /// These, instead of the product's.
    Other(Vec<Value>),
    /// The product's own, as shipped.
    Product,
    /// The product's `ext_authz` filter, asking somebody else.
    ProductAsking(Address),
    /// Another wasm module where the product's filter runs.
    Module(PathBuf),
}

/// Changes a shipped configuration, its placeholders filled, into the chain that is measured.
///
/// # Errors
/// The configuration has another shape than the suite knows.
pub fn measure(config: &mut Value, filters: &Filters) -> Result<(), ShapeChanged> {
    answer_itself(config)?;
    match filters {
        Filters::Module(module) => run_module(config, module),
        Filters::Other(filters) => replace_filters(config, filters),
        Filters::Product => Ok(()),
        Filters::ProductAsking(address) => ask(config, address),
    }
}

/// The suite expects something where the shipped file has nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shipped Envoy configuration has nothing at {0}; the suite must follow its new shape")]
pub struct ShapeChanged(String);

/// Answers 200 in Envoy itself and writes no access log: an upstream and a disk would be measured too.
fn answer_itself(config: &mut Value) -> Result<(), ShapeChanged> {
    let manager = object(config, MANAGER)?;
    manager.insert("access_log".to_owned(), json!([]));
    let answer = json!({ "status": 200, "body": { "inline_string": "ok" } });
    let routes = json!([{ "match": { "prefix": "/" }, "direct_response": answer }]);
    let hosts = json!([{ "name": "all", "domains": ["*"], "routes": routes }]);
    manager.insert("route_config".to_owned(), json!({ "virtual_hosts": hosts }));
    let clusters = array(config, "/static_resources/clusters")?;
    clusters.retain(|cluster| cluster.get("name").and_then(Value::as_str) == Some(AUTHORIZER));
    Ok(())
}

/// Puts `filters` where the product's are, before the router.
fn replace_filters(config: &mut Value, filters: &[Value]) -> Result<(), ShapeChanged> {
    let pointer = format!("{MANAGER}/http_filters");
    let present = array(config, &pointer)?;
    let router = present.pop().ok_or(ShapeChanged(pointer))?;
    *present = filters.to_vec();
    present.push(router);
    Ok(())
}

/// Sends checks to another authorizer.
fn ask(config: &mut Value, address: &Address) -> Result<(), ShapeChanged> {
    let endpoint = object(config, "/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint")?;
    endpoint.insert("address".to_owned(), envoy_address(address));
    Ok(())
}

/// Runs `module` instead of the product's wasm module, without configuration and in a VM of its own.
fn run_module(config: &mut Value, module: &Path) -> Result<(), ShapeChanged> {
    let plugin_at = format!("{MANAGER}/http_filters/0/typed_config/config");
    let plugin = object(config, &plugin_at)?;
    plugin.remove("configuration");
    for key in ["name", "root_id"] {
        plugin.insert(key.to_owned(), json!("empty"));
    }
    let vm = object(config, &format!("{plugin_at}/vm_config"))?;
    vm.insert("vm_id".to_owned(), json!("empty"));
    vm.insert("code".to_owned(), json!({ "local": { "filename": module } }));
    Ok(())
}

fn object<'a>(config: &'a mut Value, pointer: &str) -> Result<&'a mut serde_json::Map<String, Value>, ShapeChanged> {
    let found = config.pointer_mut(pointer).and_then(Value::as_object_mut);
    found.ok_or_else(|| ShapeChanged(pointer.to_owned()))
}

fn array<'a>(config: &'a mut Value, pointer: &str) -> Result<&'a mut Vec<Value>, ShapeChanged> {
    let found = config.pointer_mut(pointer).and_then(Value::as_array_mut);
    found.ok_or_else(|| ShapeChanged(pointer.to_owned()))
}

fn envoy_address(address: &Address) -> Value {
    match address {
        Address::Tcp(endpoint) => {
            let address = endpoint.address();
            json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
        }
        Address::Unix(path) => json!({ "pipe": { "path": path } }),
    }
}

/// The name of the authorizer's cluster in the shipped files.
const AUTHORIZER: &str = "countersign";
const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

#[cfg(test)]
mod tests;
