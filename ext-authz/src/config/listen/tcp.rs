//! TCP listeners: mTLS with a list of who may come in, or plaintext where nobody else can reach it. It opens nothing.

use std::net::SocketAddr;

use authz_core::identity::IdPattern;

use crate::config::{reader::Reader, scalar, tree::Node};

/// A port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpListener {
    /// With TLS and client certificates.
    Mtls(MtlsListener),
    /// Without either, on loopback.
    Plaintext(SocketAddr),
}

/// A port with TLS and client certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MtlsListener {
    /// Where it is.
    pub address: SocketAddr,
    /// Who may come in; never empty.
    pub allow: Vec<IdPattern>,
}

/// A version of TLS.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2.
    V12,
    /// 1.3.
    V13,
}

pub(super) const ADMIN: &str = "listen.admin.address";
pub(super) const CONTROL: &str = "listen.control_tcp.address";
pub(super) const EXT_AUTHZ: &str = "listen.ext_authz_tcp.address";

/// `"1.2"` or `"1.3"`.
pub(super) fn version(node: &Node) -> Result<TlsVersion, String> {
    match scalar::text(node)?.as_str() {
        "1.2" => Ok(TlsVersion::V12),
        "1.3" => Ok(TlsVersion::V13),
        other => Err(format!("is {other:?}; write \"1.3\" or \"1.2\"")),
    }
}

/// With the list it is mTLS; without one it must not be reachable from elsewhere, and somebody must have said that it is wanted.
#[expect(clippy::option_option, reason = "not wanted is not wrong")]
pub(super) fn ext_authz(reader: &Reader<'_>) -> Option<Option<TcpListener>> {
    const ALLOW: &str = "listen.ext_authz_tcp.allow";
    const PLAINTEXT: &str = "listen.ext_authz_tcp.allow_plaintext";
    let address = reader.optional(EXT_AUTHZ, scalar::address);
    let (allow, plaintext) = (allow(reader, ALLOW), reader.value(PLAINTEXT, scalar::boolean));
    let (address, allow, plaintext) = (address?, allow?, plaintext?);
    let Some(address) = address else {
        refuse_list_alone(reader, ALLOW, EXT_AUTHZ);
        return Some(None);
    };
    let complain = |what: &str| reader.complain(line_of(reader, EXT_AUTHZ), EXT_AUTHZ, what.to_owned());
    match (allow, plaintext) {
        (Some(_), true) => {
            reader.complain(line_of(reader, PLAINTEXT), PLAINTEXT, format!("is true beside {ALLOW}; keep one of them"));
        }
        (Some(allow), false) => return Some(Some(TcpListener::Mtls(MtlsListener { address, allow }))),
        (None, true) if !address.ip().is_loopback() => complain(&format!(
            "is {address}, which others can reach, in plaintext; list in {ALLOW} who may ask (mTLS), or use 127.0.0.1, [::1] or listen.ext_authz.unix"
        )),
        (None, true) => return Some(Some(TcpListener::Plaintext(address))),
        (None, false) => complain(&format!(
            "does not say who may ask; list their SPIFFE IDs in {ALLOW} (mTLS), or, on loopback, set {PLAINTEXT}: true if everybody on this host may"
        )),
    }
    None
}

/// Always mTLS: who revokes must be known.
#[expect(clippy::option_option, reason = "not wanted is not wrong")]
pub(super) fn control(reader: &Reader<'_>) -> Option<Option<MtlsListener>> {
    const ALLOW: &str = "listen.control_tcp.allow";
    let (address, allow) = (reader.optional(CONTROL, scalar::address), allow(reader, ALLOW));
    match (address?, allow?) {
        (Some(address), Some(allow)) => Some(Some(MtlsListener { address, allow })),
        (Some(_), None) => {
            let what = format!("does not say who may revoke; list their SPIFFE IDs in {ALLOW}");
            reader.complain(line_of(reader, CONTROL), CONTROL, what);
            None
        }
        (None, _) => {
            refuse_list_alone(reader, ALLOW, CONTROL);
            Some(None)
        }
    }
}

/// mTLS if there is a list; without one, loopback only.
pub(super) fn admin(reader: &Reader<'_>) -> Option<TcpListener> {
    const ALLOW: &str = "listen.admin.allow";
    let (address, allow) = (reader.value(ADMIN, scalar::address), allow(reader, ALLOW));
    match (address?, allow?) {
        (address, Some(allow)) => Some(TcpListener::Mtls(MtlsListener { address, allow })),
        (address, None) if address.ip().is_loopback() => Some(TcpListener::Plaintext(address)),
        (address, None) => {
            let what = format!(
                "is {address}, which others can reach, in plaintext; list in {ALLOW} who may read (mTLS), or use 127.0.0.1, [::1] or listen.admin.unix"
            );
            reader.complain(line_of(reader, ADMIN), ADMIN, what);
            None
        }
    }
}

#[expect(clippy::option_option, reason = "no list is not wrong")]
fn allow(reader: &Reader<'_>, list: &str) -> Option<Option<Vec<IdPattern>>> {
    if reader.set(list).is_none() { Some(None) } else { reader.values(list, scalar::id_pattern).map(Some) }
}

fn refuse_list_alone(reader: &Reader<'_>, list: &str, address: &str) {
    if let Some(node) = reader.set(list) {
        reader.complain(Some(node.line), list, format!("is set without {address}; set both or none"));
    }
}

fn line_of(reader: &Reader<'_>, knob: &str) -> Option<u64> {
    reader.set(knob).map(|node| node.line)
}
