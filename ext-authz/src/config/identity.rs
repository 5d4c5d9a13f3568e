//! `identity`: whose certificates are believed, and where they come from.

use super::{
    forwarding,
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
};
use crate::identity::{BundleSource, Forwarding, SvidSource};

/// Trust in certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityConfig {
    /// One bundle for each trust domain; at least one, no trust domain twice.
    pub trust_bundles: Vec<BundleSource>,
    /// How much of `x-forwarded-client-cert` is believed, and of whom.
    pub forwarding: Forwarding,
    /// The files of our own SVID, if it comes from files.
    pub svid: Option<SvidSource>,
}

pub(super) const KNOBS: &[Knob] = &[
    Knob::new(
        "identity.trust_bundles[].trust_domain",
        KnobDefault::Required,
        "A trust domain whose workloads may call, without spiffe://.",
    ),
    Knob::new(
        "identity.trust_bundles[].file",
        KnobDefault::Required,
        "Its trust bundle, PEM or SPIFFE bundle JSON, read again when it changes.",
    ),
    Knob::new(
        CERTIFICATE,
        KnobDefault::None,
        "This sidecar's own X.509-SVID for mTLS, PEM with the leaf first, read again when it changes.",
    ),
    Knob::new(KEY, KnobDefault::None, "Its private key, PKCS#8 in PEM, readable for its owner only (0600)."),
];

const CERTIFICATE: &str = "identity.svid.certificate";
const KEY: &str = "identity.svid.key";

impl IdentityConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        let (trust_bundles, forwarding) = (trust_bundles(reader), forwarding::read(reader));
        let svid = svid(reader);
        Some(Self { trust_bundles: trust_bundles?, forwarding: forwarding?, svid: svid? })
    }

    /// Whether anything is configured that can give us an SVID of our own, as listeners with TLS need.
    pub fn has_own_svid_source(&self) -> bool {
        self.svid.is_some()
    }
}

#[expect(clippy::option_option, reason = "not wanted is not wrong")]
fn svid(reader: &Reader<'_>) -> Option<Option<SvidSource>> {
    let (certificate, key) = (reader.optional(CERTIFICATE, scalar::path), reader.optional(KEY, scalar::path));
    let (set, missing) = match (certificate?, key?) {
        (None, None) => return Some(None),
        (Some(certificate), Some(key)) => {
            return Some(Some(SvidSource { certificate: reader.located(certificate), key: reader.located(key) }));
        }
        (Some(_), None) => (CERTIFICATE, KEY),
        (None, Some(_)) => (KEY, CERTIFICATE),
    };
    reader.complain(reader.set(set).map(|node| node.line), set, format!("is set without {missing}; set both or none"));
    None
}

fn trust_bundles(reader: &Reader<'_>) -> Option<Vec<BundleSource>> {
    let mut bundles: Vec<Option<BundleSource>> = Vec::new();
    for item in reader.items("identity.trust_bundles")? {
        let (trust_domain, file) =
            (reader.field(&item, "trust_domain", scalar::trust_domain), reader.field(&item, "file", scalar::path));
        let bundle = trust_domain
            .zip(file)
            .map(|(trust_domain, file)| BundleSource { trust_domain, file: reader.located(file) });
        if let Some(bundle) = &bundle
            && bundles.iter().flatten().any(|earlier| earlier.trust_domain == bundle.trust_domain)
        {
            let what = format!("is {} again; put its authorities into one bundle", bundle.trust_domain);
            reader.complain(Some(item.1.line), &format!("{}.trust_domain", item.0), what);
        }
        bundles.push(bundle);
    }
    bundles.into_iter().collect()
}
