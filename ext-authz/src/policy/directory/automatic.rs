//! What follows from a SPIFFE ID alone: what a workload is in, and the attributes that its ID gives it. It looks at no file.

use authz_core::identity::SpiffeId;
use cedar_policy::{EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use serde_json::{Value, json};

use crate::policy::{
    problem::Unexpected,
    vocabulary::{PATH, SEGMENTS, TRUST_DOMAIN, Types},
};

/// The value of an attribute.
pub(super) enum Attribute<'a> {
    Text(&'a str),
    /// Parts by name.
    Record(Vec<(&'a str, &'a str)>),
}

impl Attribute<'_> {
    /// As Cedar evaluates it.
    pub fn expression(&self) -> Result<RestrictedExpression, Unexpected> {
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        match self {
            Self::Text(content) => Ok(text(content)),
            Self::Record(parts) => {
                let parts = parts.iter().map(|(name, part)| ((*name).to_owned(), text(part)));
                RestrictedExpression::new_record(parts).map_err(Unexpected::of)
            }
        }
    }

    /// As an entities file would say it.
    pub fn json(&self) -> Value {
        match self {
            Self::Text(content) => json!(content),
            Self::Record(parts) => parts.iter().map(|(name, part)| ((*name).to_owned(), json!(part))).collect(),
        }
    }
}

/// What a workload is in.
pub(super) fn parents(id: &SpiffeId, types: &Types) -> impl Iterator<Item = EntityUid> {
    let uid = |name: &EntityTypeName, text: &str| EntityUid::from_type_name_and_id(name.clone(), EntityId::new(text));
    let paths = types.workload_path.iter().flat_map(move |name| id.prefixes().map(move |prefix| uid(name, prefix)));
    paths.chain(types.trust_domain.iter().map(move |name| uid(name, id.trust_domain())))
}

/// The attributes of a workload, as far as the schema declares them.
pub(super) fn attributes<'a>(id: &'a SpiffeId, types: &'a Types) -> Vec<(&'static str, Attribute<'a>)> {
    let declared = &types.workload_attributes;
    let text = |name: &'static str, text| declared.texts.contains(&name).then_some((name, Attribute::Text(text)));
    let segments = declared.segments.as_ref().map(|places| {
        let parts = id.path().split('/').enumerate().filter_map(|(place, part)| Some((&**places.get(&place)?, part)));
        (SEGMENTS, Attribute::Record(parts.collect()))
    });
    [text(TRUST_DOMAIN, id.trust_domain()), text(PATH, id.path()), segments].into_iter().flatten().collect()
}
