//! Issues X.509-SVIDs, right ones and deliberately wrong ones, under authorities made on the spot; it never judges one.

mod bundle;
mod fault;
mod leaf;
mod svid;

pub use bundle::{bundle_map_json, jwks};
pub use fault::Fault;
pub use leaf::Leaf;
pub use svid::{Svid, SvidFiles};

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

/// The certificate authority of one trust domain: a root, and an intermediate if asked for.
#[derive(Clone)]
pub struct Authority {
    trust_domain: String,
    root: Arc<Ca>,
    intermediate: Option<Arc<Ca>>,
}

impl Authority {
    /// A root whose certificate carries the trust domain's SPIFFE ID, without a path (X509-SVID §4.1).
    pub fn new(trust_domain: &str) -> Self {
        let params = ca_params(trust_domain, "root");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let root = Ca { der: certificate.der().to_vec(), issuer: Issuer::new(params, key) };
        Self { trust_domain: trust_domain.to_owned(), root: Arc::new(root), intermediate: None }
    }

    /// Issues from an intermediate below the root; leaves come with it in their chain.
    pub fn with_intermediate(mut self) -> Self {
        self.intermediate = Some(Arc::new(self.root.sign_ca(ca_params(&self.trust_domain, "intermediate"))));
        self
    }

    /// Issues from an "intermediate" that is an ordinary workload certificate: its leaves must not be believed.
    pub fn with_intermediate_that_is_no_ca(mut self) -> Self {
        let mut params = ca_params(&self.trust_domain, "no-ca");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = vec![uri(&self.id("/no-ca"))];
        self.intermediate = Some(Arc::new(self.root.sign_ca(params)));
        self
    }

    /// A proper SVID for `spiffe://<trust domain><path>`, valid for an hour.
    pub fn issue(&self, path: &str) -> Svid {
        self.leaf(path).issue()
    }

    /// Starts an SVID for `spiffe://<trust domain><path>` to be bent to a test's needs.
    pub fn leaf(&self, path: &str) -> Leaf<'_> {
        Leaf::new(self, &self.id(path))
    }

    /// The SPIFFE ID of `path` in this trust domain; `""` gives the ID of the domain itself.
    pub fn id(&self, path: &str) -> String {
        format!("spiffe://{}{path}", self.trust_domain)
    }

    /// The name of the trust domain.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// The root certificate, DER.
    pub fn root_der(&self) -> &[u8] {
        &self.root.der
    }

    /// The trust bundle as PEM: the root alone.
    pub fn bundle_pem(&self) -> String {
        svid::pem("CERTIFICATE", &self.root.der)
    }

    /// The intermediate, PEM; empty if there is none.
    pub fn intermediate_pem(&self) -> String {
        self.intermediate.as_ref().map(|ca| svid::pem("CERTIFICATE", &ca.der)).unwrap_or_default()
    }

    /// The trust bundle as a SPIFFE bundle, JSON (SPIFFE Trust Domain and Bundle §4).
    pub fn bundle_json(&self, sequence: u64) -> String {
        jwks(&[self], sequence).to_string()
    }

    /// The same trust domain and root, but issuing from the root itself.
    fn same_root(&self) -> Self {
        Self { trust_domain: self.trust_domain.clone(), root: Arc::clone(&self.root), intermediate: None }
    }

    fn signer(&self) -> &Ca {
        self.intermediate.as_ref().unwrap_or(&self.root)
    }
}

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
}

impl Ca {
    fn sign_ca(&self, params: CertificateParams) -> Ca {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Ca { der: certificate.der().to_vec(), issuer: Issuer::new(params, key) }
    }
}

fn ca_params(trust_domain: &str, role: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&format!("{trust_domain} {role}"));
    params.subject_alt_names = vec![uri(&format!("spiffe://{trust_domain}"))];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = OffsetDateTime::now_utc() - Duration::hours(2);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(365);
    params.use_authority_key_identifier_extension = true;
    params
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "SPIFFE");
    name.push(DnType::CommonName, common_name);
    name
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("a URI SAN is ASCII"))
}

#[cfg(test)]
mod tests;
