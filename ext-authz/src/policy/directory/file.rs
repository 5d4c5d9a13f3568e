//! The entities file: Cedar's JSON form, each entity read on its own so that every mistake is told with its place.

use std::collections::HashMap;

use authz_core::identity::{PathPrefix, SpiffeId, TrustDomain};
use cedar_policy::{Entities, Entity, EntityUid};
use serde_json::{Map, Value, json, value::RawValue};

use super::{automatic, inherited::Inherited};
use crate::policy::{
    problem::{Position, Problem, with_causes},
    source::Source,
    standing::{POSTURE, RISK},
    vocabulary::{CREDENTIAL, Types, Vocabulary},
};

/// What a file says.
#[derive(Default)]
pub(super) struct Entries {
    /// Its entities, each with the byte offset of its place.
    pub entities: Vec<(usize, Entity)>,
    /// What it says of all below a path or in a trust domain.
    pub inherited: Inherited,
}

/// Where an entity stands and what it says, unread: the trees of all of them would take more memory than the entities.
struct Entry<'s> {
    offset: usize,
    text: &'s str,
}

/// Mistakes of one file that are told; finding the place of each takes a look at the whole text before it.
const MOST_TOLD: usize = 100;

/// Reads all entities; what is wrong goes to `problems`.
pub(super) fn parse(source: &Source, vocabulary: &Vocabulary, problems: &mut Vec<Problem>) -> Entries {
    let raw: Vec<&RawValue> = match serde_json::from_str(&source.text) {
        Ok(raw) => raw,
        Err(error) => {
            let at = Position { line: error.line(), column: error.column() };
            problems.push(Problem { at: Some(at), ..Problem::whole(source, error.to_string()) });
            return Entries::default();
        }
    };
    let mut mistakes = Vec::new();
    let mut inherited = Inherited::default();
    let entries = entries(&raw, source, &vocabulary.types, &mut inherited, &mut mistakes);
    let mut entities = Vec::with_capacity(entries.len());
    for entry in entries {
        match entity(entry.text, vocabulary, &inherited) {
            Ok(entity) => entities.push((entry.offset, entity)),
            Err(message) => mistakes.push((entry.offset, message)),
        }
    }
    tell(mistakes, source, problems);
    Entries { entities, inherited }
}

/// Which of the entities Cedar refuses, each on its own; for a file that it refuses as a whole.
pub(super) fn misfits(
    entities: &[(usize, Entity)],
    source: &Source,
    vocabulary: &Vocabulary,
    problems: &mut Vec<Problem>,
) {
    let mistakes = entities.iter().filter_map(|(offset, entity)| {
        let error = Entities::from_entities([entity.clone()], Some(&vocabulary.schema)).err()?;
        Some((*offset, with_causes(&error)))
    });
    tell(mistakes.take(MOST_TOLD + 1).collect(), source, problems);
}

fn tell(mut mistakes: Vec<(usize, String)>, source: &Source, problems: &mut Vec<Problem>) {
    mistakes.sort_by_key(|(offset, _)| *offset);
    let more = mistakes.len() > MOST_TOLD;
    problems.extend(mistakes.into_iter().take(MOST_TOLD).map(|(offset, message)| Problem::at(source, offset, message)));
    if more {
        problems.push(Problem::whole(source, format!("only the first {MOST_TOLD} mistakes are told")));
    }
}

/// Every entity that is there once, and what paths and trust domains hand down.
fn entries<'s>(
    raw: &[&'s RawValue],
    source: &Source,
    types: &Types,
    inherited: &mut Inherited,
    mistakes: &mut Vec<(usize, String)>,
) -> Vec<Entry<'s>> {
    let mut entries = Vec::with_capacity(raw.len());
    let mut places: HashMap<EntityUid, usize> = HashMap::with_capacity(raw.len());
    for raw in raw {
        let offset = raw.get().as_ptr().addr().saturating_sub(source.text.as_ptr().addr());
        match checked(raw.get()) {
            Ok((uid, value)) => match places.get(&uid) {
                None => {
                    hand_down(&uid, &value, types, inherited);
                    places.insert(uid, offset);
                    entries.push(Entry { offset, text: raw.get() });
                }
                Some(_) if mistakes.len() > MOST_TOLD => {}
                Some(first) => {
                    let line = Position::of(&source.text, *first).line;
                    mistakes.push((offset, format!("{uid} stands already in line {line}; merge them")));
                }
            },
            Err(message) => mistakes.push((offset, message)),
        }
    }
    entries
}

fn checked(text: &str) -> Result<(EntityUid, Value), String> {
    // Cedar's own reading of text refuses repeated keys; the value below would keep the last.
    Entity::from_json_str(text, None).map_err(|error| with_causes(&error))?;
    let (uid, value) = read(text)?;
    check_spiffe(&uid)?;
    Ok((uid, value))
}

fn read(text: &str) -> Result<(EntityUid, Value), String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let uid = value.get("uid").cloned().unwrap_or_default();
    let uid = EntityUid::from_json(uid).map_err(|error| with_causes(&error))?;
    Ok((uid, value))
}

/// What is no text is refused when the entity is held to the schema.
fn hand_down(uid: &EntityUid, value: &Value, types: &Types, inherited: &mut Inherited) {
    let above = uid.type_name().to_string();
    for (_, attribute) in types.workload_attributes.inherited.iter().filter(|(name, _)| **name == above) {
        let stated = value.get("attrs").and_then(|attributes| attributes.get(*attribute)).and_then(Value::as_str);
        if let Some(value) = stated {
            inherited.state(attribute, uid.id().unescaped(), value);
        }
    }
}

fn entity(text: &str, vocabulary: &Vocabulary, inherited: &Inherited) -> Result<Entity, String> {
    let (uid, mut value) = read(text)?;
    if *uid.type_name() == vocabulary.types.workload {
        complete(&mut value, &uid, &vocabulary.types, inherited)?;
    }
    Entity::from_json_value(value, Some(&vocabulary.schema)).map_err(|error| with_causes(&error))
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

/// Adds what follows from the SPIFFE ID, which the file may repeat but not deny, and what is handed down unless the file says otherwise.
fn complete(value: &mut Value, uid: &EntityUid, types: &Types, inherited: &Inherited) -> Result<(), String> {
    let id = SpiffeId::parse(uid.id().unescaped()).map_err(|error| error.to_string())?;
    let whole = value.as_object_mut().ok_or_else(|| format!("{uid} is no JSON object"))?;
    let attributes = whole.entry("attrs").or_insert_with(|| Value::Object(Map::new()));
    let attributes = attributes.as_object_mut().ok_or_else(|| format!("attrs of {uid} is no JSON object"))?;
    for said in [RISK, POSTURE] {
        if attributes.contains_key(said) {
            return Err(format!("{said} of {uid} is what signals say; remove it, and send a signal"));
        }
    }
    if attributes.contains_key(CREDENTIAL) {
        return Err(format!("credential of {uid} is what its certificate says at each request; remove it"));
    }
    for (name, automatic) in automatic::attributes(&id, types) {
        let automatic = automatic.json();
        let given = attributes.entry(name).or_insert_with(|| automatic.clone());
        if *given != automatic {
            return Err(format!("{name} of {uid} is {given}, which is not what its ID says; remove it"));
        }
    }
    for (_, name) in &types.workload_attributes.inherited {
        if let (false, Some(value)) = (attributes.contains_key(*name), inherited.of(name, &id)) {
            attributes.insert((*name).to_owned(), json!(value));
        }
    }
    let parents = whole.entry("parents").or_insert_with(|| json!([]));
    let parents = parents.as_array_mut().ok_or_else(|| format!("parents of {uid} is no JSON array"))?;
    for parent in automatic::parents(&id, types) {
        parents.push(json!({"type": parent.type_name().to_string(), "id": parent.id().unescaped()}));
    }
    Ok(())
}
