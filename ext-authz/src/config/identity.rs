//! `identity`: whose certificates are believed, and where they come from.

use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
    workload_api::WorkloadApiConfig,
};
use crate::identity::BundleSource;

/// Trust in certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityConfig {
    /// One bundle for each trust domain, no trust domain twice; none if trust comes from elsewhere.
    pub trust_bundles: Vec<BundleSource>,
    /// Whether the leaf may come from the newest `x-forwarded-client-cert` element alone.
    pub trust_xfcc: bool,
    /// The agent to ask, if any.
    pub workload_api: Option<WorkloadApiConfig>,
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
        let workload_api = WorkloadApiConfig::read(reader);
        // An agent that is configured wrongly was meant all the same.
        let from_elsewhere = !matches!(workload_api, Some(None));
        let trust_bundles = trust_bundles(reader, from_elsewhere);
        let trust_xfcc = reader.value("identity.trust_xfcc", scalar::boolean);
        Some(Self { trust_bundles: trust_bundles?, trust_xfcc: trust_xfcc?, workload_api: workload_api? })
    }
}

/// Somebody must say whom to trust: files, unless trust comes `from_elsewhere`.
fn trust_bundles(reader: &Reader<'_>, from_elsewhere: bool) -> Option<Vec<BundleSource>> {
    if reader.set(TRUST_BUNDLES).is_none() {
        if !from_elsewhere {
            reader.missing_because(TRUST_BUNDLES, NO_TRUST.to_owned());
        }
        return from_elsewhere.then(Vec::new);
    }
    let mut bundles: Vec<Option<BundleSource>> = Vec::new();
    for item in reader.items(TRUST_BUNDLES)? {
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

const TRUST_BUNDLES: &str = "identity.trust_bundles";
const NO_TRUST: &str = "is missing: without a trust domain whose workloads may call nobody is believed; \
                        write its trust_domain and file, or set identity.workload_api.enabled: true";
