//! Turns a shipped Envoy configuration into one that is measured: the same listener, other filters, no upstream.
//! It must not weaken or speed up the listener, so that what is measured is what is shipped.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::peer::Address;

/// An Envoy bootstrap in the making.
#[derive(Clone, Debug)]
pub struct Chain {
    bootstrap: Value,
}

impl Chain {
    /// Reads a shipped configuration after filling in its `${NAME}` placeholders.
    ///
    /// # Errors
    /// A placeholder nobody filled, or text that is not YAML.
    pub fn shipped(text: &str, variables: &BTreeMap<&str, String>) -> Result<Self, InvalidChain> {
        let filled = fill(text, variables)?;
        let bootstrap = serde_saphyr::from_str(&filled).map_err(|error| InvalidChain::Yaml(error.to_string()))?;
        Ok(Self { bootstrap })
    }

    /// Answers 200 in Envoy itself and writes no access log: an upstream and a disk would be measured too.
    ///
    /// # Errors
    /// The configuration is not built as the shipped ones are.
    pub fn answering_itself(mut self) -> Result<Self, InvalidChain> {
        let manager = self.at(MANAGER)?;
        manager.insert("access_log".to_owned(), json!([]));
        let answer = json!({ "status": 200, "body": { "inline_string": "ok" } });
        let routes = json!([{ "match": { "prefix": "/" }, "direct_response": answer }]);
        let hosts = json!([{ "name": "all", "domains": ["*"], "routes": routes }]);
        manager.insert("route_config".to_owned(), json!({ "virtual_hosts": hosts }));
        let clusters = self.array("/static_resources/clusters")?;
        clusters.retain(|cluster| cluster.get("name").and_then(Value::as_str) == Some(AUTHORIZER));
        Ok(self)
    }

    /// Puts `filters` where the product's filter is, before the router.
    ///
    /// # Errors
    /// As for [`Chain::answering_itself`].
    pub fn with_filters(mut self, filters: Vec<Value>) -> Result<Self, InvalidChain> {
        let present = self.array(HTTP_FILTERS)?;
        let router = present.pop().ok_or_else(|| InvalidChain::Missing(HTTP_FILTERS.to_owned()))?;
        *present = filters;
        present.push(router);
        Ok(self)
    }

    /// Sends checks to another authorizer.
    ///
    /// # Errors
    /// As for [`Chain::answering_itself`].
    pub fn asking(mut self, address: &Address) -> Result<Self, InvalidChain> {
        let endpoint = self.at("/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint")?;
        endpoint.insert("address".to_owned(), envoy_address(address));
        Ok(self)
    }

    /// Runs `module` instead of the product's wasm module, without configuration and in a VM of its own.
    ///
    /// # Errors
    /// As for [`Chain::answering_itself`].
    pub fn with_module(mut self, module: &Path) -> Result<Self, InvalidChain> {
        let plugin = self.at(PLUGIN)?;
        plugin.remove("configuration");
        for key in ["name", "root_id"] {
            plugin.insert(key.to_owned(), json!("empty"));
        }
        let vm = self.at(&format!("{PLUGIN}/vm_config"))?;
        vm.insert("vm_id".to_owned(), json!("empty"));
        vm.insert("code".to_owned(), json!({ "local": { "filename": module } }));
        Ok(self)
    }

    /// The bootstrap, for Envoy to read.
    pub fn into_json(self) -> String {
        self.bootstrap.to_string()
    }

    fn at(&mut self, pointer: &str) -> Result<&mut serde_json::Map<String, Value>, InvalidChain> {
        let found = self.bootstrap.pointer_mut(pointer).and_then(Value::as_object_mut);
        found.ok_or_else(|| InvalidChain::Missing(pointer.to_owned()))
    }

    fn array(&mut self, pointer: &str) -> Result<&mut Vec<Value>, InvalidChain> {
        let found = self.bootstrap.pointer_mut(pointer).and_then(Value::as_array_mut);
        found.ok_or_else(|| InvalidChain::Missing(pointer.to_owned()))
    }
}

/// Why a configuration can't be measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChain {
    /// The suite expects something where the file has nothing.
    #[error("the shipped Envoy configuration has nothing at {0}; the suite must follow its new shape")]
    Missing(String),
    /// A placeholder that the suite does not know.
    #[error("the shipped Envoy configuration has a placeholder `{0}` that the suite does not fill")]
    Unfilled(String),
    /// Not YAML.
    #[error("the shipped Envoy configuration is not YAML: {0}")]
    Yaml(String),
}

/// Replaces every `${NAME}`.
fn fill(text: &str, variables: &BTreeMap<&str, String>) -> Result<String, InvalidChain> {
    let mut parts = text.split("${");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        let value = variables.get(name).ok_or_else(|| InvalidChain::Unfilled(name.to_owned()))?;
        filled.push_str(value);
        filled.push_str(rest);
    }
    Ok(filled)
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
const HTTP_FILTERS: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
const PLUGIN: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config";

#[cfg(test)]
mod tests;
