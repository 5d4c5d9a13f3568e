//! Boots a real Envoy from one of the configurations we ship, changed only where a test says so; it fakes nothing.

mod admin;
mod listeners;
mod template;

pub use template::{EnvoyBuilder, Written};

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::door::Door;
use crate::eventually::eventually;
use crate::pki::{Authority, bundle_map_json};
use crate::process::Process;

/// A running Envoy; dropping it kills it, and shows its logs if the test is failing.
pub struct Envoy {
    // Before `dir`: the process must be gone when its files go.
    process: Process,
    dir: TempDir,
    admin: Door,
    address: SocketAddr,
    boot: Boot,
}

/// What it runs on, to run it again.
struct Boot {
    config: PathBuf,
    concurrency: u32,
    drain_seconds: u32,
}

impl Envoy {
    /// Starts from `envoy/<name>.yaml`.
    pub fn shipped(name: &str) -> EnvoyBuilder {
        EnvoyBuilder::new(&crate::root().join("envoy").join(format!("{name}.yaml")))
    }

    async fn boot(dir: TempDir, boot: Boot) -> Self {
        let mut process = boot.spawn(dir.path());
        let admin = Door::Unix(admin_socket(dir.path()));
        let address = until_live(&mut process, &admin).await;
        Self { process, dir, admin, address, boot }
    }

    /// Kills it and runs it again on the same configuration; a listener on port 0 gets another address.
    pub async fn restart(&mut self) {
        self.process.kill();
        self.process = self.boot.spawn(self.dir.path());
        self.address = until_live(&mut self.process, &self.admin).await;
    }

    /// Where its first listener accepts.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the listener of this name accepts.
    pub async fn address_of(&self, listener: &str) -> SocketAddr {
        admin::listener(&self.admin, |status| status["name"] == listener).await
    }

    /// Its admin API.
    pub fn admin(&self) -> &Door {
        &self.admin
    }

    /// The directory of its files (config, logs, SVID, bundles).
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its whole configuration, as it is in force.
    pub async fn config_dump(&self) -> String {
        admin::text(&self.admin, "/config_dump?include_eds").await
    }

    /// A counter or gauge by its whole name; 0 if Envoy has none of that name (it creates many at first use).
    pub async fn stats(&self, name: &str) -> u64 {
        admin::stat(&self.admin, name).await
    }

    /// All counters and gauges whose name matches the regular expression.
    pub async fn stats_matching(&self, regex: &str) -> Vec<(String, u64)> {
        admin::stats(&self.admin, regex).await
    }

    /// Waits until a counter or gauge is at least `value`.
    pub async fn until_stat(&self, name: &str, value: u64) {
        let what = format!("{name} >= {value} in Envoy's stats");
        eventually(&what, async || (self.stats(name).await >= value).then_some(())).await;
    }

    /// The access log so far, one JSON object per request; an entry appears within 20 ms after its request is over.
    pub fn access_log(&self) -> Vec<Value> {
        let text = fs::read_to_string(access_log(self.dir.path())).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete.lines().map(|line| serde_json::from_str(line).expect("the access log is JSON")).collect()
    }

    /// Waits for the first access log entry that `wanted` accepts.
    pub async fn logged(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let what = format!("access log entry: {what}");
        eventually(&what, async || self.access_log().into_iter().find(|entry| wanted(entry))).await
    }

    /// Envoy's own log so far.
    pub fn logs(&self) -> String {
        self.process.logs()
    }

    /// The process, for signals.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Replaces the trust bundles, as an operator does: by rename. Envoy takes them up a moment later.
    pub fn trust(&self, authorities: &[&Authority]) {
        template::write_bundles(self.dir.path(), &bundle_map_json(authorities));
    }
}

impl Boot {
    fn spawn(&self, dir: &Path) -> Process {
        let mut command = Command::new(binary());
        command.arg("--config-path").arg(&self.config).args(["--concurrency", &self.concurrency.to_string()]);
        command.args(["--drain-time-s", &self.drain_seconds.to_string()]);
        // Without a base id of its own an Envoy meddles with the others of this machine; access logs must not lag.
        command.args([
            "--use-dynamic-base-id",
            "--file-flush-interval-msec",
            "20",
            "--component-log-level",
            "main:warning",
        ]);
        Process::spawn("envoy", &mut command, &dir.join("envoy.log"))
    }
}

/// Waits until Envoy has finished its start, and asks where it listens.
async fn until_live(process: &mut Process, admin: &Door) -> SocketAddr {
    eventually("live Envoy", async || {
        process.must_run();
        admin::is_live(admin).await.then_some(())
    })
    .await;
    admin::first_listener(admin).await
}

/// Has Envoy read a configuration without running it.
///
/// # Errors
/// What Envoy says against it.
pub fn validate(config: &Path) -> Result<(), String> {
    let mut command = Command::new(binary());
    command.args(["--mode", "validate", "--log-level", "critical", "--config-path"]).arg(config);
    let output = command.output().expect("Envoy runs");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// `$COUNTERSIGN_ENVOY`, else `target/envoy/bin/envoy`.
///
/// # Panics
/// If it is not there, saying how to get it: real tests never skip.
pub fn binary() -> PathBuf {
    let path =
        env::var_os("COUNTERSIGN_ENVOY").map_or_else(|| crate::root().join("target/envoy/bin/envoy"), PathBuf::from);
    assert!(
        path.is_file(),
        "no Envoy at {}: run `scripts/envoy.sh` (it installs the official release) or set COUNTERSIGN_ENVOY",
        path.display()
    );
    path
}

fn admin_socket(dir: &Path) -> PathBuf {
    dir.join("admin.sock")
}

fn access_log(dir: &Path) -> PathBuf {
    dir.join("access.log")
}
