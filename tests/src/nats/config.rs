//! The configuration of a nats-server, as text, with the files it names and what a client must show; it starts nothing.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use async_nats::ConnectOptions;

use crate::pki::Authority;

/// What a client must know or hold.
#[derive(Clone, Default)]
pub(super) struct Access {
    pub(super) password: Option<(String, String)>,
    pub(super) nkey: bool,
    pub(super) tls: Option<Authority>,
}

/// This server among the others of a cluster.
pub(super) struct Routes {
    pub(super) name: String,
    pub(super) own: SocketAddr,
    pub(super) all: Vec<SocketAddr>,
}

impl Access {
    /// As a client that shows all of it; the files are in `dir`.
    pub(super) fn options(&self, dir: &Path) -> ConnectOptions {
        let mut options = match (&self.password, self.nkey) {
            (Some((user, password)), _) => ConnectOptions::with_user_and_password(user.clone(), password.clone()),
            (None, true) => ConnectOptions::with_nkey(SEED.to_owned()),
            (None, false) => ConnectOptions::new(),
        };
        if self.tls.is_some() {
            options = options
                .require_tls(true)
                .add_root_certificates(dir.join("ca.pem"))
                .add_client_certificate(dir.join("client.pem"), dir.join("client.key"));
        }
        options
    }

    fn write(&self, dir: &Path, host: SocketAddr) -> String {
        let mut text = String::new();
        if let Some((user, password)) = &self.password {
            fs::write(dir.join("password"), password).unwrap();
            writeln!(text, "authorization {{ user: \"{user}\", password: \"{password}\" }}").unwrap();
        } else if self.nkey {
            fs::write(dir.join("user.nk"), SEED).unwrap();
            writeln!(text, "authorization {{ users: [ {{ nkey: {PUBLIC} }} ] }}").unwrap();
        }
        if let Some(authority) = &self.tls {
            fs::write(dir.join("ca.pem"), authority.bundle_pem()).unwrap();
            authority.leaf("/nats").ip(host.ip()).issue().write(dir, "server");
            authority.issue("/nats-client").write(dir, "client");
            text += "tls { cert_file: server.pem, key_file: server.key, ca_file: ca.pem, verify: true }\n";
        }
        text
    }
}

/// Writes the configuration and all it names into `dir`.
pub(super) fn write(dir: &Path, address: SocketAddr, access: &Access, routes: Option<&Routes>) {
    let mut text = format!("listen: \"{address}\"\njetstream {{ store_dir: {STORE} }}\n");
    text += &access.write(dir, address);
    if let Some(Routes { name, own, all }) = routes {
        let routes: Vec<String> = all.iter().map(|route| format!("\"nats://{route}\"")).collect();
        writeln!(text, "server_name: {name}").unwrap();
        // Clients must stay with the addresses they were given: a test may stand in between.
        writeln!(
            text,
            "cluster {{ name: test, listen: \"{own}\", routes: [{}], no_advertise: true }}",
            routes.join(", ")
        )
        .unwrap();
    }
    fs::write(dir.join(FILE), text).unwrap();
}

pub(super) const FILE: &str = "nats.conf";
pub(super) const STORE: &str = "store";

/// A user of nobody's but these tests.
const SEED: &str = "SUAGBBOOBUMV3M7LE4PFPUWB2U4CVV4BHHHFIBWSCLAX2HNK5XTYA6CMBQ";
const PUBLIC: &str = "UAFTJ5KQEXCFHBWK4I3LLUEUJW53DWPQVLKBP4SZPXJLXQ2M2YTZMZWK";
