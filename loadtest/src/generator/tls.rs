//! The client's side of TLS, from PEM. It must not resume sessions: each connection shows its certificate anew.

use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How to open a TLS connection.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    server_name: ServerName<'static>,
}

/// PEM texts of one client.
#[derive(Clone, Copy, Debug)]
pub struct ClientPem<'a> {
    /// The certificates the server's chain may end in.
    pub roots: &'a [u8],
    /// The client's chain, leaf first.
    pub chain: &'a [u8],
    /// The key of the leaf.
    pub key: &'a [u8],
}

impl Tls {
    /// A client that shows the chain of `pem` and expects a server certificate for `server_name`.
    ///
    /// # Errors
    /// PEM that holds no usable certificate or key, or a name that is no DNS name or IP address.
    pub fn new(pem: ClientPem<'_>, server_name: &str) -> Result<Self, InvalidTls> {
        let mut roots = RootCertStore::empty();
        for root in certificates(pem.roots).map_err(InvalidTls::Roots)? {
            roots.add(root).map_err(InvalidTls::Refused)?;
        }
        let chain = certificates(pem.chain).map_err(InvalidTls::Chain)?;
        let key = PrivateKeyDer::from_pem_slice(pem.key).map_err(InvalidTls::Key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(InvalidTls::Refused)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(InvalidTls::Refused)?;
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let server_name =
            ServerName::try_from(server_name.to_owned()).map_err(|_| InvalidTls::ServerName(server_name.to_owned()))?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), server_name })
    }

    /// Shakes hands on `stream`.
    pub(super) async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.server_name.clone(), stream).await
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// Why TLS can't be spoken.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTls {
    /// The client's certificates.
    #[error("client certificate: {0}")]
    Chain(#[source] rustls::pki_types::pem::Error),
    /// The client's key.
    #[error("client key: {0}")]
    Key(#[source] rustls::pki_types::pem::Error),
    /// rustls does not take them.
    #[error("refused by rustls: {0}")]
    Refused(#[source] rustls::Error),
    /// The server's roots.
    #[error("roots: {0}")]
    Roots(#[source] rustls::pki_types::pem::Error),
    /// Not a name.
    #[error("server name `{0}` is neither a DNS name nor an IP address")]
    ServerName(String),
}

/// All certificates of a PEM text; a text without any is an error too.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() { Err(rustls::pki_types::pem::Error::NoItemsFound) } else { Ok(all) }
}
