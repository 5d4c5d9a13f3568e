//! Our sidecar as the suite runs it: the default configuration, as many policies as asked. It must not tune anything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use countersign_tests::door::Door;
use countersign_tests::eventually::eventually;
use countersign_tests::pki::Authority;
use countersign_tests::sidecar::Sidecar;

use super::log;
use super::policies::{self, CLIENT, EDGE, SERVICE, TRUST_DOMAIN};
use super::proof::Counter;
use super::scenario::Approach;

/// Which policies a sidecar has, and for what requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Set {
    count: usize,
    cached: bool,
    approach: Approach,
    live: u32,
}

impl Set {
    /// So many policies, of which one allows the suite's client.
    pub fn of(count: usize) -> Self {
        Self { count, cached: true, approach: Approach::Straight, live: 0 }
    }

    /// One policy, and requests that are all different in what it reads.
    pub fn never_cached() -> Self {
        Self { cached: false, ..Self::of(1) }
    }

    /// The same for requests that come otherwise: each has a sidecar of its own, for its counters are the proof.
    pub fn asked(self, approach: Approach) -> Self {
        Self { approach, ..self }
    }

    /// The same with so many revocations in force, of others.
    pub fn among(self, live: u32) -> Self {
        Self { live, ..self }
    }

    /// A name for its directory.
    pub fn name(self) -> String {
        let kind = if self.cached { "sidecar" } else { "uncached" };
        let approach = match self.approach {
            Approach::FirstOnConnection => "-first",
            Approach::Straight => "",
            Approach::ThreeHops => "-hops",
        };
        let live = if self.live > 0 { format!("-{}", self.live) } else { String::new() };
        format!("{kind}-{}{approach}{live}", self.count)
    }

    fn follows_chains(self) -> bool {
        self.approach == Approach::ThreeHops
    }

    fn policies(self) -> String {
        let mut text = policies::cedar(self.count);
        if !self.cached {
            text = policies::reading_the_path(&text);
        }
        if self.follows_chains() { policies::reading_the_chain(&text) } else { text }
    }

    /// What it believes about others: nothing, unless chains are to be followed.
    fn forwarders(self) -> String {
        if self.follows_chains() {
            format!(", forwarders: [\"spiffe://{TRUST_DOMAIN}{CLIENT}\", \"spiffe://{TRUST_DOMAIN}{EDGE}\"]")
        } else {
            String::new()
        }
    }
}

/// Starts a sidecar in `directory` and waits until it is ready.
pub async fn start(directory: &Path, set: Set, authority: &Authority) -> io::Result<Sidecar> {
    prepare(directory, set, authority, "")?;
    Ok(run(directory).await)
}

/// Writes the files of a sidecar, with more settings of its signals such as `, nats: {…}`.
pub fn prepare(directory: &Path, set: Set, authority: &Authority, signals: &str) -> io::Result<()> {
    fs::write(directory.join("policy.cedar"), set.policies())?;
    fs::write(directory.join("bundle.pem"), authority.bundle_pem())?;
    fs::write(directory.join("config.yaml"), config(set, signals))?;
    if set.live > 0 {
        log::fill(&directory.join(LOG), set.live).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Starts the sidecar that was prepared in `directory`, and waits until it is ready.
pub async fn run(directory: &Path) -> Sidecar {
    let config = fs::read_to_string(directory.join("config.yaml")).unwrap_or_default();
    Sidecar::start(directory, &config, Door::Unix(directory.join("admin.sock"))).await
}

/// Where a sidecar in `directory` listens for Envoy.
pub fn socket(directory: &Path) -> PathBuf {
    directory.join("ext-authz.sock")
}

/// Where a sidecar in `directory` takes signals.
pub fn control(directory: &Path) -> PathBuf {
    directory.join("control.sock")
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
fn config(set: Set, signals: &str) -> String {
    let forwarders = set.forwarders();
    format!(
        "service: {{ name: {SERVICE} }}
identity: {{ trust_bundles: [{{ trust_domain: {TRUST_DOMAIN}, file: bundle.pem }}]{forwarders} }}
policy: {{ files: [policy.cedar] }}
listen:
  ext_authz: {{ unix: ext-authz.sock }}
  control: {{ unix: control.sock }}
  admin: {{ unix: admin.sock }}
signals: {{ log: {LOG}{signals} }}
audit: {{ file: audit.jsonl }}
"
    )
}

/// The file of its log.
const LOG: &str = "signals.redb";
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_for_three_hops_are_chains_asked_for_and_forwarders_believed() {
        for set in [Set::of(1), Set::never_cached()] {
            for approach in [Approach::Straight, Approach::FirstOnConnection] {
                let plain = set.asked(approach);
                assert!(!config(plain, "").contains("forwarders") && !plain.policies().contains("hops"));
            }
            let hops = set.asked(Approach::ThreeHops);
            let believed = r#"forwarders: ["spiffe://bench.test/client", "spiffe://bench.test/edge"] }"#;
            assert!(config(hops, "").contains(believed), "{}", config(hops, ""));
            assert_eq!(hops.policies().matches("context.hops.complete").count(), 1);
        }
    }

    #[test]
    fn every_set_has_a_directory_of_its_own() {
        let approaches = [Approach::Straight, Approach::FirstOnConnection, Approach::ThreeHops];
        let sets = [Set::of(1), Set::of(100), Set::never_cached(), Set::of(1).among(1_000)];
        let names = sets.iter().flat_map(|set| approaches.map(|approach| set.asked(approach).name()));
        assert_eq!(names.collect::<std::collections::BTreeSet<_>>().len(), 12);
    }
}
