//! Builds one leaf certificate, field by field, so that a test can get any single field wrong.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use super::svid::hex;
use super::{Authority, Svid, name, uri};

/// An X.509-SVID in the making; as it starts it satisfies every rule of X509-SVID §2-4.
pub struct Leaf<'a> {
    authority: &'a Authority,
    id: String,
    uris: Vec<String>,
    dns_names: Vec<String>,
    ips: Vec<IpAddr>,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    serial: Option<u64>,
    is_ca: bool,
    key_usages: Vec<KeyUsagePurpose>,
    key_usage_critical: bool,
    extended_key_usages: Vec<ExtendedKeyUsagePurpose>,
    key_pem: Option<String>,
    with_intermediate: bool,
}

impl<'a> Leaf<'a> {
    pub(super) fn new(authority: &'a Authority, id: &str) -> Self {
        Self {
            authority,
            id: id.to_owned(),
            uris: vec![id.to_owned()],
            dns_names: Vec::new(),
            ips: Vec::new(),
            not_before: OffsetDateTime::now_utc() - Duration::minutes(1),
            not_after: OffsetDateTime::now_utc() + Duration::hours(1),
            serial: None,
            is_ca: false,
            key_usages: vec![KeyUsagePurpose::DigitalSignature],
            key_usage_critical: true,
            extended_key_usages: vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            key_pem: None,
            with_intermediate: true,
        }
    }

    /// The whole SPIFFE ID, of whichever trust domain and grammar.
    pub fn id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.id);
        self.uris(&[id])
    }

    /// The URI SANs, in order; the SPIFFE rule is exactly one.
    pub fn uris(mut self, uris: &[&str]) -> Self {
        self.uris = uris.iter().map(|&uri| uri.to_owned()).collect();
        self
    }

    /// Adds a DNS SAN; any number is allowed beside the SPIFFE ID.
    pub fn dns(mut self, name: &str) -> Self {
        self.dns_names.push(name.to_owned());
        self
    }

    /// Adds an address as SAN; any number is allowed beside the SPIFFE ID.
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.ips.push(ip);
        self
    }

    /// How long it lives from now on.
    pub fn ttl(mut self, ttl: std::time::Duration) -> Self {
        self.not_after = OffsetDateTime::now_utc() + ttl;
        self
    }

    /// The exact window of validity.
    pub fn valid(mut self, not_before: OffsetDateTime, not_after: OffsetDateTime) -> Self {
        (self.not_before, self.not_after) = (not_before, not_after);
        self
    }

    /// The serial number; without it, one derived from the (random) key.
    pub fn serial(mut self, serial: u64) -> Self {
        self.serial = Some(serial);
        self
    }

    /// Sets `cA` in the basic constraints.
    pub fn ca(mut self) -> Self {
        self.is_ca = true;
        self
    }

    /// The key usages; none leaves the extension out.
    pub fn key_usages(mut self, usages: &[KeyUsagePurpose]) -> Self {
        self.key_usages = usages.to_vec();
        self
    }

    /// Marks the key usage extension as not critical.
    pub fn key_usage_not_critical(mut self) -> Self {
        self.key_usage_critical = false;
        self
    }

    /// The extended key usages; none leaves the extension out.
    pub fn extended_key_usages(mut self, usages: &[ExtendedKeyUsagePurpose]) -> Self {
        self.extended_key_usages = usages.to_vec();
        self
    }

    /// Uses the key of another SVID, as a renewal without a new key does.
    pub fn key_of(mut self, other: &Svid) -> Self {
        self.key_pem = Some(other.key_pem());
        self
    }

    /// Leaves the intermediate out of the chain that the holder presents.
    pub fn without_intermediate(mut self) -> Self {
        self.with_intermediate = false;
        self
    }

    /// Signs it.
    pub fn issue(self) -> Svid {
        let key =
            self.key_pem.as_deref().map_or_else(|| KeyPair::generate().unwrap(), |pem| KeyPair::from_pem(pem).unwrap());
        let signer = self.authority.signer();
        let leaf = self.params().signed_by(&key, &signer.issuer).unwrap();
        let mut chain = vec![leaf.der().to_vec()];
        if self.with_intermediate
            && let Some(intermediate) = &self.authority.intermediate
        {
            chain.push(intermediate.der.clone());
        }
        Svid::new(self.id, chain, key.serialize_der(), self.serial.map(|serial| hex(&serial_bytes(serial))))
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = name("workload");
        params.subject_alt_names = self.subject_alt_names();
        params.not_before = self.not_before;
        params.not_after = self.not_after;
        params.serial_number = self.serial.map(|serial| SerialNumber::from(serial_bytes(serial)));
        params.is_ca = if self.is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
        params.extended_key_usages.clone_from(&self.extended_key_usages);
        params.use_authority_key_identifier_extension = true;
        if self.key_usage_critical {
            params.key_usages.clone_from(&self.key_usages);
        } else {
            params.custom_extensions = vec![key_usage_extension(&self.key_usages)];
        }
        params
    }

    fn subject_alt_names(&self) -> Vec<SanType> {
        let uris = self.uris.iter().map(|text| uri(text));
        let names = self.dns_names.iter().map(|name| SanType::DnsName(name.as_str().try_into().unwrap()));
        uris.chain(names).chain(self.ips.iter().map(|&ip| SanType::IpAddress(ip))).collect()
    }
}

fn serial_bytes(serial: u64) -> Vec<u8> {
    let bytes = serial.to_be_bytes();
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count().min(7);
    bytes[zeros..].to_vec()
}

/// keyUsage as RFC 5280 §4.2.1.3 encodes it, but not critical, which rcgen itself never writes.
fn key_usage_extension(usages: &[KeyUsagePurpose]) -> CustomExtension {
    let bits = usages.iter().fold(0_u8, |bits, usage| bits | bit(*usage));
    let unused = u8::try_from(bits.trailing_zeros().min(7)).unwrap();
    CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![0x03, 0x02, unused, bits])
}

fn bit(usage: KeyUsagePurpose) -> u8 {
    match usage {
        KeyUsagePurpose::DigitalSignature => 0x80,
        KeyUsagePurpose::KeyCertSign => 0x04,
        KeyUsagePurpose::CrlSign => 0x02,
        other => panic!("no bit known for key usage {other:?}; add it here"),
    }
}
