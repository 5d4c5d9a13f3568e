//! The way to the door of a running sidecar at which Envoy asks (`ext_authz`), and the question in Envoy's form. It explains nothing.

use std::{fmt::Write as _, fs, io, path::PathBuf};

use authz_core::time::Timestamp;
use clap::Args;
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::{
    cli::{
        CliError,
        client::with_sources,
        remote::{Credentials, Remote},
    },
    grpc::asking::{self, Answer, Shown},
    identity::svid::claimed_validity,
    workbench::Draft,
};

/// Which sidecar, and what certificate its caller shows.
#[derive(Debug, Args)]
pub(super) struct SidecarArgs {
    /// Ask the sidecar that listens there for Envoy: unix:PATH, HOST:PORT (plaintext), or https://HOST:PORT with the four below --certificate
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// The certificate of the caller, PEM, leaf first; without it, the caller has none
    #[arg(long, value_name = "FILE", requires = "address", conflicts_with_all = ["caller", "unverified", "hop"])]
    certificate: Option<PathBuf>,
    #[command(flatten)]
    credentials: Credentials,
}

/// A sidecar to ask.
pub(super) enum Target {
    Plain(String),
    Tls(Remote),
    Unix(PathBuf),
}

/// What the caller shows.
pub(super) struct Certificate {
    /// Each certificate in PEM, the leaf first.
    pems: Vec<String>,
    /// SHA-256 of the leaf, in hexadecimal.
    digest: String,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl SidecarArgs {
    pub(super) fn target(&self) -> Result<Option<Target>, CliError> {
        let Some(address) = &self.address else { return Ok(None) };
        if let Some(path) = address.strip_prefix("unix:") {
            return Ok(Some(Target::Unix(PathBuf::from(path))));
        }
        if address.starts_with("https://") {
            return self.credentials.remote(address).map(|remote| Some(Target::Tls(remote)));
        }
        let is_plain =
            address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if address.contains("://") || !is_plain {
            let message = format!("--address is {address:?}; write unix:PATH, HOST:PORT or https://HOST:PORT");
            return Err(CliError::Usage(message));
        }
        Ok(Some(Target::Plain(address.clone())))
    }

    pub(super) fn certificate(&self) -> Result<Option<Certificate>, CliError> {
        let Some(path) = &self.certificate else { return Ok(None) };
        let wrong = |error: String| {
            CliError::Usage(format!("{}: {error}; name a PEM file with the caller's certificates", path.display()))
        };
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let pems = certificates(&text);
        let leaf = pems.first().ok_or_else(|| wrong("there is no certificate in it".to_owned()))?;
        let leaf = CertificateDer::from_pem_slice(leaf.as_bytes()).map_err(|error| wrong(error.to_string()))?;
        let (not_before, not_after) = claimed_validity(&leaf).unwrap_or_default();
        let digest = Sha256::digest(&leaf).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        Ok(Some(Certificate { pems, digest, not_before, not_after }))
    }
}

impl Certificate {
    /// From when until when it is valid.
    pub(super) fn validity(&self) -> (Timestamp, Timestamp) {
        (self.not_before, self.not_after)
    }

    /// `x-forwarded-client-cert` as Envoy writes it where the caller shows a chain.
    fn forwarded(&self) -> Option<String> {
        let Self { pems, digest, .. } = self;
        let leaf = pems.first().filter(|_| pems.len() > 1)?;
        Some(format!("Hash={digest};Cert=\"{}\";Chain=\"{}\"", encoded(leaf), encoded(&pems.concat())))
    }
}

/// Asks and waits for the answer.
pub(super) async fn ask(target: Target, draft: &Draft, certificate: Option<&Certificate>) -> Result<Answer, CliError> {
    let name = target.name();
    let channel = match target {
        Target::Plain(address) => over(TcpStream::connect(&address).await, &name).await,
        Target::Tls(remote) => over(Ok(remote.connect().await?), &name).await,
        Target::Unix(path) => over(UnixStream::connect(&path).await, &name).await,
    }?;
    let leaf = certificate.and_then(|certificate| certificate.pems.first()).map(|pem| encoded(pem));
    let shown = Shown { leaf: leaf.unwrap_or_default(), forwarded: certificate.and_then(Certificate::forwarded) };
    let answer = asking::ask(channel, draft, shown).await.map_err(|status| {
        let remedy = "is it the door for Envoy (listen.ext_authz in the configuration), and not the control socket?";
        CliError::Refused(format!("{name} did not answer ({:?}: {}); {remedy}", status.code(), status.message()))
    })?;
    answer.ok_or_else(|| {
        CliError::Refused(format!("{name} answered, but not as Countersign does: there is no verdict in its metadata"))
    })
}

/// Speaks gRPC on a connection that was made already, so that its errors are plain.
async fn over<S>(stream: io::Result<S>, name: &str) -> Result<Channel, CliError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let remedy =
        "start a sidecar (countersign serve), or name its door for Envoy: listen.ext_authz in its configuration";
    let stream =
        stream.map_err(|error| CliError::Refused(format!("no sidecar answers on {name}: {error}; {remedy}")))?;
    let mut stream = Some(TokioIo::new(stream));
    let connector = service_fn(move |_| {
        let stream = stream.take().ok_or_else(|| io::Error::other("the sidecar closed the connection"));
        std::future::ready(stream)
    });
    let channel = Endpoint::from_static("http://countersign.invalid").connect_with_connector(connector).await;
    channel.map_err(|error| CliError::Refused(format!("{name}: {}", with_sources(&error))))
}

impl Target {
    fn name(&self) -> String {
        match self {
            Self::Plain(address) => address.clone(),
            Self::Tls(remote) => remote.name(),
            Self::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}

/// The certificates of a text, each with its armour.
fn certificates(text: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let bodies = text.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END));
    bodies.map(|(body, _)| format!("{BEGIN}{body}{END}\n")).collect()
}

/// Percent-encoded: nothing that means something in a header stays.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => encoded.push(byte.into()),
            // Writing to a String never fails.
            other => drop(write!(encoded, "%{other:02X}")),
        }
    }
    encoded
}
