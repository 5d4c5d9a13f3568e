//! `identity`: whose certificates are believed, and where they come from.

use super::{
    federation, forwarding,
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
    tree::Node,
    workload_api::WorkloadApiConfig,
};
use crate::identity::{BundleSource, FederationSource, Forwarding, SvidSource};

/// Trust in certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityConfig {
    /// One bundle for each trust domain, no trust domain twice; none if trust comes from elsewhere.
    pub trust_bundles: Vec<BundleSource>,
    /// Trust domains of others whose bundle is fetched; none twice, and none that has a file.
    pub federation: Vec<FederationSource>,
    /// How much of `x-forwarded-client-cert` is believed, and of whom.
    pub forwarding: Forwarding,
    /// The files of our own SVID, if it comes from files.
    pub svid: Option<SvidSource>,
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
        "identity.trust_bundles[].intermediates",
        KnobDefault::None,
        "CA certificates of it, PEM, that complete chains which workloads present without them; they are never trusted by themselves.",
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
        let (forwarding, svid) = (forwarding::read(reader), svid(reader));
        let workload_api = WorkloadApiConfig::read(reader);
        // An agent that is configured wrongly was meant all the same.
        let from_elsewhere = !matches!(workload_api, Some(None));
        let trust_bundles = trust_bundles(reader, from_elsewhere);
        if let (Some(Some(_)), true) = (&svid, from_elsewhere) {
            let what =
                "is set beside identity.workload_api, which brings an SVID of its own; keep one of them".to_owned();
            reader.complain(reader.set(CERTIFICATE).map(|node| node.line), CERTIFICATE, what);
        }
        let federation = federation::read(reader);
        let (trust_bundles, federation) = (trust_bundles?, federation?);
        check_one_source_each(reader, &trust_bundles, &federation);
        Some(Self { trust_bundles, federation, forwarding: forwarding?, svid: svid?, workload_api: workload_api? })
    }

    /// Where our own SVID comes from, in words, if it comes from anywhere.
    pub fn own_svid_source(&self) -> Option<&'static str> {
        let agent = self.workload_api.as_ref().map(|_| "identity.workload_api");
        self.svid.as_ref().map(|_| "identity.svid").or(agent)
    }

    /// Whether anything is configured that can give us an SVID of our own, as listeners with TLS need.
    pub fn has_own_svid_source(&self) -> bool {
        self.own_svid_source().is_some()
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

const TRUST_BUNDLES: &str = "identity.trust_bundles";
const NO_TRUST: &str = "is missing: without a trust domain whose workloads may call nobody is believed; \
                        write its trust_domain and file, or set identity.workload_api.enabled: true";

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
