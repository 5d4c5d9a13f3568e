//! One hop of a mesh, all of it real: a trust domain, a sidecar, an Envoy in front of a service; it asserts nothing.

mod cast;
mod config;

pub use cast::{CALLER, EACH_PATH, ENVOY, OTHER, POLICIES, SIDECAR};

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;
use crate::door::Door;
use crate::envoy::{Envoy, EnvoyBuilder};
use crate::eventually::eventually;
use crate::pki::{Authority, Svid};
use crate::sidecar::{Sidecar, countersign};
use crate::upstream::Upstream;
use config::Config;

/// How Envoy asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// `envoy/ext-authz.yaml`: every request is a check.
    ExtAuthz,
    /// `envoy/filter.yaml`: the filter answers what it knows.
    Filter,
    /// `envoy/tcp-filter.yaml`: connections, by the filter. Envoy sends the leaf alone there: [`Authority::new`] without
    /// an intermediate.
    TcpFilter,
}

impl Mode {
    /// Both for requests.
    pub const ALL: [Self; 2] = [Self::ExtAuthz, Self::Filter];
}

/// A running hop.
pub struct Mesh {
    /// The trust domain `demo.test`, with an intermediate.
    pub authority: Authority,
    /// The service behind Envoy.
    pub upstream: Upstream,
    /// The sidecar.
    pub sidecar: Sidecar,
    /// The proxy.
    pub envoy: Envoy,
    mode: Mode,
    dir: TempDir,
}

/// A hop about to be started.
pub struct MeshBuilder {
    mode: Mode,
    policies: String,
    authority: Authority,
    agent: Option<String>,
    lease: String,
    identity: String,
    signals: String,
    sections: String,
    policy: String,
    files: Vec<(&'static str, String)>,
    tcp: bool,
    mtls: bool,
    workers: u32,
    strict: bool,
    ready: bool,
    adjust: Vec<Box<dyn FnOnce(EnvoyBuilder) -> EnvoyBuilder>>,
}

impl Mesh {
    /// A hop with [`POLICIES`], one worker and the default lease.
    pub fn build(mode: Mode) -> MeshBuilder {
        let policies = POLICIES.to_owned();
        MeshBuilder {
            mode,
            policies,
            authority: Authority::new("demo.test").with_intermediate(),
            agent: None,
            lease: "3s".to_owned(),
            identity: String::new(),
            signals: String::new(),
            sections: String::new(),
            policy: String::new(),
            files: Vec::new(),
            tcp: false,
            mtls: false,
            workers: 1,
            strict: true,
            ready: true,
            adjust: Vec::new(),
        }
    }

    /// [`Mesh::build`] and start.
    pub async fn start(mode: Mode) -> Self {
        Self::build(mode).start().await
    }

    /// A client of this hop as `svid`.
    pub fn client(&self, svid: &Svid) -> Client {
        self.anonymous().identity(svid)
    }

    /// A client without a certificate.
    pub fn anonymous(&self) -> Client {
        Client::new(self.envoy.address(), &self.authority)
    }

    /// Runs `countersign` against this sidecar's control socket; the first words are the command.
    pub async fn countersign(&self, arguments: &[&str]) -> Output {
        let socket = text(&self.control_socket());
        let arguments: Vec<String> =
            arguments.iter().map(ToString::to_string).chain(["--socket".to_owned(), socket]).collect();
        // Blocking would stop the very tasks (upstream, clients) that tests run beside it.
        tokio::task::spawn_blocking(move || countersign(&arguments.iter().map(String::as_str).collect::<Vec<_>>()))
            .await
            .unwrap()
    }

    /// As [`Mesh::countersign`]; the command must succeed.
    pub async fn must(&self, arguments: &[&str]) -> String {
        let output = self.countersign(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// `revoke --wait`: returns once it is in force everywhere.
    pub async fn revoke(&self, scope: &str) -> String {
        self.must(&["revoke", scope, "--why", "test", "--wait"]).await
    }

    /// `restore --wait`.
    pub async fn restore(&self, scope: &str) -> String {
        self.must(&["restore", scope, "--why", "test", "--wait"]).await
    }

    /// Where the sidecar takes signals.
    pub fn control_socket(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    /// Where Envoy asks.
    pub fn ext_authz_socket(&self) -> PathBuf {
        self.dir.path().join("ext-authz.sock")
    }

    /// The loopback address of a sidecar built with [`MeshBuilder::tcp`], as its log tells it.
    pub fn ext_authz_port(&self) -> String {
        let logs = self.sidecar.logs();
        let line = logs.lines().find(|line| line.contains("in plaintext")).expect("the port is logged");
        let line: Value = serde_json::from_str(line).expect("a log line is JSON");
        line["address"].as_str().expect("an address").to_owned()
    }

    /// The policy file; a change is picked up.
    pub fn policy_file(&self) -> PathBuf {
        self.dir.path().join("policy.cedar")
    }

    /// Replaces the policies by rename.
    pub fn set_policies(&self, policies: &str) {
        let next = self.dir.path().join("policy.next");
        fs::write(&next, policies).unwrap();
        fs::rename(next, self.policy_file()).unwrap();
    }

    /// Replaces the sidecar's trust bundle by rename; Envoy keeps its own.
    pub fn trust(&self, authority: &Authority) {
        let next = self.dir.path().join("bundle.next");
        fs::write(&next, authority.bundle_pem()).unwrap();
        fs::rename(next, self.dir.path().join("bundle.pem")).unwrap();
    }

    /// The file of the sidecar's log of signals.
    pub fn signal_log(&self) -> PathBuf {
        self.dir.path().join("signals.redb")
    }

    /// Every line of the audit trail so far.
    pub fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.dir.path().join("audit.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("an audit line is JSON")).collect()
    }

    /// Waits for an audit line.
    pub async fn audited(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("audit line: {what}"), async || self.audit().into_iter().find(|line| wanted(line))).await
    }

    /// Checks the sidecar has made for this hop, in either mode.
    pub async fn decisions(&self) -> f64 {
        self.sidecar.metric("countersign_decisions_total", &[]).await
    }

    /// An Envoy counter of the filter, by its last name; 0 where there is none yet.
    pub async fn filter_stat(&self, name: &str) -> u64 {
        let stats = self.envoy.stats_matching(&format!("countersign[._]{name}$")).await;
        stats.iter().map(|(_, value)| value).sum()
    }

    /// Waits until every filter VM of this Envoy has a lease.
    pub async fn until_leased(&self) {
        if self.mode == Mode::ExtAuthz {
            return;
        }
        eventually("leases for the filter", async || {
            let filters = self.sidecar.metric("countersign_filters", &[]).await;
            let leases = self.sidecar.metric("countersign_leases_granted_total", &[]).await;
            (filters >= 2.0 && leases >= filters).then_some(())
        })
        .await;
    }

    /// The mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }
}

impl MeshBuilder {
    /// Another way to ask.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Other policies.
    pub fn policies(mut self, policies: &str) -> Self {
        policies.clone_into(&mut self.policies);
        self
    }

    /// Makes a decision of each path; else those that policies don't tell apart share one.
    pub fn each_path(mut self) -> Self {
        self.policies.push_str(EACH_PATH);
        self
    }

    /// An authority of `demo.test` that the test has made already.
    pub fn authority(mut self, authority: Authority) -> Self {
        self.authority = authority;
        self
    }

    /// A sidecar that has SVID and trust from an agent, and no bundle in a file; `how` are the fields of `workload_api`
    /// beside `enabled`.
    pub fn agent(mut self, how: &str) -> Self {
        self.agent = Some(how.to_owned());
        self
    }

    /// Another lease.
    pub fn lease(mut self, lease: &str) -> Self {
        lease.clone_into(&mut self.lease);
        self
    }

    /// More lines for the section `identity` of the sidecar's configuration, without indentation.
    pub fn identity(mut self, yaml: &str) -> Self {
        self.identity = yaml.lines().fold(String::new(), |text, line| text + "\n  " + line);
        self
    }

    /// More lines for the section `signals`, without indentation.
    pub fn signals(mut self, yaml: &str) -> Self {
        self.signals = yaml.lines().fold(String::new(), |text, line| text + "\n  " + line);
        self
    }

    /// More sections for the sidecar's configuration.
    pub fn sections(mut self, yaml: &str) -> Self {
        yaml.clone_into(&mut self.sections);
        self
    }

    /// A sidecar that refuses paths with parameters.
    pub fn refusing_path_parameters(mut self) -> Self {
        self.policy.push_str("\n  path_parameters: refuse");
        self
    }

    /// A sidecar with an operation map, and with a schema of its own for what that names.
    pub fn operations(mut self, map: &str, schema: &str) -> Self {
        self.policy.push_str("\n  operations: operations.yaml\n  schema: mesh.cedarschema");
        self.files.extend([("operations.yaml", map.to_owned()), ("mesh.cedarschema", schema.to_owned())]);
        self
    }

    /// A sidecar that also listens on a loopback port: see [`Mesh::ext_authz_port`].
    pub fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// An Envoy that asks by TCP with mTLS, and a sidecar that allows it.
    pub fn mtls(mut self) -> Self {
        self.mtls = true;
        self
    }

    /// More worker threads.
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers;
        self
    }

    /// An Envoy that lets any certificate through the handshake, so that only Countersign can refuse it.
    pub fn without_client_validation(mut self) -> Self {
        self.strict = false;
        self
    }

    /// Does not wait for the sidecar to be ready.
    pub fn not_ready(mut self) -> Self {
        self.ready = false;
        self
    }

    /// Any other change to Envoy.
    pub fn envoy(mut self, change: impl FnOnce(EnvoyBuilder) -> EnvoyBuilder + 'static) -> Self {
        self.adjust.push(Box::new(change));
        self
    }

    /// Boots service, sidecar and Envoy, in this order.
    pub async fn start(self) -> Mesh {
        let dir = tempfile::Builder::new().prefix("mesh-").tempdir().unwrap();
        let authority = self.authority;
        fs::write(dir.path().join("bundle.pem"), authority.bundle_pem()).unwrap();
        fs::write(dir.path().join("policy.cedar"), &self.policies).unwrap();
        for (name, text) in &self.files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        authority.issue(SIDECAR).write(dir.path(), "svid");
        let upstream = Upstream::start().await;
        let admin = Door::Unix(dir.path().join("admin.sock"));
        let config = Config {
            agent: self.agent.as_deref(),
            identity: &self.identity,
            policy: &self.policy,
            signals: &self.signals,
            sections: &self.sections,
            lease: &self.lease,
            tcp: self.tcp,
            mtls: self.mtls,
        };
        let config = config.text();
        let mut sidecar = Sidecar::spawn(dir.path(), &config, admin);
        if self.ready {
            sidecar.until_ready().await;
        }
        let mut envoy = match self.mode {
            Mode::ExtAuthz => Envoy::shipped("ext-authz"),
            Mode::Filter => Envoy::shipped("filter").wasm(&wasm()),
            Mode::TcpFilter => Envoy::shipped("tcp-filter").wasm(&wasm()),
        };
        envoy = envoy
            .identity(&authority.issue(ENVOY))
            .trusting(&[&authority])
            .sidecar(&dir.path().join("ext-authz.sock"))
            .local_service(upstream.address())
            .concurrency(self.workers);
        if self.mtls {
            envoy = envoy.sidecar_by_tcp(sidecar.mtls_address("ext_authz").await, &authority.id(SIDECAR));
        }
        if !self.strict {
            envoy = envoy.without_client_validation();
        }
        for adjust in self.adjust {
            envoy = adjust(envoy);
        }
        let mesh = Mesh { envoy: envoy.start().await, authority, upstream, sidecar, mode: self.mode, dir };
        if self.ready {
            mesh.until_leased().await;
        }
        mesh
    }
}

/// The filter module: `$COUNTERSIGN_WASM`, else what `make wasm` builds.
///
/// # Panics
/// If there is none, saying how to get one.
pub fn wasm() -> PathBuf {
    let path = std::env::var_os("COUNTERSIGN_WASM")
        .map_or_else(|| crate::root().join("target/wasm/countersign.wasm"), PathBuf::from);
    assert!(path.is_file(), "no filter at {}: run `make wasm` or set COUNTERSIGN_WASM", path.display());
    path
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}
