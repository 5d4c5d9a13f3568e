//! Our sidecar as the suite runs it: the default configuration, as many policies as asked. It must not tune anything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use countersign_tests::door::Door;
use countersign_tests::pki::Authority;
use countersign_tests::sidecar::Sidecar;

use super::policies;
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
    let _ = policies::cedar(set.count);
    fs::write(directory.join("bundle.pem"), authority.bundle_pem())?;
    Ok(Sidecar::start(directory, "", Door::Unix(directory.join("admin.sock"))).await)
}

/// Where a sidecar in `directory` listens for Envoy.
pub fn socket(directory: &Path) -> PathBuf {
    directory.join("authz.sock")
}

/// A check that was answered from the cache.
pub const CHECKED_FROM_CACHE: Counter =
    Counter("countersign_decisions_total", &[r#"mode="ext_authz""#, r#"source="cache""#, r#"verdict="allow""#]);
/// A check for which the policies were evaluated.
pub const CHECKED_BY_POLICY: Counter =
    Counter("countersign_decisions_total", &[r#"mode="ext_authz""#, r#"source="policy""#, r#"verdict="allow""#]);
/// An answer that the filter gave from memory and told the sidecar of.
pub const FILTER_HITS: Counter = Counter("countersign_filter_hits_total", &[r#"verdict="allow""#]);
