//! `identity`: whose certificates are believed, and where they come from.

use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
};
use crate::identity::BundleSource;

/// Trust in certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityConfig {
    /// One bundle for each trust domain; at least one, no trust domain twice.
    pub trust_bundles: Vec<BundleSource>,
    /// Whether the leaf may come from the newest `x-forwarded-client-cert` element alone.
    pub trust_xfcc: bool,
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
        "identity.trust_xfcc",
        KnobDefault::Value("false"),
        "Take the certificate from x-forwarded-client-cert where Envoy gives none; only behind an Envoy that sanitises that header.",
    ),
];

impl IdentityConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        let (trust_bundles, trust_xfcc) = (trust_bundles(reader), reader.value("identity.trust_xfcc", scalar::boolean));
        Some(Self { trust_bundles: trust_bundles?, trust_xfcc: trust_xfcc? })
    }
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
