//! A sidecar with TCP listeners, without an Envoy: who comes in, and how it is refused, is between client and sidecar.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;

use countersign_tests::client::{Client, ClientError, Protocol};
use countersign_tests::door::Door;
use countersign_tests::eventually::eventually;
use countersign_tests::mesh::POLICIES;
use countersign_tests::pki::{Authority, Svid};
use countersign_tests::sidecar::{Sidecar, countersign};
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use serde_json::Value;
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// May ask.
pub const ASKS: &str = "/envoy";
/// May revoke.
pub const REVOKES: &str = "/security/bob";
/// May read metrics.
pub const READS: &str = "/monitoring/prometheus";
/// The sidecar.
pub const SERVER: &str = "/sidecar";

/// The listeners of most tests.
pub const LISTEN: &str = r#"
  ext_authz_tcp: { address: 127.0.0.1:0, allow: ["spiffe://demo.test/envoy"] }
  control_tcp: { address: 127.0.0.1:0, allow: ["spiffe://demo.test/security/*"] }
"#;

pub struct Stand {
    pub authority: Authority,
    /// Of another trust domain, which is trusted too.
    pub partner: Authority,
    pub sidecar: Sidecar,
    pub dir: TempDir,
}

impl Stand {
    /// Ready, with the SVID [`SERVER`].
    pub async fn start() -> Self {
        let mut stand = Self::spawn(LISTEN, |authority, dir| drop(authority.issue(SERVER).write(dir, "svid")));
        stand.sidecar.until_ready().await;
        stand
    }

    /// With other listeners, after `prepare` has put in place what it wants; nobody waits for it to be ready.
    pub fn spawn(listen: &str, prepare: impl FnOnce(&Authority, &Path)) -> Self {
        let dir = tempfile::Builder::new().prefix("stand-").tempdir().unwrap();
        let authority = Authority::new("demo.test").with_intermediate();
        let partner = Authority::new("partner.test");
        fs::write(dir.path().join("bundle.pem"), authority.bundle_pem()).unwrap();
        fs::write(dir.path().join("partner.pem"), partner.bundle_pem()).unwrap();
        fs::write(dir.path().join("policy.cedar"), POLICIES).unwrap();
        prepare(&authority, dir.path());
        let admin = Door::Unix(dir.path().join("admin.sock"));
        let sidecar = Sidecar::spawn(dir.path(), &config(listen), admin);
        Self { authority, partner, sidecar, dir }
    }

    /// A client of a listener, as `svid`.
    pub async fn client(&self, listener: &str, svid: &Svid) -> Client {
        self.anonymous(listener).await.identity(svid)
    }

    /// The same without a certificate.
    pub async fn anonymous(&self, listener: &str) -> Client {
        Client::new(self.sidecar.mtls_address(listener).await, &self.authority)
    }

    /// Handshakes at `ext_authz` that ended so.
    pub async fn handshakes(&self, result: &str) -> f64 {
        let labels = ["listener=\"ext_authz\"", &format!("result=\"{result}\"")];
        self.sidecar.metric("countersign_tls_handshakes_total", &labels).await
    }

    /// Waits for one more of them than `before`.
    pub async fn until_counted(&self, result: &str, before: f64) {
        let what = format!("handshake counted as {result}");
        eventually(&what, async || (self.handshakes(result).await > before).then_some(())).await;
    }

    /// Puts another SVID in the sidecar's files.
    pub fn put(&self, svid: &Svid) {
        svid.write(self.dir.path(), "svid");
    }

    /// Waits until new connections see this leaf.
    pub async fn until_presented(&self, client: &Client, svid: &Svid) {
        eventually("new SVID on new connections", async || {
            (client.server_leaf().await.ok()? == svid.leaf_der()).then_some(())
        })
        .await;
    }

    /// Revokes by the control socket.
    pub async fn revoke(&self, scope: &str) {
        let socket = self.dir.path().join("control.sock");
        let output = run(&["revoke", scope, "--why", "test", "--socket", socket.to_str().unwrap()]).await;
        assert!(output.status.success(), "{output:?}");
    }

    /// Runs the command line by TCP as `svid`, to `server`.
    pub async fn remote(&self, arguments: &[&str], svid: &Svid, server: &str) -> Output {
        let address = self.sidecar.mtls_address("control").await;
        self.remote_at(address, arguments, svid, server).await
    }

    /// The same at another address.
    pub async fn remote_at(&self, address: SocketAddr, arguments: &[&str], svid: &Svid, server: &str) -> Output {
        let (address, files) = (format!("https://{address}"), svid.write(self.dir.path(), "operator"));
        let trust = self.dir.path().join("bundle.pem");
        let [cert, key, trust] = [&files.cert, &files.key, &trust].map(|path| path.to_str().unwrap());
        let how = ["--address", &address, "--svid", cert, "--key", key, "--trust", trust, "--server-id", server];
        run(&[arguments, how.as_slice()].concat()).await
    }

    /// Waits for an audit line.
    pub async fn audited(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let lines = || {
            let text = fs::read_to_string(self.dir.path().join("audit.jsonl")).unwrap_or_default();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
        };
        eventually(&format!("audit line: {what}"), async || lines().into_iter().find(|line| wanted(line))).await
    }
}

/// Asks once; `Ok` is any decision, `Err` the status of a request that was not decided.
pub async fn ask(channel: &Channel) -> Result<(), Status> {
    AuthorizationClient::new(channel.clone()).check(CheckRequest::default()).await.map(drop)
}

/// Connects and asks once; whether it was let in.
pub async fn comes_in(client: &Client) -> bool {
    match client.grpc().await {
        Ok(channel) => match ask(&channel).await {
            Ok(()) => true,
            Err(status) => {
                assert_ne!(status.code(), Code::Unimplemented, "it came in, by the wrong door");
                false
            }
        },
        Err(_) => false,
    }
}

/// The admin listener as `client`.
pub async fn read(client: &Client, path: &str) -> Result<String, ClientError> {
    client.get(Protocol::Http1, path).await.map(|reply| String::from_utf8_lossy(&reply.body).into_owned())
}

/// Runs `countersign` without stopping the tasks beside it.
pub async fn run(arguments: &[&str]) -> Output {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    tokio::task::spawn_blocking(move || countersign(&arguments.iter().map(String::as_str).collect::<Vec<_>>()))
        .await
        .unwrap()
}

fn config(listen: &str) -> String {
    let admin = if listen.contains("admin:") { "" } else { "  admin: { unix: admin.sock }" };
    format!(
        r"
service: {{ name: orders }}
identity:
  trust_bundles:
    - {{ trust_domain: demo.test, file: bundle.pem }}
    - {{ trust_domain: partner.test, file: partner.pem }}
  svid: {{ certificate: svid.pem, key: svid.key }}
policy: {{ files: [policy.cedar] }}
listen:
  ext_authz: {{ unix: ext-authz.sock }}
  control: {{ unix: control.sock }}
{admin}
{listen}
signals: {{ log: signals.redb }}
audit: {{ file: audit.jsonl }}
log: {{ level: 'info,countersign::tls=debug' }}
"
    )
}
