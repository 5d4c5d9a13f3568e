//! The way to the control port of a sidecar elsewhere: mTLS, as a workload, to exactly one workload. It asks nothing by itself.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use authz_core::identity::SpiffeId;
use clap::Args;
use http::Uri;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error as TlsError};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::CliError;
use crate::{
    identity::{Bundle, SvidSource},
    tls::client_config,
};

/// Which sidecar, and as whom.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct RemoteArgs {
    /// The control port of a sidecar elsewhere, as https://HOST:PORT, in place of --socket (needs the four below)
    #[arg(
        long,
        value_name = "URL",
        env = "COUNTERSIGN_ADDRESS",
        value_parser = parse_address,
        conflicts_with = "socket",
        requires_all = ["svid", "key", "trust", "server_id"]
    )]
    address: Option<Address>,
    /// Your X.509-SVID, PEM, leaf first
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_SVID")]
    svid: Option<PathBuf>,
    /// Its private key, PKCS#8 in PEM, mode 0600
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_KEY")]
    key: Option<PathBuf>,
    /// The trust bundle of the sidecar's trust domain, PEM or SPIFFE bundle JSON
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_TRUST")]
    trust: Option<PathBuf>,
    /// The SPIFFE ID that the sidecar must have; the name of its host proves nothing
    #[arg(long, value_name = "ID", env = "COUNTERSIGN_SERVER_ID", value_parser = SpiffeId::parse)]
    server_id: Option<SpiffeId>,
}

/// Who we are to a sidecar elsewhere, and who it must be.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Credentials {
    /// Your X.509-SVID, PEM, leaf first
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_SVID")]
    svid: Option<PathBuf>,
    /// Its private key, PKCS#8 in PEM, mode 0600
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_KEY")]
    key: Option<PathBuf>,
    /// The trust bundle of the sidecar's trust domain, PEM or SPIFFE bundle JSON
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_TRUST")]
    trust: Option<PathBuf>,
    /// The SPIFFE ID that the sidecar must have; the name of its host proves nothing
    #[arg(long, value_name = "ID", env = "COUNTERSIGN_SERVER_ID", value_parser = SpiffeId::parse)]
    server_id: Option<SpiffeId>,
}

impl Credentials {
    /// The sidecar at `address` (https://HOST:PORT), with these.
    pub(super) fn remote(&self, address: &str) -> Result<Remote, CliError> {
        let address =
            parse_address(address).map_err(|remedy| CliError::Usage(format!("--address is {address:?}; {remedy}")))?;
        let Self { svid: Some(svid), key: Some(key), trust: Some(trust), server_id: Some(id) } = self else {
            let message = "https:// needs --svid, --key, --trust and --server-id".to_owned();
            return Err(CliError::Usage(message));
        };
        remote(&address, svid, key, trust, id)
    }
}

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    host: String,
    port: u16,
}

/// A sidecar elsewhere and all that is needed to speak to it.
pub(super) struct Remote {
    address: Address,
    config: Arc<ClientConfig>,
}

impl RemoteArgs {
    /// The sidecar these name, if they name one.
    pub(super) fn target(&self) -> Result<Option<Remote>, CliError> {
        let Self { address: Some(address), svid: Some(svid), key: Some(key), trust: Some(trust), server_id: Some(id) } =
            self
        else {
            return Ok(None);
        };
        remote(address, svid, key, trust, id).map(Some)
    }
}

fn remote(address: &Address, svid: &Path, key: &Path, trust: &Path, id: &SpiffeId) -> Result<Remote, CliError> {
    let source = SvidSource { certificate: svid.to_path_buf(), key: key.to_path_buf() };
    let svid = source.read().map_err(|error| CliError::Usage(error.to_string()))?;
    let bundle = fs::read(trust).map_err(|error| error.to_string());
    let bundle = bundle.and_then(|bytes| Bundle::parse(&bytes).map_err(|error| error.to_string()));
    let bundle = bundle.map_err(|error| CliError::Usage(format!("{}: {error}", trust.display())))?;
    let config = client_config(&svid, bundle, id.clone()).map_err(|error| CliError::Usage(error.to_string()))?;
    Ok(Remote { address: address.clone(), config: Arc::new(config) })
}

impl Remote {
    /// For messages.
    pub(super) fn name(&self) -> String {
        let Address { host, port } = &self.address;
        format!("https://{host}:{port}")
    }

    /// Connects and waits for the sidecar's first word: with TLS 1.3 only that tells whether it took our certificate.
    pub(super) async fn connect(&self) -> Result<BufReader<TlsStream<TcpStream>>, CliError> {
        let connected = timeout(PATIENCE, self.shake_hands()).await;
        connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| self.explain(&error))
    }

    async fn shake_hands(&self) -> io::Result<BufReader<TlsStream<TcpStream>>> {
        let Address { host, port } = &self.address;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((bare, *port)).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(bare.to_owned()).map_err(io::Error::other)?;
        let mut stream = BufReader::new(TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await?);
        if stream.fill_buf().await?.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(stream)
    }

    fn explain(&self, error: &io::Error) -> CliError {
        let remedy = match error.get_ref().and_then(|cause| cause.downcast_ref::<TlsError>()) {
            Some(TlsError::AlertReceived(alert)) => of_alert(*alert),
            Some(TlsError::InvalidCertificate(CertificateError::Other(mismatch))) => {
                let text = format!("{}: {mismatch}; see --server-id and --trust", self.name(), mismatch = mismatch.0);
                return CliError::Refused(text);
            }
            Some(TlsError::InvalidMessage(_)) => "that port does not speak TLS; is it listen.control_tcp?",
            Some(_) => "see --svid, --trust and what the sidecar logs",
            None => "see whether a sidecar runs there with listen.control_tcp, and what it logs",
        };
        CliError::Refused(format!("no sidecar answers on {}: {error}; {remedy}", self.name()))
    }
}

fn of_alert(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::AccessDenied => {
            "either it has no valid SVID of its own, or your SPIFFE ID is not in listen.control_tcp.allow; its log says which"
        }
        AlertDescription::CertificateRevoked => "your SVID is revoked there",
        AlertDescription::CertificateExpired | AlertDescription::UnknownCA => {
            "it does not accept your SVID: see whether --svid is valid, and identity.trust_bundles of the sidecar"
        }
        AlertDescription::ProtocolVersion => "it does not speak TLS 1.3",
        _ => "see what the sidecar logs",
    }
}

fn parse_address(text: &str) -> Result<Address, String> {
    let remedy = || "write it as https://HOST:PORT".to_owned();
    let uri: Uri = text.parse().map_err(|_| remedy())?;
    let plain = matches!(uri.path(), "" | "/") && uri.query().is_none();
    match (uri.scheme_str(), uri.host(), uri.port_u16()) {
        (Some("https"), Some(host), Some(port)) if plain && !host.is_empty() && !text.contains('@') => {
            Ok(Address { host: host.to_owned(), port })
        }
        _ => Err(remedy()),
    }
}

/// From the first packet to the sidecar's first word.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_a_host_and_a_port() {
        for (text, host, port) in [
            ("https://10.0.0.1:9193", "10.0.0.1", 9193),
            ("https://sidecar.orders:1/", "sidecar.orders", 1),
            ("https://[::1]:9193", "[::1]", 9193),
        ] {
            assert_eq!(parse_address(text), Ok(Address { host: host.to_owned(), port }), "{text}");
        }
        for bad in [
            "",
            "10.0.0.1:9193",
            "http://a:1",
            "https://a",
            "https://a:1/b",
            "https://a:1?b",
            "https://u@a:1",
            "https://:1",
        ] {
            assert!(parse_address(bad).is_err(), "{bad}");
        }
    }
}
