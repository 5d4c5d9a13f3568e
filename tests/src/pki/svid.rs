//! An issued identity: chain, key, digest, and how to put them on disk.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// An X.509-SVID with its private key; leaf first.
#[derive(Clone)]
pub struct Svid {
    id: String,
    chain: Vec<Vec<u8>>,
    key: Vec<u8>,
    serial: Option<String>,
}

/// Where an SVID was written.
#[derive(Clone)]
pub struct SvidFiles {
    /// The chain, PEM, leaf first.
    pub cert: PathBuf,
    /// The PKCS#8 key, PEM.
    pub key: PathBuf,
}

impl Svid {
    pub(super) fn new(id: String, chain: Vec<Vec<u8>>, key: Vec<u8>, serial: Option<String>) -> Self {
        Self { id, chain, key, serial }
    }

    /// The same certificate in the hands of somebody who has another key.
    pub fn stolen(&self, by: &Self) -> Self {
        Self { key: by.key.clone(), ..self.clone() }
    }

    /// The SPIFFE ID that was asked for; a wrong leaf may carry other SANs.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The certificates as presented, DER, leaf first.
    pub fn chain_der(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// The leaf, DER.
    pub fn leaf_der(&self) -> &[u8] {
        &self.chain[0]
    }

    /// The leaf, PEM.
    pub fn leaf_pem(&self) -> String {
        pem("CERTIFICATE", self.leaf_der())
    }

    /// The certificates as presented, PEM, leaf first.
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(|der| pem("CERTIFICATE", der)).collect()
    }

    /// The private key, PKCS#8 DER.
    pub fn key_der(&self) -> &[u8] {
        &self.key
    }

    /// The private key, PKCS#8 PEM.
    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }

    /// SHA-256 of the leaf, lower-case hex: what Envoy calls `Hash` and fingerprint.
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(self.leaf_der()))
    }

    /// What the Envoy of `by` writes into `x-forwarded-client-cert` about a client with this identity, given
    /// `set_current_client_cert_details: { uri: true, cert: true, chain: true }`.
    pub fn xfcc_element(&self, by: &str) -> String {
        let (leaf, chain) = (escaped(&self.leaf_pem()), escaped(&self.chain_pem()));
        format!("By={by};Hash={};Cert=\"{leaf}\";Chain=\"{chain}\";URI={}", self.digest(), self.id)
    }

    /// The serial number in lower-case hex, where the test chose one.
    pub fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    /// Writes `<name>.pem` and `<name>.key` into `dir`, each by rename, the key for its owner only.
    pub fn write(&self, dir: &Path, name: &str) -> SvidFiles {
        SvidFiles { cert: self.write_cert(dir, name), key: self.write_key(dir, name) }
    }

    /// Writes `<name>.pem` alone.
    pub fn write_cert(&self, dir: &Path, name: &str) -> PathBuf {
        put(dir.join(format!("{name}.pem")), &self.chain_pem())
    }

    /// Writes `<name>.key` alone.
    pub fn write_key(&self, dir: &Path, name: &str) -> PathBuf {
        put(dir.join(format!("{name}.key")), &self.key_pem())
    }
}

fn put(path: PathBuf, text: &str) -> PathBuf {
    let next = path.with_added_extension("next");
    fs::write(&next, text).unwrap();
    fs::set_permissions(&next, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(next, &path).unwrap();
    path
}

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let text = base64(der, STANDARD);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).unwrap());
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Envoy's way to keep PEM from breaking out of the header.
fn escaped(pem: &str) -> String {
    [("%", "%25"), ("\n", "%0A"), (" ", "%20"), ("+", "%2B"), ("/", "%2F"), ("=", "%3D")]
        .iter()
        .fold(pem.to_owned(), |text, (plain, escape)| text.replace(plain, escape))
}

/// Base 64 (RFC 4648 §4), padded, in the given alphabet.
pub(super) fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place)) & 63;
            text.push(if place <= group.len() { char::from(alphabet[index as usize]) } else { '=' });
        }
    }
    text
}

pub(super) const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
pub(super) const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
