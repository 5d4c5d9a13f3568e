//! One hop of the chain: a sidecar, an Envoy in filter mode, and what operators read of both; it asserts nothing.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::command::{Ran, countersign};
use super::patience::until;
use crate::door::Door;
use crate::envoy::{Envoy, EnvoyBuilder};
use crate::eventually::eventually;
use crate::mesh::wasm;
use crate::pki::Authority;
use crate::sidecar::Sidecar;

/// The sidecar of a hop whose Envoy is not there yet.
pub struct HopSidecar {
    name: &'static str,
    dir: PathBuf,
    sidecar: Sidecar,
}

/// A running hop in front of the service `name`, with all its files in `dir`.
pub struct Hop {
    /// Of the service.
    pub name: &'static str,
    /// Configuration, sockets, policies, log of signals, audit trail.
    pub dir: PathBuf,
    /// The sidecar.
    pub sidecar: Sidecar,
    /// The proxy.
    pub envoy: Envoy,
}

impl HopSidecar {
    /// Starts the sidecar of `name` in `<within>/<name>`.
    pub async fn start(within: &Path, name: &'static str, policies: &str) -> Self {
        let dir = within.join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(POLICIES), policies).unwrap();
        let sidecar = Sidecar::start(&dir, &config(name), Door::Unix(dir.join("admin.sock"))).await;
        Self { name, dir, sidecar }
    }

    /// Starts the Envoy, on to the next hop or the service as `upstream` says, and waits until its filter has leases.
    pub async fn with_envoy(self, authority: &Authority, upstream: impl FnOnce(EnvoyBuilder) -> EnvoyBuilder) -> Hop {
        let Self { name, dir, sidecar } = self;
        // A DNS name beside the SPIFFE ID, so that curl, which knows no SPIFFE, can verify the server too.
        let svid = authority.leaf(&format!("/ns/shop/sa/{name}")).dns("localhost").issue();
        let envoy = Envoy::shipped("filter")
            .node(name)
            .identity(&svid)
            .trusting(&[authority])
            .sidecar(&dir.join("ext-authz.sock"))
            .wasm(&wasm());
        let envoy = upstream(envoy).start().await;
        symlink(envoy.dir(), dir.join("envoy")).unwrap();
        let hop = Hop { name, dir, sidecar, envoy };
        hop.until_leased().await;
        hop
    }
}

impl Hop {
    /// Where its Envoy accepts.
    pub fn address(&self) -> SocketAddr {
        self.envoy.address()
    }

    /// Runs `countersign` against this hop's sidecar.
    pub async fn countersign(&self, arguments: &[&str]) -> Ran {
        countersign(&self.dir, arguments).await
    }

    /// How many decisions its sidecar has made.
    pub async fn decisions(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter")]
        let decisions = self.sidecar.metric("countersign_decisions_total", &[]).await as u64;
        decisions
    }

    /// Replaces its policies by rename.
    pub fn set_policies(&self, policies: &str) {
        let next = self.dir.join("policies.next");
        fs::write(&next, policies).unwrap();
        fs::rename(next, self.dir.join(POLICIES)).unwrap();
    }

    /// Every line of its audit trail so far.
    pub fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.dir.join("audit.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The audit line of one decision; none for no ID.
    pub async fn audited(&self, decision_id: &str) -> Option<Value> {
        if decision_id.is_empty() {
            return None;
        }
        until(async || self.audit().into_iter().find(|line| line["decision_id"] == decision_id)).await
    }

    async fn until_leased(&self) {
        eventually(&format!("leases for the filter of {}", self.name), async || {
            let filters = self.sidecar.metric("countersign_filters", &[]).await;
            let leases = self.sidecar.metric("countersign_leases_granted_total", &[]).await;
            // Of the worker and of the main thread.
            (filters >= 2.0 && leases >= filters).then_some(())
        })
        .await;
    }
}

fn config(name: &str) -> String {
    format!(
        "service: {{ name: {name} }}
identity:
  trust_bundles:
    - {{ trust_domain: demo.test, file: ../ca.pem }}
policy: {{ files: [{POLICIES}] }}
listen:
  ext_authz: {{ unix: ext-authz.sock }}
  control: {{ unix: control.sock }}
  admin: {{ unix: admin.sock }}
signals: {{ log: signals.redb }}
link: {{ lease: {LEASE_SECONDS}s }}
audit: {{ file: audit.jsonl }}
"
    )
}

const POLICIES: &str = "policies.cedar";

/// For how long a filter may answer from memory without hearing from its sidecar; the default, too.
pub const LEASE_SECONDS: u64 = 3;
