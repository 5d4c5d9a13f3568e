//! The `credential` of a workload's entity, as it is at one moment. It finds no entity and keeps none.

use authz_core::{identity::Credential, time::Timestamp};
use cedar_policy::{Entity, RestrictedExpression};
use serde_json::{Value, json};

use crate::policy::{lifetime::Validity, lifetime::millis, problem::Unexpected, vocabulary::CREDENTIAL};

/// `entity` with this credential at `now`.
pub(super) fn with(entity: &Entity, credential: &Credential, now: Timestamp) -> Result<Entity, Unexpected> {
    let durations = durations(Validity::of(credential), millis(now));
    if entity.tags().next().is_some() {
        return with_tags(entity, &durations);
    }
    let (uid, mut attributes, parents) = entity.clone().into_inner();
    let members = durations.map(|(name, millis)| (name.to_owned(), RestrictedExpression::new_duration(text(millis))));
    let record = RestrictedExpression::new_record(members).map_err(Unexpected::of)?;
    attributes.insert(CREDENTIAL.to_owned(), record);
    Entity::new(uid, attributes, parents).map_err(Unexpected::of)
}

/// Cedar hands out the tags of an entity in its JSON form only.
fn with_tags(entity: &Entity, durations: &[(&str, i64); 3]) -> Result<Entity, Unexpected> {
    let duration = |millis: i64| json!({"__extn": {"fn": "duration", "arg": text(millis)}});
    let record: Value = durations.iter().map(|(name, millis)| ((*name).to_owned(), duration(*millis))).collect();
    let mut whole = entity.to_json_value().map_err(Unexpected::of)?;
    let attributes = whole.get_mut("attrs").and_then(Value::as_object_mut);
    attributes.ok_or_else(|| Unexpected::new("an entity has no attributes"))?.insert(CREDENTIAL.to_owned(), record);
    Entity::from_json_value(whole, None).map_err(Unexpected::of)
}

fn durations(Validity { not_before, not_after }: Validity, now: i64) -> [(&'static str, i64); 3] {
    [
        ("age", now.saturating_sub(not_before)),
        ("expires_in", not_after.saturating_sub(now)),
        ("lifetime", not_after.saturating_sub(not_before)),
    ]
}

fn text(millis: i64) -> String {
    format!("{millis}ms")
}
