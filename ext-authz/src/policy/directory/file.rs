//! The entities file: Cedar's JSON form, each entity checked on its own so that every mistake is told with its place.

use std::collections::{HashMap, HashSet};

use authz_core::identity::{PathPrefix, SpiffeId, TrustDomain};
use cedar_policy::{Entities, Entity, EntityTypeName, EntityUid};
use serde_json::{Value, json, value::RawValue};

use super::{automatic_attributes, automatic_parents};
use crate::policy::{
    problem::{Position, Problem, with_causes},
    source::Source,
    vocabulary::{CREDENTIAL, Types, Vocabulary},
};

/// Reads all entities; what is wrong goes to `problems`.
pub(super) fn parse(
    source: &Source,
    vocabulary: &Vocabulary,
    service: &EntityUid,
    problems: &mut Vec<Problem>,
) -> Vec<Entity> {
    let raw: Vec<&RawValue> = match serde_json::from_str(&source.text) {
        Ok(raw) => raw,
        Err(error) => {
            let at = Position { line: error.line(), column: error.column() };
            problems.push(Problem { at: Some(at), ..Problem::whole(source, error.to_string()) });
            return Vec::new();
        }
    };
    let automatic = Automatic { vocabulary, in_service: vocabulary.types_in_service(), service };
    let mut entities = Vec::with_capacity(raw.len());
    let mut places: HashMap<EntityUid, Position> = HashMap::new();
    for raw in raw {
        let offset = raw.get().as_ptr().addr().saturating_sub(source.text.as_ptr().addr());
        match entity(raw.get(), &automatic) {
            Ok(entity) => {
                let at = Position::of(&source.text, offset);
                match places.insert(entity.uid(), at) {
                    None => entities.push(entity),
                    Some(first) => {
                        let message = format!("{} stands already in line {}; merge them", entity.uid(), first.line);
                        problems.push(Problem::at(source, offset, message));
                    }
                }
            }
            Err(message) => problems.push(Problem::at(source, offset, message)),
        }
    }
    entities
}

/// What entities get without anybody writing so.
struct Automatic<'v> {
    vocabulary: &'v Vocabulary,
    /// Types whose entities are in the service.
    in_service: HashSet<&'v EntityTypeName>,
    service: &'v EntityUid,
}

fn entity(text: &str, Automatic { vocabulary, in_service, service }: &Automatic<'_>) -> Result<Entity, String> {
    // Cedar's own reading of text refuses repeated keys; the value below would keep the last.
    Entity::from_json_str(text, None).map_err(|error| with_causes(&error))?;
    let mut value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let uid = value.get("uid").cloned().unwrap_or_default();
    let uid = EntityUid::from_json(uid).map_err(|error| with_causes(&error))?;
    check_spiffe(&uid)?;
    if *uid.type_name() == vocabulary.types.workload {
        complete(&mut value, &uid, &vocabulary.types)?;
    }
    if in_service.contains(uid.type_name()) {
        add_parents(&mut value, &uid, [(*service).clone()])?;
    }
    let entity = Entity::from_json_value(value, Some(&vocabulary.schema)).map_err(|error| with_causes(&error))?;
    Entities::from_entities([entity.clone()], Some(&vocabulary.schema)).map_err(|error| with_causes(&error))?;
    Ok(entity)
}

/// Refuses entities of our types whose id could never be that of a caller: a policy that names one silently means nobody.
pub(in crate::policy) fn check_spiffe(uid: &EntityUid) -> Result<(), String> {
    let id = uid.id().unescaped();
    let checked = match uid.type_name().to_string().as_str() {
        "Workload" | "WorkloadPath" => PathPrefix::parse(id).map(drop),
        "TrustDomain" => TrustDomain::parse(id).map(drop),
        _ => Ok(()),
    };
    checked.map_err(|error| format!("{uid} can never match: {error}"))
}

/// Adds what follows from the SPIFFE ID; what the file says itself must agree.
fn complete(value: &mut Value, uid: &EntityUid, types: &Types) -> Result<(), String> {
    let id = SpiffeId::parse(uid.id().unescaped()).map_err(|error| error.to_string())?;
    let whole = value.as_object_mut().ok_or_else(|| format!("{uid} is no JSON object"))?;
    let attributes = whole.entry("attrs").or_insert_with(|| json!({}));
    if attributes.get(CREDENTIAL).is_some() {
        return Err(format!("credential of {uid} is what its certificate says at each request; remove it"));
    }
    for (name, text) in automatic_attributes(&id, types) {
        let attributes = attributes.as_object_mut().ok_or_else(|| format!("attrs of {uid} is no JSON object"))?;
        let given = attributes.entry(name).or_insert_with(|| json!(text));
        if given != text {
            return Err(format!("{name} of {uid} is {given}, which is not what its ID says; remove it"));
        }
    }
    add_parents(value, uid, automatic_parents(&id, types))
}

fn add_parents(value: &mut Value, uid: &EntityUid, more: impl IntoIterator<Item = EntityUid>) -> Result<(), String> {
    let whole = value.as_object_mut().ok_or_else(|| format!("{uid} is no JSON object"))?;
    let parents = whole.entry("parents").or_insert_with(|| json!([]));
    let parents = parents.as_array_mut().ok_or_else(|| format!("parents of {uid} is no JSON array"))?;
    for parent in more {
        parents.push(json!({"type": parent.type_name().to_string(), "id": parent.id().unescaped()}));
    }
    Ok(())
}
