//! `identity`: whose certificates are believed, and where they come from.

use super::{
    federation,
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
    tree::Node,
};
use crate::identity::{BundleSource, FederationSource};

/// Trust in certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityConfig {
    /// One bundle for each trust domain; at least one, no trust domain twice.
    pub trust_bundles: Vec<BundleSource>,
    /// Trust domains of others whose bundle is fetched; none twice, and none that has a file.
    pub federation: Vec<FederationSource>,
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
        "identity.trust_bundles[].intermediates",
        KnobDefault::None,
        "CA certificates of it, PEM, that complete chains which workloads present without them; they are never trusted by themselves.",
    ),
    Knob::new(
        "identity.trust_xfcc",
        KnobDefault::Value("false"),
        "Take the certificate from x-forwarded-client-cert where Envoy gives none; only behind an Envoy that sanitises that header.",
    ),
];

impl IdentityConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        let (trust_bundles, federation) = (trust_bundles(reader), federation::read(reader));
        let trust_xfcc = reader.value("identity.trust_xfcc", scalar::boolean);
        let (trust_bundles, federation) = (trust_bundles?, federation?);
        check_one_source_each(reader, &trust_bundles, &federation);
        Some(Self { trust_bundles, federation, trust_xfcc: trust_xfcc? })
    }
}

fn trust_bundles(reader: &Reader<'_>) -> Option<Vec<BundleSource>> {
    let mut bundles: Vec<Option<BundleSource>> = Vec::new();
    for item in reader.items("identity.trust_bundles")? {
        let bundle = bundle_source(reader, &item);
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

fn bundle_source(reader: &Reader<'_>, item: &(String, &Node)) -> Option<BundleSource> {
    let trust_domain = reader.field(item, "trust_domain", scalar::trust_domain);
    let file = reader.field(item, "file", scalar::path);
    let intermediates = reader.optional_field(item, "intermediates", scalar::path);
    Some(BundleSource {
        trust_domain: trust_domain?,
        file: reader.located(file?),
        intermediates: intermediates?.map(|file| reader.located(file)),
    })
}

/// A file would always win, and its endpoint be asked for nothing.
fn check_one_source_each(reader: &Reader<'_>, files: &[BundleSource], endpoints: &[FederationSource]) {
    for (position, endpoint) in endpoints.iter().enumerate() {
        let name = &endpoint.trust_domain;
        if files.iter().any(|file| file.trust_domain == *name) {
            let line = reader.set("identity.federation").map(|node| node.line);
            let what = format!("is {name}, which has a file in identity.trust_bundles; keep one of them");
            reader.complain(line, &format!("identity.federation[{position}].trust_domain"), what);
        }
    }
}
