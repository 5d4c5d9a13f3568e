//! Our sidecar as the suite runs it: the default configuration, as many policies as asked. It must not tune anything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use countersign_tests::door::Door;
use countersign_tests::eventually::eventually;
use countersign_tests::pki::Authority;
use countersign_tests::sidecar::Sidecar;

use super::policies::{self, SERVICE, TRUST_DOMAIN};
use super::proof::Counter;

/// Which policies a sidecar has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Set {
    count: usize,
    cached: bool,
}

impl Set {
    /// So many policies, of which one allows the suite's client.
    pub fn of(count: usize) -> Self {
        Self { count, cached: true }
    }

    /// One policy, and requests that are all different in what it reads.
    pub fn never_cached() -> Self {
        Self { count: 1, cached: false }
    }

    /// A name for its directory.
    pub fn name(self) -> String {
        format!("{}-{}", if self.cached { "sidecar" } else { "uncached" }, self.count)
    }
}

/// Starts a sidecar in `directory` and waits until it is ready.
pub async fn start(directory: &Path, set: Set, authority: &Authority) -> io::Result<Sidecar> {
    let policies = if set.cached { policies::cedar(set.count) } else { policies::cedar_reading_the_path() };
    fs::write(directory.join("policy.cedar"), policies)?;
    fs::write(directory.join("bundle.pem"), authority.bundle_pem())?;
    Ok(Sidecar::start(directory, &config(), Door::Unix(directory.join("admin.sock"))).await)
}

/// Where a sidecar in `directory` listens for Envoy.
pub fn socket(directory: &Path) -> PathBuf {
    directory.join("ext-authz.sock")
}

/// Waits until every filter VM of the one Envoy that asks `sidecar` may answer from memory: that of its worker and that
/// of its main thread.
pub async fn leased(sidecar: &Sidecar) {
    eventually("leases for the filter", async || {
        let leases = sidecar.metric("countersign_leases_granted_total", &[]).await;
        (leases >= 2.0).then_some(())
    })
    .await;
}

/// Only what has no default, and files in its own directory: audit is on, as shipped.
fn config() -> String {
    format!(
        "service: {{ name: {SERVICE} }}
identity: {{ trust_bundles: [{{ trust_domain: {TRUST_DOMAIN}, file: bundle.pem }}] }}
policy: {{ files: [policy.cedar] }}
listen:
  ext_authz: {{ unix: ext-authz.sock }}
  control: {{ unix: control.sock }}
  admin: {{ unix: admin.sock }}
signals: {{ log: signals.redb }}
audit: {{ file: audit.jsonl }}
"
    )
}

/// A check that was answered from the cache.
pub const CHECKED_FROM_CACHE: Counter =
    Counter("countersign_decisions_total", &[r#"mode="ext_authz""#, r#"source="cache""#, r#"verdict="allow""#]);
/// A check for which the policies were evaluated.
pub const CHECKED_BY_POLICY: Counter =
    Counter("countersign_decisions_total", &[r#"mode="ext_authz""#, r#"source="policy""#, r#"verdict="allow""#]);
/// An answer that the filter gave from memory, as Envoy counts it.
pub const FILTER_HITS_IN_ENVOY: &str = "wasmcustom.countersign.hits";
/// The same, as it reached the sidecar's audit.
pub const FILTER_HITS: Counter = Counter("countersign_filter_hits_total", &[r#"verdict="allow""#]);
