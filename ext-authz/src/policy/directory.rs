//! Entities: those of the file, completed with what follows from SPIFFE IDs, and the few that a request can touch.

use std::collections::{HashMap, HashSet};

use authz_core::identity::SpiffeId;
use cedar_policy::{Entities, Entity, EntityUid, EvalResult, RestrictedExpression, entities_errors::EntitiesError};

use super::{
    problem::{Problem, Unexpected, with_causes},
    source::Source,
    vocabulary::{Types, Vocabulary},
};

mod automatic;
mod circle;
mod file;
mod inherited;

use self::{file::Entries, inherited::Inherited};

pub(super) use self::file::check_spiffe;

/// Every entity known when policies are compiled.
pub(super) struct Directory {
    entities: Entities,
    service: EntityUid,
    inherited: Inherited,
}

impl Directory {
    /// Reads an entities file, if there is one; what is wrong goes to `problems`.
    pub fn parse(
        source: Option<&Source>,
        schema: &Source,
        service: &str,
        vocabulary: &Vocabulary,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let Entries { entities, inherited } =
            source.map_or_else(Entries::default, |source| file::parse(source, vocabulary, problems));
        let service = vocabulary.types.service(service);
        let mut all: Vec<Entity> = entities.into_iter().map(|(_, entity)| entity).collect();
        if !all.iter().any(|entity| entity.uid() == service) {
            let automatic = Entity::with_uid(service.clone());
            if let Err(error) = Entities::from_entities([automatic.clone()], Some(&vocabulary.schema)) {
                let message = format!("{service} must stand in the entities file: {}", with_causes(&error));
                problems.push(Problem::whole(source.unwrap_or(schema), message));
                return None;
            }
            all.push(automatic);
        }
        match Entities::from_entities(all, Some(&vocabulary.schema)) {
            Ok(all) => Some(Self { entities: all, service, inherited }),
            Err(error) => {
                match source {
                    Some(source) => refused(&error, source, vocabulary, problems),
                    None => problems.push(Problem::whole(schema, with_causes(&error))),
                }
                None
            }
        }
    }

    /// The service requests are about.
    pub fn service(&self) -> &EntityUid {
        &self.service
    }

    /// All entities.
    pub fn all(&self) -> &Entities {
        &self.entities
    }

    /// Every entity that is there, or that something there is in.
    pub fn named(&self) -> HashSet<EntityUid> {
        let above =
            self.entities.iter().flat_map(|entity| self.entities.ancestors(&entity.uid()).into_iter().flatten());
        above.cloned().chain(self.entities.iter().map(Entity::uid)).collect()
    }

    /// What an entity is in.
    pub fn groups(&self, uid: &EntityUid) -> HashSet<EntityUid> {
        self.entities.ancestors(uid).into_iter().flatten().cloned().collect()
    }

    /// The actions, the service, `named` and all that can be reached from them: enough for any caller without attributes.
    pub fn common(&self, named: impl IntoIterator<Item = EntityUid>) -> Result<Entities, Unexpected> {
        let actions = self.entities.iter().map(Entity::uid).filter(|uid| uid.type_name().basename() == "Action");
        let roots = actions.chain([self.service.clone()]).chain(named).collect();
        Entities::from_entities(self.reachable(roots), None).map_err(Unexpected::of)
    }

    /// `common` with a caller and all that can be reached from it.
    pub fn with_caller(&self, id: &SpiffeId, types: &Types, common: &Entities) -> Result<Entities, Unexpected> {
        let uid = types.caller(id.as_str());
        let mut roots = vec![uid.clone()];
        let mut added = Vec::new();
        if self.entities.get(&uid).is_none() {
            roots.extend(automatic::parents(id, types));
            added.push(self.automatic_caller(id, types)?);
        }
        added.extend(self.reachable(roots));
        added.retain(|entity| common.get(&entity.uid()).is_none());
        common.clone().add_entities(added, None).map_err(Unexpected::of)
    }

    /// The caller as an entity, for one that the entities file does not name.
    fn automatic_caller(&self, id: &SpiffeId, types: &Types) -> Result<Entity, Unexpected> {
        let mut attributes = HashMap::new();
        for (name, value) in automatic::attributes(id, types) {
            attributes.insert(name.to_owned(), value.expression()?);
        }
        for (_, name) in &types.workload_attributes.inherited {
            if let Some(value) = self.inherited.of(name, id) {
                attributes.insert((*name).to_owned(), RestrictedExpression::new_string(value.to_owned()));
            }
        }
        Entity::new(types.caller(id.as_str()), attributes, automatic::parents(id, types).collect())
            .map_err(Unexpected::of)
    }

    /// Entities that an expression which starts from `open` can look at: groups and what attributes and tags name.
    fn reachable(&self, mut open: Vec<EntityUid>) -> Vec<Entity> {
        let mut seen: HashSet<EntityUid> = open.iter().cloned().collect();
        let mut found = Vec::new();
        while let Some(uid) = open.pop() {
            let Some(entity) = self.entities.get(&uid) else { continue };
            let mut next: Vec<EntityUid> = self.entities.ancestors(&uid).into_iter().flatten().cloned().collect();
            let values = entity.attrs().chain(entity.tags()).filter_map(|(_, value)| value.ok());
            values.for_each(|value| collect_uids(value, &mut next));
            open.extend(next.into_iter().filter(|uid| seen.insert(uid.clone())));
            found.push(entity.clone());
        }
        found
    }
}

/// Tells what is wrong with entities that Cedar refuses together: each that is wrong by itself, or how they are in one another.
///
/// Reads the file once more: to keep its entities for this would double the memory of every good one.
fn refused(error: &EntitiesError, source: &Source, vocabulary: &Vocabulary, problems: &mut Vec<Problem>) {
    let before = problems.len();
    let Entries { entities, .. } = file::parse(source, vocabulary, &mut Vec::new());
    file::misfits(&entities, source, vocabulary, problems);
    if problems.len() == before {
        problems.push(in_a_circle(source, &entities).unwrap_or_else(|| Problem::whole(source, with_causes(error))));
    }
}

fn in_a_circle(source: &Source, entities: &[(usize, Entity)]) -> Option<Problem> {
    let circle = circle::find(entities.iter().map(|(_, entity)| entity))?;
    let first = circle.first()?;
    let (offset, _) = entities.iter().find(|(_, entity)| entity.uid() == *first)?;
    let way: Vec<String> = circle.iter().chain([first]).map(ToString::to_string).collect();
    let message = format!("{first} is in itself: {}; take one of them out of the next", way.join(" in "));
    Some(Problem::at(source, *offset, message))
}

fn collect_uids(value: EvalResult, uids: &mut Vec<EntityUid>) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            EvalResult::EntityUid(uid) => uids.push(uid),
            EvalResult::Set(members) => open.extend(members.iter().cloned()),
            EvalResult::Record(members) => open.extend(members.iter().map(|(_, member)| member.clone())),
            EvalResult::Bool(_) | EvalResult::Long(_) | EvalResult::String(_) | EvalResult::ExtensionValue(_) => {}
        }
    }
}
