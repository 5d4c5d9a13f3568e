//! From a shipped configuration to one that boots here: fills the placeholders, applies a test's changes, and no others.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Boot, Envoy, access_log, admin_socket, listeners};
use crate::pki::{Authority, Svid, bundle_map_json};

/// An Envoy about to be started.
pub struct EnvoyBuilder {
    template: PathBuf,
    dir: TempDir,
    values: BTreeMap<&'static str, String>,
    edits: Vec<(String, String)>,
    changes: Vec<Change>,
    concurrency: u32,
    drain_seconds: u32,
    also: Vec<&'static str>,
    listeners_in_file: bool,
}

/// A configuration on the disk, with the files it needs beside it; dropping it removes them.
pub struct Written {
    pub(super) dir: TempDir,
    /// The configuration.
    pub path: PathBuf,
}

struct Change(Box<dyn FnOnce(&mut Value)>);

impl EnvoyBuilder {
    pub(super) fn new(template: &Path) -> Self {
        // Short, because the path of a Unix socket may have 107 bytes only.
        let dir = tempfile::Builder::new().prefix("envoy-").tempdir().unwrap();
        let builder = Self {
            template: template.to_path_buf(),
            dir,
            values: BTreeMap::new(),
            edits: Vec::new(),
            changes: Vec::new(),
            concurrency: 1,
            drain_seconds: 600,
            also: Vec::new(),
            listeners_in_file: false,
        };
        let [admin, log] = [admin_socket, access_log].map(|file| text(&file(builder.dir.path())));
        let trust = text(&trust_dir(builder.dir.path()));
        builder
            .set("NODE_ID", "envoy")
            .set("ADMIN_SOCKET", admin)
            .set("ACCESS_LOG", log)
            .set("TRUST_DIR", trust)
            .set("LISTENER_ADDRESS", "127.0.0.1")
            .set("LISTENER_PORT", "0")
            .set("UPSTREAM_SPIFFE_ID", "spiffe://nobody.test/nothing")
            .set("COUNTERSIGN_CLUSTER", "countersign")
            .set("COUNTERSIGN_SOCKET", "/nowhere")
            .set("COUNTERSIGN_HOST", "127.0.0.1")
            .set("COUNTERSIGN_PORT", "1")
            .set("COUNTERSIGN_SPIFFE_ID", "spiffe://nobody.test/nothing")
    }

    /// Fills a placeholder.
    pub fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.values.insert(name, value.into());
        self
    }

    /// The name of this Envoy.
    pub fn node(self, id: &str) -> Self {
        self.set("NODE_ID", id)
    }

    /// Its own SVID.
    pub fn identity(self, svid: &Svid) -> Self {
        let files = svid.write(self.dir.path(), "svid");
        self.set("SVID_CERT", text(&files.cert)).set("SVID_KEY", text(&files.key))
    }

    /// The trust domains whose clients and next hops it accepts.
    pub fn trusting(self, authorities: &[&Authority]) -> Self {
        write_bundles(self.dir.path(), &bundle_map_json(authorities));
        self
    }

    /// The sidecar's Unix socket.
    pub fn sidecar(self, socket: &Path) -> Self {
        self.set("COUNTERSIGN_SOCKET", text(socket))
    }

    /// The sidecar's TCP port, and the one workload that it must be.
    pub fn sidecar_by_tcp(self, address: SocketAddr, id: &str) -> Self {
        self.set("COUNTERSIGN_CLUSTER", "countersign-tls")
            .set("COUNTERSIGN_HOST", address.ip().to_string())
            .set("COUNTERSIGN_PORT", address.port().to_string())
            .set("COUNTERSIGN_SPIFFE_ID", id)
    }

    /// The filter module (`filter.yaml` only).
    pub fn wasm(self, module: &Path) -> Self {
        self.set("WASM", text(module))
    }

    /// Sends requests on to a plaintext service on this host.
    pub fn local_service(self, address: SocketAddr) -> Self {
        self.upstream("local-service", address)
    }

    /// Sends requests on by mTLS to the workload `id`.
    pub fn next_hop(self, address: SocketAddr, id: &str) -> Self {
        self.upstream("next-hop", address).set("UPSTREAM_SPIFFE_ID", id)
    }

    /// The number of worker threads (1).
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// The listener of another shipped configuration beside its own, under the name of that.
    pub fn and_listener_of(mut self, name: &'static str) -> Self {
        self.also.push(name);
        self
    }

    /// Listeners that can be replaced while it runs: [`Envoy::change_listeners`].
    pub fn with_listeners_in_a_file(mut self) -> Self {
        self.listeners_in_file = true;
        self
    }

    /// How long connections of a listener that was replaced may go on (600).
    pub fn drain_seconds(mut self, seconds: u32) -> Self {
        self.drain_seconds = seconds;
        self
    }

    /// Accepts any client certificate, and none, so that it is the sidecar's verification that refuses. Never shipped.
    pub fn without_client_validation(self) -> Self {
        self.change(|config| {
            let tls = config.pointer_mut(DOWNSTREAM_TLS).expect("the listener has TLS");
            tls["require_client_certificate"] = json!(false);
            tls["common_tls_context"]["validation_context"] = json!({ "trust_chain_verification": "ACCEPT_UNTRUSTED" });
        })
    }

    /// Appends to `x-forwarded-client-cert` in place of replacing it, as an Envoy does that stands behind other proxies.
    pub fn appending_to_xfcc(self) -> Self {
        self.change(|config| {
            let manager = config.pointer_mut(CONNECTION_MANAGER).expect("the listener has a connection manager");
            manager["forward_client_cert_details"] = json!("APPEND_FORWARD");
        })
    }

    /// Lets a `WebSocket` through, under the same filters.
    pub fn with_websockets(self) -> Self {
        self.change(|config| {
            let manager = config.pointer_mut(CONNECTION_MANAGER).expect("the listener has a connection manager");
            manager["upgrade_configs"] = json!([{ "upgrade_type": "websocket" }]);
        })
    }

    /// Takes plaintext from whoever comes, as in front of a system that can't do better.
    pub fn in_plaintext(self) -> Self {
        self.change(|config| {
            let chain =
                config.pointer_mut(FILTER_CHAIN).and_then(Value::as_object_mut).expect("the listener has a chain");
            chain.remove("transport_socket");
        })
    }

    /// Leaves paths as clients send them.
    pub fn without_path_normalisation(self) -> Self {
        self.change(|config| {
            let manager = config.pointer_mut(CONNECTION_MANAGER).expect("the listener has a connection manager");
            manager["normalize_path"] = json!(false);
            manager["merge_slashes"] = json!(false);
            manager["path_with_escaped_slashes_action"] = json!("KEEP_UNCHANGED");
        })
    }

    /// Any other change to the parsed configuration.
    pub fn change(mut self, change: impl FnOnce(&mut Value) + 'static) -> Self {
        self.changes.push(Change(Box::new(change)));
        self
    }

    /// Other words in the text itself, for what only text can say.
    ///
    /// # Panics
    /// When it is written, if the text does not have the words once.
    pub fn edit(mut self, words: &str, others: &str) -> Self {
        self.edits.push((words.to_owned(), others.to_owned()));
        self
    }

    /// Boots it and waits until it is live.
    ///
    /// # Panics
    /// If a placeholder has no value, or Envoy refuses the configuration (its log is shown).
    pub async fn start(self) -> Envoy {
        let (concurrency, drain_seconds) = (self.concurrency, self.drain_seconds);
        let Written { dir, path } = self.write();
        Envoy::boot(dir, Boot { config: path, concurrency, drain_seconds }).await
    }

    /// Writes it as Envoy would read it: as YAML, or as JSON if parts of it were changed.
    ///
    /// # Panics
    /// If a placeholder has no value.
    pub fn write(self) -> Written {
        let text = self.text();
        let (name, text) = if self.changes.is_empty() && self.also.is_empty() && !self.listeners_in_file {
            ("envoy.yaml", text)
        } else {
            let mut config = parsed(&self.template, &text);
            for name in &self.also {
                let template = self.template.with_file_name(format!("{name}.yaml"));
                let text = fs::read_to_string(&template).unwrap();
                listeners::add(&mut config, &parsed(&template, &filled(&text, &self.values)), name);
            }
            self.changes.into_iter().for_each(|Change(change)| change(&mut config));
            if self.listeners_in_file {
                listeners::move_to_file(&mut config, self.dir.path());
            }
            ("envoy.json", config.to_string())
        };
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        Written { dir: self.dir, path }
    }

    fn text(&self) -> String {
        let yaml =
            fs::read_to_string(&self.template).unwrap_or_else(|error| panic!("{}: {error}", self.template.display()));
        let edited = self.edits.iter().fold(yaml, |yaml, (words, others)| {
            assert_eq!(yaml.matches(words).count(), 1, "{words:?} in {}", self.template.display());
            yaml.replace(words, others)
        });
        filled(&edited, &self.values)
    }

    fn upstream(self, cluster: &str, address: SocketAddr) -> Self {
        self.set("UPSTREAM_CLUSTER", cluster)
            .set("UPSTREAM_HOST", address.ip().to_string())
            .set("UPSTREAM_PORT", address.port().to_string())
    }
}

fn parsed(template: &Path, text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", template.display()))
}

/// Puts a bundle map in its place by rename, the only way that Envoy notices.
pub(super) fn write_bundles(dir: &Path, bundles: &str) {
    let dir = trust_dir(dir);
    fs::create_dir_all(&dir).unwrap();
    let next = dir.join("bundles.json.next");
    fs::write(&next, bundles).unwrap();
    fs::rename(next, dir.join("bundles.json")).unwrap();
}

fn trust_dir(dir: &Path) -> PathBuf {
    dir.join("trust")
}

/// Replaces each `${NAME}` outside of comments, as `envsubst` would.
fn filled(yaml: &str, values: &BTreeMap<&str, String>) -> String {
    let mut text: String =
        yaml.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| [line, "\n"]).collect();
    for (name, value) in values {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    if let Some((_, rest)) = text.split_once("${") {
        panic!("placeholder ${{{}}} has no value; set it on the builder", rest.split('}').next().unwrap_or(rest));
    }
    text
}

fn text(path: &Path) -> String {
    path.to_str().expect("paths in tests are UTF-8").to_owned()
}

const FILTER_CHAIN: &str = "/static_resources/listeners/0/filter_chains/0";
const CONNECTION_MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
const DOWNSTREAM_TLS: &str = "/static_resources/listeners/0/filter_chains/0/transport_socket/typed_config";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_of_a_shipped_configuration_is_listed_at_its_top_and_no_other_is() {
        for name in ["ext-authz", "filter", "tcp", "tcp-filter"] {
            let text = fs::read_to_string(crate::root().join("envoy").join(format!("{name}.yaml"))).unwrap();
            let (head, body) = text.split_once("\n\n").unwrap();
            let mut used: Vec<&str> = body.split("${").skip(1).filter_map(|rest| rest.split('}').next()).collect();
            used.sort_unstable();
            used.dedup();
            let is_name = |word: &&str| word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            let first_words = head.lines().filter_map(|line| line.strip_prefix("# ")).flat_map(|line| line.split(", "));
            let mut listed: Vec<&str> = first_words.filter_map(|text| text.split(' ').next()).filter(is_name).collect();
            listed.sort_unstable();
            assert_eq!(listed, used, "{name}");
        }
    }

    #[test]
    #[should_panic(expected = "placeholder ${NAME} has no value")]
    fn a_placeholder_without_a_value_stops_the_test() {
        filled("# ${COMMENT}\nkey: ${NAME}\n", &BTreeMap::from([("OTHER", "x".to_owned())]));
    }
}
