//! TLS towards endpoints, by profile: who their server must prove to be. No certificate of ours is shown, and no session is resumed.

use std::{fs, path::Path, sync::Arc};

use authz_core::identity::SpiffeId;
use rustls::{
    ClientConfig, RootCertStore,
    client::{Resumption, WantsClientCert},
    crypto::ring,
};
use rustls_pki_types::CertificateDer;

use super::fetch::FetchError;
use crate::identity::{Bundles, ExactServer, pem};

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

/// `https_spiffe` (SPIFFE Federation §5.2.2.2): exactly `id`, by a bundle of its trust domain in `bundles`; whatever its host is called.
pub(super) fn spiffe(id: &SpiffeId, bundles: Bundles) -> Result<ClientConfig, FetchError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(ExactServer::new(id.clone(), bundles, Arc::clone(&provider)));
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
