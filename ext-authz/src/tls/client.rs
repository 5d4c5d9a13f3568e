//! The client's side: who we are, and the one workload that must be on the other end. Names of hosts prove nothing here.

use std::{fmt, sync::Arc};

use authz_core::identity::{SpiffeId, TrustDomain};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{self, CryptoProvider, ring},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use thiserror::Error;

use crate::{
    clock,
    identity::{Bundle, Bundles, Forwarding, OwnSvid, Refusal, Verifier},
};

/// Why a server is not the one that was meant.
#[derive(Debug, Error)]
pub enum ServerMismatch {
    /// It is a workload we can verify, and another one.
    #[error("the server is {found}, not {expected}")]
    Other {
        /// Who it is.
        found: SpiffeId,
        /// Who it was to be.
        expected: SpiffeId,
    },
    /// Its certificate proves nothing under the bundle.
    #[error("the server's certificate proves nothing: {0}")]
    Untrusted(Refusal),
}

/// TLS 1.3 as `svid`, to nobody but `server`, whose trust domain has the authorities of `bundle`.
///
/// # Errors
/// Never, unless the provider lacks TLS 1.3.
pub fn client_config(svid: &OwnSvid, bundle: Bundle, server: SpiffeId) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let bundles = Bundles::new([(TrustDomain::of(&server), Arc::new(bundle))]);
    let verifier =
        ExactlyOne { server, verifier: Verifier::new(bundles, Forwarding::default()), provider: Arc::clone(&provider) };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(svid.resolver()));
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// Believes one workload, by the rules for SVIDs.
struct ExactlyOne {
    server: SpiffeId,
    verifier: Verifier,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ExactlyOne {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        let refuse = |mismatch| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(mismatch))));
        let found = self.verifier.verify_peer(&chain, clock::now());
        let found = found.map_err(|refusal| refuse(ServerMismatch::Untrusted(refusal)))?;
        let found = found.credential().id();
        if *found != self.server {
            return Err(refuse(ServerMismatch::Other { found: found.clone(), expected: self.server.clone() }));
        }
        Ok(ServerCertVerified::assertion())
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

impl fmt::Debug for ExactlyOne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExactlyOne").field("server", &self.server).finish_non_exhaustive()
    }
}
