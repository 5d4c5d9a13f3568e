//! `identity.federation`: bundle endpoints of other trust domains. What an endpoint is, identity knows.

use std::{path::PathBuf, time::Duration};

use authz_core::identity::SpiffeId;

use super::{
    knob::{Knob, KnobDefault},
    reader::Reader,
    scalar,
    tree::Node,
};
use crate::identity::{
    EndpointUrl, FederationSource,
    federation::{LONGEST_REFRESH, Profile},
};

pub(super) const KNOBS: &[Knob] = &[
    Knob::new(
        "identity.federation[].trust_domain",
        KnobDefault::Required,
        "A trust domain of others whose workloads may call, and whose bundle is fetched from its endpoint (SPIFFE Federation).",
    ),
    Knob::new("identity.federation[].url", KnobDefault::Required, "Where its bundle endpoint is; https only."),
    Knob::new(
        "identity.federation[].profile",
        KnobDefault::Required,
        "How the endpoint proves who it is: https_web by a certificate for its host, https_spiffe by an X.509-SVID.",
    ),
    Knob::new(
        "identity.federation[].endpoint_id",
        KnobDefault::None,
        "For https_spiffe: the SPIFFE ID that the endpoint must have.",
    ),
    Knob::new(
        "identity.federation[].bootstrap",
        KnobDefault::None,
        "For https_spiffe: a bundle of that ID's trust domain, to verify the endpoint by until a better one is in force.",
    ),
    Knob::new(
        "identity.federation[].ca_file",
        KnobDefault::None,
        "For https_web: the certificate authorities to believe, PEM, in place of the system's.",
    ),
    Knob::new(
        "identity.federation[].refresh",
        KnobDefault::None,
        "How often to ask, from 1s to 24h, in place of the bundle's own hint (without one, 5m; hints count from 10s to 24h).",
    ),
];

type Item<'a> = (String, &'a Node);

/// All endpoints; `None` is an error that was noted.
pub(super) fn read(reader: &Reader<'_>) -> Option<Vec<FederationSource>> {
    let mut sources: Vec<Option<FederationSource>> = Vec::new();
    for item in reader.optional_items("identity.federation")? {
        let source = source(reader, &item);
        if let Some(source) = &source
            && sources.iter().flatten().any(|earlier| earlier.trust_domain == source.trust_domain)
        {
            let what = format!("is {} again; one endpoint has its whole bundle", source.trust_domain);
            reader.complain(Some(item.1.line), &format!("{}.trust_domain", item.0), what);
        }
        sources.push(source);
    }
    sources.into_iter().collect()
}

fn source(reader: &Reader<'_>, item: &Item<'_>) -> Option<FederationSource> {
    let trust_domain = reader.field(item, "trust_domain", scalar::trust_domain);
    let url = reader.field(item, "url", url);
    let refresh = reader.optional_field(item, "refresh", refresh);
    let kind = reader.field(item, "profile", kind);
    let spiffe = (
        reader.optional_field(item, "endpoint_id", workload_id),
        reader.optional_field(item, "bootstrap", scalar::path),
    );
    let ca_file = reader.optional_field(item, "ca_file", scalar::path);
    let profile = match kind? {
        Kind::Spiffe => https_spiffe(reader, item, spiffe.0?, spiffe.1?),
        Kind::Web => {
            let ca_file = ca_file?.map(|file| reader.located(file));
            refuse_keys(reader, item, ["endpoint_id", "bootstrap"], "https_web").then_some(Profile::Web { ca_file })
        }
    };
    let (trust_domain, profile) = (trust_domain?, profile?);
    if needs_bootstrap(&trust_domain, &profile) {
        let what = "is missing: the endpoint is in the trust domain it serves, and nothing else can vouch for it";
        reader.complain(Some(item.1.line), &format!("{}.bootstrap", item.0), what.to_owned());
    }
    Some(FederationSource { trust_domain, url: url?, profile, refresh: refresh? })
}

fn https_spiffe(
    reader: &Reader<'_>,
    item: &Item<'_>,
    endpoint_id: Option<SpiffeId>,
    bootstrap: Option<PathBuf>,
) -> Option<Profile> {
    let bootstrap = bootstrap.map(|file| reader.located(file));
    if endpoint_id.is_none() {
        let what = "is missing: https_spiffe needs the SPIFFE ID of the endpoint".to_owned();
        reader.complain(Some(item.1.line), &format!("{}.endpoint_id", item.0), what);
    }
    let alone = refuse_keys(reader, item, ["ca_file"], "https_spiffe");
    endpoint_id.filter(|_| alone).map(|endpoint_id| Profile::Spiffe { endpoint_id, bootstrap })
}

fn needs_bootstrap(trust_domain: &authz_core::identity::TrustDomain, profile: &Profile) -> bool {
    matches!(profile, Profile::Spiffe { endpoint_id, bootstrap: None } if trust_domain.covers(endpoint_id))
}

/// Whether none of the keys is there: what is said for the other profile would go unheard.
fn refuse_keys<const N: usize>(reader: &Reader<'_>, item: &Item<'_>, keys: [&str; N], profile: &str) -> bool {
    let set = keys.iter().filter_map(|key| item.1.get(key).filter(|node| !node.is_null()).map(|node| (key, node)));
    let complaints = set.map(|(key, node)| {
        reader.complain(
            Some(node.line),
            &format!("{}.{key}", item.0),
            format!("is nothing that {profile} looks at; leave it out or change the profile"),
        );
    });
    complaints.count() == 0
}

enum Kind {
    Spiffe,
    Web,
}

fn kind(node: &Node) -> Result<Kind, String> {
    match scalar::text(node)?.as_str() {
        "https_spiffe" => Ok(Kind::Spiffe),
        "https_web" => Ok(Kind::Web),
        _ => Err(format!("is {}; write https_web or https_spiffe", node.describe())),
    }
}

fn url(node: &Node) -> Result<EndpointUrl, String> {
    EndpointUrl::parse(&scalar::text(node)?).map_err(|error| format!("is not valid: {error}"))
}

fn workload_id(node: &Node) -> Result<SpiffeId, String> {
    let id = SpiffeId::parse(&scalar::text(node)?).map_err(|error| format!("is not valid: {error}"))?;
    if id.is_trust_domain_id() {
        return Err(format!("is {id}, which no server can prove to be; write the ID of the endpoint, with its path"));
    }
    Ok(id)
}

fn refresh(node: &Node) -> Result<Duration, String> {
    scalar::duration(node, Duration::from_secs(1), LONGEST_REFRESH)
}
