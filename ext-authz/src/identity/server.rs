//! The one workload that must be on the other end of a TLS connection we make, by the rules for SVIDs. Names of hosts prove nothing here.

use std::sync::Arc;

use authz_core::identity::SpiffeId;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{self, CryptoProvider},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use thiserror::Error as ThisError;

use super::{bundle::Bundles, refusal::Refusal, svid};
use crate::clock;

/// Believes one workload, by a bundle of its own trust domain.
#[derive(Debug)]
pub struct ExactServer {
    server: SpiffeId,
    bundles: Bundles,
    provider: Arc<CryptoProvider>,
}

/// Why a server is not the one that was meant.
#[derive(Debug, ThisError)]
pub enum ServerMismatch {
    /// It is a workload we can verify, and another one.
    #[error("the server is {found}, not {expected}")]
    Other {
        /// Who it is.
        found: SpiffeId,
        /// Who it was to be.
        expected: SpiffeId,
    },
    /// Its certificate proves nothing under the bundles.
    #[error("the server's certificate proves nothing: {0}")]
    Untrusted(Refusal),
}

impl ExactServer {
    /// Believes `server` alone, by what is in `bundles`.
    pub fn new(server: SpiffeId, bundles: Bundles, provider: Arc<CryptoProvider>) -> Self {
        Self { server, bundles, provider }
    }

    fn check(&self, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Result<(), ServerMismatch> {
        let proof =
            svid::verify(leaf, intermediates, &self.bundles, clock::now()).map_err(ServerMismatch::Untrusted)?;
        let found = proof.caller.credential().id();
        if *found == self.server {
            return Ok(());
        }
        Err(ServerMismatch::Other { found: found.clone(), expected: self.server.clone() })
    }
}

impl ServerCertVerifier for ExactServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let refuse = |mismatch| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(mismatch))));
        self.check(end_entity, intermediates).map(|()| ServerCertVerified::assertion()).map_err(refuse)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
