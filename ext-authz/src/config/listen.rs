//! `listen`: the doors. Unix sockets, because who may open them is then the file system's business.

use std::{net::SocketAddr, path::PathBuf};

use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
};

/// Where we are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    /// `ext_authz` for Envoy, and link for filters.
    pub ext_authz: UnixSocket,
    /// The same in plaintext on loopback, if allowed.
    pub ext_authz_tcp: Option<SocketAddr>,
    /// Revocations.
    pub control: UnixSocket,
    /// Metrics and health.
    pub admin: AdminListener,
}

/// A Unix socket and its permission bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSocket {
    /// Where it is.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
}

/// Where metrics and health are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminListener {
    /// An address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(UnixSocket),
}

pub(super) const KNOBS: &[Knob] = &[
    Knob::new(
        "listen.ext_authz.unix",
        KnobDefault::Value("/run/countersign/ext-authz.sock"),
        "Socket where Envoy asks (ext_authz) and filters are served (link).",
    ),
    Knob::new(
        "listen.ext_authz.mode",
        KnobDefault::Value("0660"),
        "Permission bits of that socket: whoever may open it may ask.",
    ),
    Knob::new(
        "listen.ext_authz_tcp.address",
        KnobDefault::None,
        "The same on a TCP port, on loopback only; needs allow_plaintext.",
    ),
    Knob::new(
        "listen.ext_authz_tcp.allow_plaintext",
        KnobDefault::Value("false"),
        "Says that everybody on this host may ask on that port.",
    ),
    Knob::new(
        "listen.control.unix",
        KnobDefault::Value("/run/countersign/control.sock"),
        "Socket for revoke, restore and signals.",
    ),
    Knob::new(
        "listen.control.mode",
        KnobDefault::Value("0600"),
        "Permission bits of that socket: whoever may open it may revoke.",
    ),
    Knob::new(
        "listen.admin.address",
        KnobDefault::Value("127.0.0.1:9902"),
        "Address for metrics and health, over HTTP.",
    ),
    Knob::new("listen.admin.unix", KnobDefault::None, "A socket for metrics and health, in place of the address."),
    Knob::new("listen.admin.mode", KnobDefault::Value("0660"), "Permission bits of that socket."),
];

impl ListenConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        let ext_authz = socket(reader, "listen.ext_authz.unix", "listen.ext_authz.mode");
        let ext_authz_tcp = plaintext(reader);
        let control = socket(reader, "listen.control.unix", "listen.control.mode");
        let admin = admin(reader);
        Some(Self { ext_authz: ext_authz?, ext_authz_tcp: ext_authz_tcp?, control: control?, admin: admin? })
    }
}

fn socket(reader: &Reader<'_>, path: &str, mode: &str) -> Option<UnixSocket> {
    let (path, mode) = (reader.value(path, scalar::path), reader.value(mode, scalar::mode));
    Some(UnixSocket { path: reader.located(path?), mode: mode? })
}

/// Without TLS of our own, a port must not be reachable from elsewhere, and somebody must have said that it is wanted.
#[expect(clippy::option_option, reason = "not wanted is not wrong")]
fn plaintext(reader: &Reader<'_>) -> Option<Option<SocketAddr>> {
    const ADDRESS: &str = "listen.ext_authz_tcp.address";
    let address = reader.optional(ADDRESS, scalar::address);
    let allowed = reader.value("listen.ext_authz_tcp.allow_plaintext", scalar::boolean)?;
    let Some(address) = address? else { return Some(None) };
    let line = reader.set(ADDRESS).map(|node| node.line);
    if !address.ip().is_loopback() {
        let what = format!(
            "is {address}, which others can reach, and this version has no TLS there; use 127.0.0.1, [::1] or listen.ext_authz.unix"
        );
        reader.complain(line, ADDRESS, what);
    } else if !allowed {
        let what = "is open to everybody on this host; set listen.ext_authz_tcp.allow_plaintext: true if that is meant";
        reader.complain(line, ADDRESS, what.to_owned());
    }
    Some(Some(address))
}

fn admin(reader: &Reader<'_>) -> Option<AdminListener> {
    let address = reader.value("listen.admin.address", scalar::address);
    let (path, mode) =
        (reader.optional("listen.admin.unix", scalar::path), reader.value("listen.admin.mode", scalar::mode));
    let (address, path, mode) = (address?, path?, mode?);
    let Some(path) = path else { return Some(AdminListener::Tcp(address)) };
    if let Some(node) = reader.set("listen.admin.address") {
        reader.complain(
            Some(node.line),
            "listen.admin.address",
            "is set beside listen.admin.unix; keep one of them".to_owned(),
        );
    }
    Some(AdminListener::Unix(UnixSocket { path: reader.located(path), mode }))
}
