//! Entities: those of the file, completed with what follows from SPIFFE IDs, and the few that a request can touch.

use std::collections::{HashMap, HashSet};

use authz_core::identity::SpiffeId;
use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, EvalResult, RestrictedExpression};

use super::{
    index::Subject,
    problem::{Problem, Unexpected, with_causes},
    source::Source,
    vocabulary::{PATH, Place, ResourceKind, TRUST_DOMAIN, Types, Vocabulary},
};

mod file;

pub(super) use self::file::check_spiffe;

/// Every entity known when policies are compiled.
pub(super) struct Directory {
    entities: Entities,
    service: EntityUid,
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
        let service = vocabulary.types.service(service);
        let mut entities = source.map_or_else(Vec::new, |source| file::parse(source, vocabulary, &service, problems));
        if !entities.iter().any(|entity| entity.uid() == service) {
            let automatic = Entity::with_uid(service.clone());
            if let Err(error) = Entities::from_entities([automatic.clone()], Some(&vocabulary.schema)) {
                let message = format!("{service} must stand in the entities file: {}", with_causes(&error));
                problems.push(Problem::whole(source.unwrap_or(schema), message));
                return None;
            }
            entities.push(automatic);
        }
        match Entities::from_entities(entities, Some(&vocabulary.schema)) {
            Ok(entities) => Some(Self { entities, service }),
            Err(error) => {
                problems.push(Problem::whole(source.unwrap_or(schema), with_causes(&error)));
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
            let caller = automatic_caller(id, types)?;
            roots.extend(automatic_parents(id, types));
            added.push(caller);
        }
        added.extend(self.reachable(roots));
        added.retain(|entity| common.get(&entity.uid()).is_none());
        common.clone().add_entities(added, None).map_err(Unexpected::of)
    }

    /// A resource of a kind with everything it is in.
    pub fn subject(&self, uid: EntityUid, kind: &ResourceKind) -> Subject {
        let known = self.entities.ancestors(&uid).map(|groups| groups.cloned().collect());
        let groups = known.unwrap_or_else(|| match kind.place {
            Place::Elsewhere | Place::Service => Vec::new(),
            Place::InService => self.groups(&self.service).into_iter().chain([self.service.clone()]).collect(),
        });
        Subject { uid, groups }
    }

    /// `entities` with a resource and all that can be reached from it. One that the file does not name has no attributes.
    pub fn with_resource(
        &self,
        entities: Entities,
        uid: &EntityUid,
        kind: &ResourceKind,
    ) -> Result<Entities, Unexpected> {
        if entities.get(uid).is_some() {
            return Ok(entities);
        }
        let mut added = self.reachable(vec![uid.clone()]);
        added.retain(|entity| entities.get(&entity.uid()).is_none());
        if self.entities.get(uid).is_none() {
            let parent = (kind.place == Place::InService).then(|| self.service.clone());
            added.push(Entity::new(uid.clone(), HashMap::new(), parent.into_iter().collect()).map_err(Unexpected::of)?);
        }
        entities.add_entities(added, None).map_err(Unexpected::of)
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

/// The caller as an entity, for one that the entities file does not name.
fn automatic_caller(id: &SpiffeId, types: &Types) -> Result<Entity, Unexpected> {
    let attributes = automatic_attributes(id, types)
        .map(|(name, text)| (name.to_owned(), RestrictedExpression::new_string(text.to_owned())));
    Entity::new(types.caller(id.as_str()), attributes.collect(), automatic_parents(id, types).collect())
        .map_err(Unexpected::of)
}

/// What a workload is in by its ID alone.
fn automatic_parents(id: &SpiffeId, types: &Types) -> impl Iterator<Item = EntityUid> {
    let uid = |name: &EntityTypeName, text: &str| EntityUid::from_type_name_and_id(name.clone(), EntityId::new(text));
    let paths = types.workload_path.iter().flat_map(move |name| id.prefixes().map(move |prefix| uid(name, prefix)));
    paths.chain(types.trust_domain.iter().map(move |name| uid(name, id.trust_domain())))
}

/// The attributes a workload has by its ID alone, as far as the schema declares them.
fn automatic_attributes<'a>(id: &'a SpiffeId, types: &Types) -> impl Iterator<Item = (&'static str, &'a str)> {
    let declared = |(name, _): &(&'static str, &str)| types.workload_attributes.contains(*name);
    [(TRUST_DOMAIN, id.trust_domain()), (PATH, id.path())].into_iter().filter(declared)
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
