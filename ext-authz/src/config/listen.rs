//! `listen`: the doors. Unix sockets, because who may open them is then the file system's business; by TCP only mTLS, or plaintext on loopback.

use std::path::PathBuf;

pub use self::tcp::{MtlsListener, TcpListener, TlsVersion};
use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
};

mod tcp;

/// Where we are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    /// Lowest version of TLS that is spoken.
    pub tls_min_version: TlsVersion,
    /// `ext_authz` for Envoy, and link for filters.
    pub ext_authz: UnixSocket,
    /// The same over TCP, if wanted.
    pub ext_authz_tcp: Option<TcpListener>,
    /// Revocations.
    pub control: UnixSocket,
    /// The same over TCP, if wanted: never without TLS.
    pub control_tcp: Option<MtlsListener>,
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
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixSocket),
}

pub(super) const KNOBS: &[Knob] = &[
    Knob::new(
        "listen.tls_min_version",
        KnobDefault::Value("\"1.3\""),
        "Lowest version of TLS on TCP listeners, in quotes: 1.3, or 1.2 for clients that can't do better.",
    ),
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
        "The same on a TCP port with mTLS, which needs an SVID of our own and the list of who may ask.",
    ),
    Knob::new(
        "listen.ext_authz_tcp.allow[]",
        KnobDefault::None,
        "Who may ask there: a SPIFFE ID, spiffe://td/path/* for all at and below a path, or spiffe://td/* for a trust domain.",
    ),
    Knob::new(
        "listen.ext_authz_tcp.allow_plaintext",
        KnobDefault::Value("false"),
        "Makes that port plaintext, on loopback only, and says that everybody on this host may ask there.",
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
        "listen.control_tcp.address",
        KnobDefault::None,
        "The same on a TCP port, always with mTLS; the audit trail then names the SPIFFE ID of who revoked.",
    ),
    Knob::new("listen.control_tcp.allow[]", KnobDefault::None, "Who may revoke there, as in ext_authz_tcp."),
    Knob::new(
        "listen.admin.address",
        KnobDefault::Value("127.0.0.1:9902"),
        "Address for metrics and health, over HTTP; with mTLS if a list says who may read, without one on loopback only.",
    ),
    Knob::new("listen.admin.allow[]", KnobDefault::None, "Who may read there, as in ext_authz_tcp."),
    Knob::new("listen.admin.unix", KnobDefault::None, "A socket for metrics and health, in place of the address."),
    Knob::new("listen.admin.mode", KnobDefault::Value("0660"), "Permission bits of that socket."),
];

impl ListenConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        let tls_min_version = reader.value("listen.tls_min_version", tcp::version);
        let ext_authz = socket(reader, "listen.ext_authz.unix", "listen.ext_authz.mode");
        let ext_authz_tcp = tcp::ext_authz(reader);
        let control = socket(reader, "listen.control.unix", "listen.control.mode");
        let control_tcp = tcp::control(reader);
        let admin = admin(reader);
        Some(Self {
            tls_min_version: tls_min_version?,
            ext_authz: ext_authz?,
            ext_authz_tcp: ext_authz_tcp?,
            control: control?,
            control_tcp: control_tcp?,
            admin: admin?,
        })
    }

    /// The knob of each listener that can't be opened to anybody without an SVID of our own.
    pub fn needing_own_svid(&self) -> Vec<&'static str> {
        let ext_authz = matches!(self.ext_authz_tcp, Some(TcpListener::Mtls(_)));
        let admin = matches!(self.admin, AdminListener::Tcp(TcpListener::Mtls(_)));
        let all = [(ext_authz, tcp::EXT_AUTHZ), (self.control_tcp.is_some(), tcp::CONTROL), (admin, tcp::ADMIN)];
        all.into_iter().filter(|(needs, _)| *needs).map(|(_, knob)| knob).collect()
    }
}

fn socket(reader: &Reader<'_>, path: &str, mode: &str) -> Option<UnixSocket> {
    let (path, mode) = (reader.value(path, scalar::path), reader.value(mode, scalar::mode));
    Some(UnixSocket { path: reader.located(path?), mode: mode? })
}

fn admin(reader: &Reader<'_>) -> Option<AdminListener> {
    let (path, mode) =
        (reader.optional("listen.admin.unix", scalar::path), reader.value("listen.admin.mode", scalar::mode));
    let (path, mode) = (path?, mode?);
    let Some(path) = path else { return tcp::admin(reader).map(AdminListener::Tcp) };
    for knob in ["listen.admin.address", "listen.admin.allow"] {
        if let Some(node) = reader.set(knob) {
            let what = "is set beside listen.admin.unix; keep one of them".to_owned();
            reader.complain(Some(node.line), knob, what);
        }
    }
    Some(AdminListener::Unix(UnixSocket { path: reader.located(path), mode }))
}
