//! The actions of an operation map, declared as far as the schema does not; it judges no policy.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, Schema};
use serde_json::{Value, json};

use super::{
    CONNECTION, Types, context_of,
    kinds::{Kind, OperationRoutes, ResourceKind, Routes, groups},
};
use crate::policy::{
    operations::{MappedAction, OperationMap},
    problem::{Position, Problem},
    shape::Shape,
    source::Source,
};

/// The schema that a map adds to.
pub(super) struct Base<'s> {
    pub schema: &'s Schema,
    pub json: &'s Value,
    pub types: &'s Types,
    pub actions: &'s Entities,
    /// Where the map stands.
    pub source: &'s Source,
    /// The kinds of requests without it, by method.
    pub kinds: Vec<Kind>,
    pub methods: HashMap<Box<str>, usize>,
}

/// What comes of a schema and a map.
pub(super) struct Mapped {
    pub kinds: Vec<Kind>,
    pub routes: Routes,
    /// The schema that policies are checked against. Of actions that are alike in everything but their name, only those that
    /// policies name are in it, and one for all others.
    pub json: Value,
}

/// An action as kinds need it.
struct Action {
    uid: EntityUid,
    groups: Vec<EntityUid>,
    entity: Option<Entity>,
    context: Arc<Shape>,
}

/// The name of the context of requests, in schemas that are like the built-in one.
const REQUEST: &str = "Request";
/// Where the actions and types of no namespace are in the JSON form of schemas.
const ACTIONS: &str = "//actions";
const ENTITY_TYPES: &str = "//entityTypes";

impl Base<'_> {
    /// Adds the actions of `map`; policies name those in `named`. What is wrong goes to `problems`.
    pub fn with(self, map: &OperationMap, named: &HashSet<EntityUid>, problems: &mut Vec<Problem>) -> Option<Mapped> {
        let before = problems.len();
        self.check_types(map, problems);
        let context = self.request_context(map, problems)?;
        let mut actions: BTreeMap<&str, Action> = BTreeMap::new();
        let unmapped = unmapped(map);
        for (name, action) in map.actions.iter().chain([(&map.unmapped, &unmapped)]) {
            self.check_groups(map, name, action, problems);
            let found = match self.declared(name) {
                Some(declared) => self.declared_action(name, declared, action, problems),
                None => self.generated_action(name, action, &context, problems),
            };
            actions.extend(found.map(|found| (name.as_ref(), found)));
        }
        if problems.len() > before {
            return None;
        }
        let json = self.json_with(map, &unmapped, named);
        let (kinds, routes) = self.kinds(map, &actions)?;
        Some(Mapped { kinds, routes, json })
    }

    fn uid(name: &str) -> Option<EntityUid> {
        let action: EntityTypeName = "Action".parse().ok()?;
        Some(EntityUid::from_type_name_and_id(action, EntityId::new(name)))
    }

    fn declared(&self, name: &str) -> Option<&Value> {
        self.json.pointer(ACTIONS)?.get(name)
    }

    fn type_of<'t>(&'t self, resource: Option<&'t EntityTypeName>) -> &'t EntityTypeName {
        resource.unwrap_or(&self.types.service)
    }

    fn check_types(&self, map: &OperationMap, problems: &mut Vec<Problem>) {
        let known: HashSet<&EntityTypeName> = self.schema.entity_types().collect();
        let mut seen = HashSet::new();
        for line in &map.lines {
            let Some(name) = line.resource.as_ref().map(|resource| &resource.kind) else { continue };
            let message = if *name == self.types.service {
                "resource is a Service; leave it out, for these requests are about the service anyhow".to_owned()
            } else if !known.contains(name) && seen.insert(name) {
                format!(
                    "the schema has no entity type {name}; declare it in a schema extension (policy.schema_extensions), as \
                     `entity {name} in [Service];`"
                )
            } else {
                continue;
            };
            problems.push(Problem::placed(self.source, line.at, message));
        }
    }

    /// What generated actions let policies see.
    fn request_context(&self, map: &OperationMap, problems: &mut Vec<Problem>) -> Option<Arc<Shape>> {
        let common = |name: &str| self.json.pointer("//commonTypes")?.get(name).cloned();
        match common(REQUEST).map(|declared| Shape::of_context(&declared, &common)) {
            Some(Ok(shape)) => Some(Arc::new(shape)),
            // Whatever is wrong with it, its own actions say.
            Some(Err(_)) => None,
            None => {
                let message = format!(
                    "the schema has no type {REQUEST} for the context of operations; declare it, as `countersign policy schema` prints it"
                );
                problems.push(Problem::placed(self.source, map.unmapped_at, message));
                None
            }
        }
    }

    fn check_groups(&self, map: &OperationMap, name: &str, action: &MappedAction, problems: &mut Vec<Problem>) {
        for group in &action.groups {
            let what = if **group == *name {
                "is its own group"
            } else if map.actions.contains_key(group) || *group == map.unmapped {
                "is in a group that is an action of this map"
            } else if self.declared(group).is_some_and(applies) {
                "is in a group that the schema declares as an action"
            } else {
                continue;
            };
            let message = format!("action {name:?} {what}: {group:?}; name a group of actions, such as read");
            problems.push(Problem::placed(self.source, action.at, message));
        }
    }

    /// An action that the schema has: the map has to fit.
    fn declared_action(
        &self,
        name: &str,
        declared: &Value,
        action: &MappedAction,
        problems: &mut Vec<Problem>,
    ) -> Option<Action> {
        let mut complain = |at: Position, message: String| problems.push(Problem::placed(self.source, at, message));
        let uid = Self::uid(name)?;
        if !action.groups.is_empty() {
            complain(
                action.at,
                format!("the schema declares action {name:?}, and with it its groups; leave groups out"),
            );
        }
        if !applies(declared) {
            complain(
                action.at,
                format!("action {name:?} is a group of actions in the schema; name this one otherwise"),
            );
            return None;
        }
        for (resource, at) in &action.resources {
            let kind = self.type_of(resource.as_ref());
            let applies =
                self.schema.actions_for_principal_and_resource(&self.types.workload, kind).any(|it| *it == uid);
            if !applies {
                complain(
                    *at,
                    format!(
                        "action {name:?}, as the schema declares it, does not apply to principal Workload and resource {kind}; \
                         change it there, or name this one otherwise"
                    ),
                );
            }
        }
        let context = match context_of(&uid, self.json) {
            Ok(context) => Arc::new(context),
            Err(misfits) => {
                for misfit in misfits {
                    complain(action.at, misfit.message);
                }
                return None;
            }
        };
        Some(Action { groups: groups(self.actions, &uid), entity: None, context, uid })
    }

    fn generated_action(
        &self,
        name: &str,
        action: &MappedAction,
        context: &Arc<Shape>,
        problems: &mut Vec<Problem>,
    ) -> Option<Action> {
        if let [(first, _), (second, at), ..] = action.resources.iter().collect::<Vec<_>>().as_slice() {
            let (first, second) = (self.type_of(first.as_ref()), self.type_of(second.as_ref()));
            let message = format!(
                "action {name:?} has resources of type {first} and of type {second}; name the one action otherwise, or declare it in \
                 the schema with both"
            );
            problems.push(Problem::placed(self.source, **at, message));
        }
        let uid = Self::uid(name)?;
        let mut above: Vec<EntityUid> = action.groups.iter().filter_map(|group| Self::uid(group)).collect();
        above.extend(above.clone().iter().flat_map(|group| groups(self.actions, group)));
        above.sort_unstable();
        above.dedup();
        let entity = Entity::new(uid.clone(), HashMap::new(), above.iter().cloned().collect()).ok()?;
        Some(Action { uid, groups: above, entity: Some(entity), context: Arc::clone(context) })
    }

    fn kinds(&self, map: &OperationMap, actions: &BTreeMap<&str, Action>) -> Option<(Vec<Kind>, Routes)> {
        let mut kinds: Vec<Kind> = Vec::new();
        let mut numbers: HashMap<(&str, Option<&EntityTypeName>), usize> = HashMap::new();
        let mut resources: HashMap<Option<&EntityTypeName>, ResourceKind> = HashMap::new();
        let asked = map.lines.iter().map(|line| (&*line.action, line.resource.as_ref().map(|resource| &resource.kind)));
        let mut lines = Vec::with_capacity(map.lines.len() + 1);
        for (name, resource) in asked.chain([(&*map.unmapped, None)]) {
            let action = actions.get(name)?;
            let resource_kind = resources.entry(resource).or_insert_with(|| self.resource_kind(resource));
            lines.push(*numbers.entry((name, resource)).or_insert_with(|| {
                kinds.push(Kind {
                    action: action.uid.clone(),
                    name: Some(name.into()),
                    groups: action.groups.clone(),
                    entity: action.entity.clone(),
                    is_connection: false,
                    context: Arc::clone(&action.context),
                    resource: resource_kind.clone(),
                });
                kinds.len() - 1
            }));
        }
        let unmapped = lines.pop()?;
        let connection = self.methods.get(CONNECTION).and_then(|number| self.kinds.get(*number)).map(|kind| {
            kinds.push(kind.clone());
            kinds.len() - 1
        });
        let operations = Arc::new(map.operations.clone());
        Some((kinds, Routes::Operations(OperationRoutes { operations, lines, unmapped, connection })))
    }

    fn resource_kind(&self, resource: Option<&EntityTypeName>) -> ResourceKind {
        match resource {
            None => ResourceKind::service(self.schema, &self.types.service),
            Some(name) => ResourceKind::named(self.schema, name, is_in_service(self.json, name)),
        }
    }

    fn json_with(&self, map: &OperationMap, unmapped: &MappedAction, named: &HashSet<EntityUid>) -> Value {
        let mut json = self.json.clone();
        let mut alike = HashSet::new();
        let Some(actions) = json.pointer_mut(ACTIONS).and_then(Value::as_object_mut) else { return json };
        // Requests are no longer their methods.
        for kind in self.kinds.iter().filter(|kind| !kind.is_connection) {
            let id = kind.action.id().unescaped();
            if !map.actions.contains_key(id) && id != &*map.unmapped {
                actions.get_mut(id).and_then(Value::as_object_mut).map(|action| action.remove("appliesTo"));
            }
        }
        for (name, action) in map.actions.iter().chain([(&map.unmapped, unmapped)]) {
            let is_named = Self::uid(name).is_some_and(|uid| named.contains(&uid));
            let resources: Vec<String> =
                action.resources.keys().map(|it| self.type_of(it.as_ref()).to_string()).collect();
            if self.declared(name).is_none() && (alike.insert((&action.groups, resources.clone())) || is_named) {
                actions.insert(name.to_string(), self.declaration(action, &resources));
            }
        }
        for group in map.actions.values().flat_map(|action| &action.groups).collect::<BTreeSet<_>>() {
            actions.entry(group.to_string()).or_insert_with(|| json!({}));
        }
        json
    }

    fn declaration(&self, action: &MappedAction, resources: &[String]) -> Value {
        let principals: Vec<String> = [Some(&self.types.workload), self.types.unverified.as_ref()]
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        let groups: Vec<Value> = action.groups.iter().map(|group| json!({"id": group})).collect();
        json!({
            "memberOf": groups,
            "appliesTo": {
                "principalTypes": principals,
                "resourceTypes": resources,
                "context": {"type": "EntityOrCommon", "name": REQUEST},
            },
        })
    }
}

/// Whether an action applies to anything, and is no mere group of others.
fn applies(declared: &Value) -> bool {
    let principals = declared.pointer("/appliesTo/principalTypes").and_then(Value::as_array);
    principals.is_some_and(|types| !types.is_empty())
}

fn unmapped(map: &OperationMap) -> MappedAction {
    MappedAction { at: map.unmapped_at, groups: Vec::new(), resources: BTreeMap::from([(None, map.unmapped_at)]) }
}

/// Whether the schema lets entities of this type be in a service itself, and not only in something that is.
pub(super) fn is_in_service(json: &Value, name: &EntityTypeName) -> bool {
    let namespace = name.namespace();
    let types = if namespace.is_empty() {
        json.pointer(ENTITY_TYPES)
    } else {
        json.get(&namespace).and_then(|it| it.get("entityTypes"))
    };
    let parents = types.and_then(|types| types.get(name.basename())?.get("memberOfTypes")?.as_array());
    parents
        .into_iter()
        .flatten()
        .any(|parent| parent.as_str().is_some_and(|parent| parent == "Service" || parent == "::Service"))
}

#[cfg(test)]
mod tests {
    /// Types of the built-in schema that must not go on standing for nothing.
    #[test]
    fn the_built_in_schema_has_the_type_of_contexts() {
        assert!(crate::policy::BUILT_IN_SCHEMA.contains(&format!("type {} = ", super::REQUEST)));
        assert!(crate::policy::BUILT_IN_SCHEMA.contains(&format!("entity {} ", super::super::UNVERIFIED)));
    }
}
