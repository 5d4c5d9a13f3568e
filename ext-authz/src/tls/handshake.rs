//! One handshake as rustls asks it: which certificate is ours, and is theirs good. What came of it is kept for whoever counts.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use authz_core::identity::SpiffeId;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
    client::danger::HandshakeSignatureValid,
    crypto::{self, CryptoProvider},
    server::{
        ClientHello, NoServerSessionStorage, ResolvesServerCert,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{
    gatekeeper::{Gatekeeper, Refused},
    outcome::Outcome,
    peer::Peer,
};
use crate::{
    clock,
    config::TlsVersion,
    identity::{OwnIdentity, svid},
};

/// What both sides of one handshake turn out to be.
pub(super) struct Handshake {
    gatekeeper: Arc<Gatekeeper>,
    own: OwnIdentity,
    provider: Arc<CryptoProvider>,
    claimed: OnceLock<Option<SpiffeId>>,
    peer: OnceLock<Arc<Peer>>,
    refused: OnceLock<Refused>,
    own_trouble: OnceLock<Outcome>,
}

impl Handshake {
    pub(super) fn new(gatekeeper: Arc<Gatekeeper>, own: OwnIdentity, provider: Arc<CryptoProvider>) -> Self {
        Self {
            gatekeeper,
            own,
            provider,
            claimed: OnceLock::new(),
            peer: OnceLock::new(),
            refused: OnceLock::new(),
            own_trouble: OnceLock::new(),
        }
    }

    /// The configuration of this one connection: it knows whom it is about, and nothing of it is shared with another.
    pub(super) fn config(self: &Arc<Self>, least: TlsVersion, protocol: &[u8]) -> Result<ServerConfig, Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions(least))?
            .with_client_cert_verifier(Arc::<Self>::clone(self))
            .with_cert_resolver(Arc::<Self>::clone(self));
        // A resumed session would not show its certificate again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(config)
    }

    /// The client, once the handshake is done.
    pub(super) fn peer(&self) -> Option<Arc<Peer>> {
        self.peer.get().cloned()
    }

    /// The ID the client named, proven or not.
    pub(super) fn claimed(&self) -> Option<&SpiffeId> {
        self.claimed.get()?.as_ref()
    }

    /// Why it was refused, in words for the log.
    pub(super) fn refused(&self) -> Option<&Refused> {
        self.refused.get()
    }

    /// What a handshake that failed with `error` came to.
    pub(super) fn failed(&self, error: &std::io::Error) -> Outcome {
        let ours = self.own_trouble.get().copied();
        ours.or_else(|| self.refused.get().map(Refused::outcome)).unwrap_or_else(|| outcome_of(error))
    }

    fn refuse(&self, refused: Refused) -> Error {
        let error = match &refused {
            Refused::NotAllowed | Refused::NotReady => CertificateError::ApplicationVerificationFailure,
            Refused::Revoked => CertificateError::Revoked,
            // The client is not told which rule its certificate breaks; the log is.
            Refused::Untrusted(_) => CertificateError::UnknownIssuer,
        };
        let _ = self.refused.set(refused);
        Error::InvalidCertificate(error)
    }

    /// Only now it is known that the client has the key: what is said of it before would be said of whoever copied a certificate.
    fn admit(&self, signed: HandshakeSignatureValid) -> Result<HandshakeSignatureValid, Error> {
        let peer = self.peer.get().ok_or(Error::NoCertificatesPresented)?;
        peer.check(clock::now()).map_err(|refused| self.refuse(refused))?;
        Ok(signed)
    }
}

impl ResolvesServerCert for Handshake {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Some(svid) = self.own.current() else {
            let _ = self.own_trouble.set(Outcome::NoOwnSvid);
            return None;
        };
        if !svid.holds_at(clock::now()) {
            let _ = self.own_trouble.set(Outcome::OwnSvidExpired);
            return None;
        }
        Some(svid.certified_key())
    }
}

impl ClientCertVerifier for Handshake {
    /// No hints: which authorities we trust is nobody's business before he is known.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let _ = self.claimed.set(svid::claimed_id(end_entity));
        let chain = std::iter::once(end_entity).chain(intermediates).map(|it| it.clone().into_owned()).collect();
        let peer = Peer::identify(Arc::clone(&self.gatekeeper), chain, clock::now());
        let peer = peer.map_err(|refused| self.refuse(refused))?;
        let _ = self.peer.set(Arc::new(peer));
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.admit(crypto::verify_tls12_signature(message, certificate, signature, algorithms)?)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.admit(crypto::verify_tls13_signature(message, certificate, signature, algorithms)?)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("claimed", &self.claimed)
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_V12: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
    static FROM_V13: &[&SupportedProtocolVersion] = &[&TLS13];
    match least {
        TlsVersion::V12 => FROM_V12,
        TlsVersion::V13 => FROM_V13,
    }
}

fn outcome_of(error: &std::io::Error) -> Outcome {
    match error.get_ref().and_then(|error| error.downcast_ref::<Error>()) {
        None | Some(Error::General(_)) => Outcome::Error,
        Some(Error::AlertReceived(_)) => Outcome::Alert,
        Some(Error::NoCertificatesPresented) => Outcome::NoCertificate,
        // A signature that does not fit its certificate among them: whoever sent it has not the key.
        Some(Error::InvalidCertificate(_)) => Outcome::Untrusted,
        Some(_) => Outcome::Protocol,
    }
}
