//! TLS towards endpoints, by profile: who their server must prove to be. No certificate of ours is shown, and no session is resumed.

use std::{error::Error as StdError, fs, path::Path, sync::Arc};

use authz_core::{identity::SpiffeId, time::Timestamp};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        Resumption, WantsClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use thiserror::Error as ThisError;

use super::fetch::FetchError;
use crate::identity::{Bundles, Refusal, pem, svid};

/// `https_web`: whoever the system, or `ca_file` in its place, believes for the host of the URL.
pub(super) fn web(ca_file: Option<&Path>) -> Result<ClientConfig, FetchError> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(match ca_file {
        Some(file) => authorities(file)?,
        // What can't be read there is the system's own trouble; what can is enough, or nothing is.
        None => rustls_native_certs::load_native_certs().certs,
    });
    if roots.is_empty() {
        let place = ca_file.map_or("the system's store".to_owned(), |file| file.display().to_string());
        return Err(FetchError::Trust(format!("no certificate authority in {place}; install some, or set ca_file")));
    }
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(finish(builder.map_err(|error| FetchError::Trust(error.to_string()))?.with_root_certificates(roots)))
}

/// `https_spiffe`: exactly `id`, by a bundle of its trust domain in `bundles`; whatever its host is called.
pub(super) fn spiffe(id: &SpiffeId, bundles: Bundles) -> Result<ClientConfig, FetchError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(ExactlyThis { id: id.clone(), bundles, provider: Arc::clone(&provider) });
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| FetchError::Trust(error.to_string()))?;
    Ok(finish(builder.dangerous().with_custom_certificate_verifier(verifier)))
}

fn finish(builder: rustls::ConfigBuilder<ClientConfig, WantsClientCert>) -> ClientConfig {
    let mut config = builder.with_no_client_auth();
    // A resumed session would show no certificate: each fetch looks at one.
    config.resumption = Resumption::disabled();
    config
}

fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, FetchError> {
    let wrong = |what: String| FetchError::Trust(format!("ca_file {}: {what}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| wrong(format!("can't be read: {error}")))?;
    pem::certificates(&text, MAX_CA_CERTIFICATES).map_err(|error| wrong(error.to_string()))
}

/// More than any system ships.
const MAX_CA_CERTIFICATES: usize = 1000;

/// Why a server is not the endpoint it should be.
#[derive(Debug, ThisError)]
enum NotTheEndpoint {
    #[error("server is {found}, not the configured endpoint_id {expected}")]
    AnotherId { found: String, expected: SpiffeId },
    #[error("server's certificate is no X.509-SVID to believe: {0}")]
    Svid(Refusal),
}

impl NotTheEndpoint {
    fn into_error(self) -> Error {
        let cause: Arc<dyn StdError + Send + Sync> = Arc::new(self);
        Error::InvalidCertificate(CertificateError::Other(OtherError(cause)))
    }
}

/// SPIFFE Federation §5.2.2.2: the server's X.509-SVID has exactly the configured ID; its host name is not looked at.
#[derive(Debug)]
struct ExactlyThis {
    id: SpiffeId,
    bundles: Bundles,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ExactlyThis {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let proof = svid::verify(end_entity, intermediates, &self.bundles, Timestamp::from_secs(now.as_secs()))
            .map_err(|refusal| NotTheEndpoint::Svid(refusal).into_error())?;
        let found = proof.caller.credential().id();
        if *found == self.id {
            return Ok(ServerCertVerified::assertion());
        }
        Err(NotTheEndpoint::AnotherId { found: found.to_string(), expected: self.id.clone() }.into_error())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
