//! The client's side: who we are, and the one workload that must be on the other end. Names of hosts prove nothing here.

use std::sync::Arc;

use authz_core::identity::{SpiffeId, TrustDomain};
use rustls::{ClientConfig, Error, client::Resumption, crypto::ring};

use crate::identity::{Bundle, Bundles, ExactServer, OwnSvid};

/// TLS 1.3 as `svid`, to nobody but `server`, whose trust domain has the authorities of `bundle`.
///
/// # Errors
/// Never, unless the provider lacks TLS 1.3.
pub fn client_config(svid: &OwnSvid, bundle: Bundle, server: SpiffeId) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let bundles = Bundles::new([(TrustDomain::of(&server), Arc::new(bundle))]);
    let verifier = ExactServer::new(server, bundles, Arc::clone(&provider));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(svid.resolver()));
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
