//! Runs the real `countersign` binary, as an operator would: config file, signals, logs; it knows nothing of the schema.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};

use http::StatusCode;
use serde_json::Value;

use crate::door::Door;
use crate::eventually::eventually;
use crate::process::Process;

/// A running sidecar.
pub struct Sidecar {
    process: Process,
    dir: PathBuf,
    admin: Door,
}

impl Sidecar {
    /// Writes `config` to `dir/config.yaml`, runs `countersign serve` on it and waits until `/readyz` says so.
    pub async fn start(dir: &Path, config: &str, admin: Door) -> Self {
        let mut sidecar = Self::spawn(dir, config, admin);
        sidecar.until_ready().await;
        sidecar
    }

    /// As [`Sidecar::start`], without waiting: for a sidecar that is meant not to become ready.
    pub fn spawn(dir: &Path, config: &str, admin: Door) -> Self {
        fs::write(dir.join(CONFIG), config).unwrap();
        Self { process: serve(dir), dir: dir.to_path_buf(), admin }
    }

    /// Waits for `/readyz` to answer 200.
    pub async fn until_ready(&mut self) {
        let Self { process, admin, .. } = self;
        eventually("ready sidecar", async || {
            process.must_run();
            is_ready(admin).await.then_some(())
        })
        .await;
    }

    /// Whether `/readyz` answers 200 now.
    pub async fn is_ready(&self) -> bool {
        is_ready(&self.admin).await
    }

    /// Its admin API.
    pub fn admin(&self) -> &Door {
        &self.admin
    }

    /// The whole text of `/metrics`.
    pub async fn metrics(&self) -> String {
        let (_, body) = self.admin.get("/metrics").await.expect("the sidecar answers /metrics");
        String::from_utf8_lossy(&body).into_owned()
    }

    /// The sum of all samples of a metric whose labels contain every one of `labels` (`name="value"`).
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        sum(&self.metrics().await, name, labels)
    }

    /// What it has logged, across restarts.
    pub fn logs(&self) -> String {
        self.process.logs()
    }

    /// Where a listener with TLS accepts, as its log tells it: `ext_authz`, `control` or `admin`.
    pub async fn mtls_address(&self, listener: &str) -> SocketAddr {
        let says = |line: &Value| line["message"] == "listens with mTLS" && line["listener"] == listener;
        eventually("address of a listener", async || {
            let logs = self.logs();
            let lines = logs.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.into_iter().find(says)?["address"].as_str()?.parse().ok()
        })
        .await
    }

    /// The process, for signals.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// SIGTERM, then waits for the end.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.process.signal("TERM");
        self.process.wait().await
    }

    /// SIGKILL: no drain, no goodbye.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Runs it again on the same config and state, and waits until it is ready.
    pub async fn restart(&mut self) {
        self.run_again();
        self.until_ready().await;
    }

    /// As [`Sidecar::restart`], without waiting: for a sidecar that is meant not to become ready.
    pub fn run_again(&mut self) {
        self.process.kill();
        self.process = serve(&self.dir);
    }

    /// Lets no file of it grow beyond so many bytes, as a full disk does; `None` makes room again.
    ///
    /// # Panics
    /// Without `prlimit` (util-linux).
    pub fn limit_files(&self, bytes: Option<u64>) {
        let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        let mut command = Command::new("prlimit");
        command.arg("--pid").arg(self.process.id().to_string()).arg(format!("--fsize={limit}:unlimited"));
        let status = command.status().expect("prlimit (util-linux) runs");
        assert!(status.success(), "{command:?}: {status}");
    }
}

/// Runs `countersign` with `arguments` to its end.
pub fn countersign(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().expect("countersign runs")
}

/// `$COUNTERSIGN_BIN`, else the newer of `target/debug/countersign` and `target/release/countersign`.
///
/// # Panics
/// If there is none, saying how to get one.
pub fn binary() -> PathBuf {
    if let Some(path) = env::var_os("COUNTERSIGN_BIN") {
        return path.into();
    }
    let built = ["debug", "release"].map(|profile| crate::root().join("target").join(profile).join("countersign"));
    let age = |path: &PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    built
        .into_iter()
        .filter(|path| path.is_file())
        .max_by_key(age)
        .expect("no countersign binary: run `cargo build -p countersign` or set COUNTERSIGN_BIN")
}

fn serve(dir: &Path) -> Process {
    // A write beyond `limit_files` is to fail, not to kill.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(binary());
    command.args(["serve", "--config"]).arg(dir.join(CONFIG)).current_dir(dir);
    Process::spawn("countersign", &mut command, &dir.join("countersign.log"))
}

async fn is_ready(admin: &Door) -> bool {
    matches!(admin.get("/readyz").await, Ok((StatusCode::OK, _)))
}

/// Prometheus text format: `name{labels} value`.
fn sum(metrics: &str, name: &str, labels: &[&str]) -> f64 {
    metrics
        .lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label)))
        .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

const CONFIG: &str = "config.yaml";

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn samples_are_summed_by_name_and_labels() {
        let text = "# TYPE a_total counter\na_total{verdict=\"allow\",mode=\"check\"} 2\na_total{verdict=\"deny\",mode=\"check\"} 3\na_total_other 9\nb 4.5\n";
        let cases: [(&str, &[&str], f64); 5] = [
            ("a_total", &[], 5.0),
            ("a_total", &["verdict=\"deny\""], 3.0),
            ("a_total", &["verdict=\"deny\"", "mode=\"link\""], 0.0),
            ("b", &[], 4.5),
            ("missing", &[], 0.0),
        ];
        for (name, labels, expected) in cases {
            assert!((sum(text, name, labels) - expected).abs() < f64::EPSILON, "{name} {labels:?}");
        }
    }
}
