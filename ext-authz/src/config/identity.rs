//! `identity`: whose certificates are believed, and where they come from.

use authz_core::{hops::Forwarders, identity::Limits};

use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
};
use crate::identity::{BundleSource, Forwarding};

/// Trust in certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityConfig {
    /// One bundle for each trust domain; at least one, no trust domain twice.
    pub trust_bundles: Vec<BundleSource>,
    /// How much of `x-forwarded-client-cert` is believed, and of whom.
    pub forwarding: Forwarding,
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
    Knob::new(
        "identity.forwarders[]",
        KnobDefault::None,
        "Workloads whose word about their own callers counts (gateways, proxies): a SPIFFE ID, or spiffe://td/path/* for all below; none: nobody stands behind a caller.",
    ),
    Knob::new(
        "identity.xfcc.max_elements",
        KnobDefault::Value("16"),
        "Most elements of x-forwarded-client-cert, one for each hop; a request with more is denied.",
    ),
    Knob::new(
        "identity.xfcc.max_bytes",
        KnobDefault::Value("65536"),
        "Most bytes of x-forwarded-client-cert; a request with more is denied.",
    ),
];

impl IdentityConfig {
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        let (trust_bundles, forwarding) = (trust_bundles(reader), forwarding(reader));
        Some(Self { trust_bundles: trust_bundles?, forwarding: forwarding? })
    }
}

fn forwarding(reader: &Reader<'_>) -> Option<Forwarding> {
    let trust_xfcc = reader.value("identity.trust_xfcc", scalar::boolean);
    let forwarders = match reader.set("identity.forwarders") {
        Some(_) => reader.values("identity.forwarders", scalar::id_pattern),
        None => Some(Vec::new()),
    };
    let max_elements = reader.value("identity.xfcc.max_elements", |node| scalar::number(node, 1, 64));
    let max_bytes = reader.value("identity.xfcc.max_bytes", |node| scalar::number(node, 1024, 1 << 20));
    Some(Forwarding {
        trust_xfcc: trust_xfcc?,
        forwarders: Forwarders::new(forwarders?),
        limits: Limits {
            max_elements: usize::try_from(max_elements?).ok()?,
            max_bytes: usize::try_from(max_bytes?).ok()?,
        },
    })
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
