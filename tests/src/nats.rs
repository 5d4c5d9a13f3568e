//! A real nats-server with `JetStream`: started, paused, killed and started again on the same store; it knows nothing of what it stores.

mod cluster;
mod config;
mod wire;

pub use cluster::NatsCluster;
pub use wire::Wire;

use std::env;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions};
use serde_json::Value;
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::pki::Authority;
use crate::process::Process;
use config::{Access, Routes};

/// A running server; dropping it kills it, and shows its logs if the test is failing.
pub struct Nats {
    // Before `dir`: the process must be gone when its files go.
    process: Process,
    dir: TempDir,
    address: SocketAddr,
    access: Access,
}

/// A server about to be started.
#[derive(Default)]
pub struct NatsBuilder {
    access: Access,
    routes: Option<Routes>,
    address: Option<SocketAddr>,
}

impl Nats {
    /// One server, open to everybody on this machine.
    pub async fn start() -> Self {
        Self::build().start().await
    }

    /// One server.
    pub fn build() -> NatsBuilder {
        NatsBuilder::default()
    }

    /// Where it accepts clients, also after a restart.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How clients name it.
    pub fn url(&self) -> String {
        self.url_by(self.address)
    }

    /// How clients name it that reach it through `address`.
    pub fn url_by(&self, address: SocketAddr) -> String {
        format!("{}://{address}", if self.access.tls.is_some() { "tls" } else { "nats" })
    }

    /// The directory of its files: `ca.pem`, `client.pem` and `client.key` with TLS, `password`, `user.nk`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where `JetStream` keeps its streams.
    pub fn store(&self) -> PathBuf {
        self.dir.path().join(config::STORE)
    }

    /// A client with all that this server asks of one, for looking behind the product's back.
    pub async fn client(&self) -> Client {
        eventually("connection to nats-server", async || self.try_client().await.ok()).await
    }

    /// `JetStream` by [`Nats::client`].
    pub async fn jetstream(&self) -> Context {
        jetstream::new(self.client().await)
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGKILL if it still runs, then the same server again on the same store and address.
    pub async fn restart(&mut self) {
        self.kill();
        self.process = serve(self.dir.path());
        self.until_ready().await;
    }

    /// SIGSTOP: connections stay open and nothing comes over them.
    pub fn pause(&self) {
        self.process.signal("STOP");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.signal("CONT");
    }

    /// What it has logged, across restarts.
    pub fn logs(&self) -> String {
        self.process.logs()
    }

    /// The process, for signals.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    async fn try_client(&self) -> Result<Client, async_nats::ConnectError> {
        self.options().connect(self.url()).await
    }

    fn options(&self) -> ConnectOptions {
        // Who has no leader yet does not answer at all.
        self.access.options(self.dir.path()).request_timeout(Some(Duration::from_secs(1)))
    }

    /// Waits until `JetStream` answers.
    async fn until_ready(&mut self) {
        eventually("nats-server with JetStream", async || {
            self.process.must_run();
            let client = self.try_client().await.ok()?;
            // Only the leader of a cluster answers this one, and none without JetStream.
            let reply = client.request("$JS.API.STREAM.NAMES", "".into()).await.ok()?;
            let reply: Value = serde_json::from_slice(&reply.payload).expect("JetStream speaks JSON");
            reply["error"].is_null().then_some(())
        })
        .await;
    }
}

impl NatsBuilder {
    /// Lets in only who knows these; the password is also in the file `password`.
    pub fn password(mut self, user: &str, password: &str) -> Self {
        self.access.password = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Lets in only who holds the seed in the file `user.nk`.
    pub fn nkey(mut self) -> Self {
        self.access.nkey = true;
        self
    }

    /// Speaks TLS with a certificate of `authority`, and asks clients for one of it too.
    pub fn tls(mut self, authority: &Authority) -> Self {
        self.access.tls = Some(authority.clone());
        self
    }

    fn routes(mut self, routes: Routes, address: SocketAddr) -> Self {
        (self.routes, self.address) = (Some(routes), Some(address));
        self
    }

    /// Starts it and waits until `JetStream` answers.
    pub async fn start(self) -> Nats {
        let mut nats = self.spawn();
        nats.until_ready().await;
        nats
    }

    fn spawn(self) -> Nats {
        let dir = tempfile::Builder::new().prefix("nats-").tempdir().unwrap();
        let address = self.address.unwrap_or_else(free_address);
        config::write(dir.path(), address, &self.access, self.routes.as_ref());
        Nats { process: serve(dir.path()), dir, address, access: self.access }
    }
}

/// `$COUNTERSIGN_NATS`, else `target/nats/nats-server`.
///
/// # Panics
/// If it is not there, saying how to get it: real tests never skip.
pub fn binary() -> PathBuf {
    let path =
        env::var_os("COUNTERSIGN_NATS").map_or_else(|| crate::root().join("target/nats/nats-server"), PathBuf::from);
    assert!(
        path.is_file(),
        "no nats-server at {}: run `scripts/nats.sh` (it unpacks Debian's) or set COUNTERSIGN_NATS",
        path.display()
    );
    path
}

fn serve(dir: &Path) -> Process {
    let mut command = Command::new(binary());
    command.arg("--config").arg(dir.join(config::FILE)).current_dir(dir);
    Process::spawn("nats-server", &mut command, &dir.join("nats.log"))
}

/// A port that nobody has. Only servers of this module use this address, so that none can be lost to another test
/// while a killed server is away.
fn free_address() -> SocketAddr {
    TcpListener::bind((HOST, 0)).and_then(|listener| listener.local_addr()).expect("a free port on loopback")
}

const HOST: &str = "127.0.0.2";
