//! What policies may speak about: the schema, the kinds of requests it has actions for and the context of each; it sees no policy.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use cedar_policy::{Entities, EntityId, EntityTypeName, EntityUid, Schema, SchemaFragment};
use serde_json::Value;

use self::{
    mapped::{Base, Mapped},
    schemas::Schemas,
};
use super::{
    operations::OperationMap,
    problem::{Problem, with_causes},
    shape::{Misfit, Shape, is_record_of},
    source::Source,
};

mod kinds;
mod mapped;
mod schemas;

pub(super) use self::{
    kinds::{Kind, Place, ResourceKind, Routes},
    schemas::Reach,
};

/// The schema that is used unless the configuration names another.
pub const BUILT_IN_SCHEMA: &str = include_str!("../../policy/schema.cedarschema");

/// A schema that Countersign can serve.
pub(super) struct Vocabulary {
    /// For everything but validation.
    pub schema: Schema,
    /// For validation.
    pub schemas: Schemas,
    /// Every kind of requests.
    pub kinds: Vec<Kind>,
    /// Which of them a request is.
    pub routes: Routes,
    /// Names of the entity types that Countersign itself fills.
    pub types: Types,
}

/// Entity types; those a schema may leave out are optional.
pub(super) struct Types {
    /// Callers.
    pub workload: EntityTypeName,
    /// Path prefixes, if callers may be in them.
    pub workload_path: Option<EntityTypeName>,
    /// Trust domains, if callers may be in them.
    pub trust_domain: Option<EntityTypeName>,
    /// Callers that proved nothing, if policies may speak of such.
    pub unverified: Option<EntityTypeName>,
    /// What is called.
    pub service: EntityTypeName,
    /// Whether callers have `trust_domain` and `path`.
    pub workload_attributes: HashSet<String>,
}

/// Attributes of a `Workload` that are filled in from its SPIFFE ID.
pub(super) const TRUST_DOMAIN: &str = "trust_domain";
/// Attributes of a `Workload` that are filled in from its SPIFFE ID.
pub(super) const PATH: &str = "path";

/// The attribute of a `Workload` that is filled in from its certificate, for each request.
pub(super) const CREDENTIAL: &str = "credential";

/// What a credential says.
const CREDENTIAL_MEMBERS: &[(&str, &str)] =
    &[("age", "duration"), ("expires_in", "duration"), ("lifetime", "duration")];

/// The action of a TCP connection. No HTTP method can be called so: a colon is in no token (RFC 9110 §5.6.2).
pub(super) const CONNECTION: &str = "tcp:connect";

impl Vocabulary {
    /// Reads a schema in Cedar's syntax, and adds the actions of a map; what is wrong goes to `problems`.
    pub fn parse(source: &Source, map: Option<&Map<'_>>, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let found = Self::read(source, map, problems);
        found.filter(|_| problems.len() == before)
    }

    fn read(source: &Source, map: Option<&Map<'_>>, problems: &mut Vec<Problem>) -> Option<Self> {
        let schema = match Schema::from_cedarschema_str(&source.text) {
            Ok((schema, _)) => schema,
            Err(error) => {
                problems.push(Problem::diagnosed(source, 0, &error));
                return None;
            }
        };
        let json = as_json(source, problems)?;
        let types = Types::of(&schema, &json, source, problems)?;
        let actions = schema.action_entities();
        let actions = actions.map_err(|error| problems.push(Problem::whole(source, with_causes(&error)))).ok()?;
        let (kinds, methods) = methods(&schema, &types, &json, &actions, source, problems);
        let Mapped { kinds, routes, json } = match map {
            None => Mapped { kinds, routes: Routes::Methods(methods), json },
            Some(Map { source, says, named }) => {
                let base =
                    Base { schema: &schema, json: &json, types: &types, actions: &actions, source, kinds, methods };
                base.with(says, named, problems)?
            }
        };
        let schemas = Schemas::of(&json).map_err(|message| problems.push(Problem::whole(source, message)));
        Some(Self { kinds, routes, types, schemas: schemas.ok()?, schema })
    }

    /// Types of resources that are in the service without anybody writing so.
    pub fn types_in_service(&self) -> HashSet<&EntityTypeName> {
        let resources = self.kinds.iter().map(|kind| &kind.resource);
        resources.filter(|resource| resource.place == Place::InService).map(|resource| &resource.name).collect()
    }
}

/// An operation map, as a schema meets it.
pub(super) struct Map<'m> {
    /// Where it stands.
    pub source: &'m Source,
    /// What it says.
    pub says: &'m OperationMap,
    /// Every entity that policies name.
    pub named: HashSet<EntityUid>,
}

impl Types {
    fn of(schema: &Schema, json: &Value, source: &Source, problems: &mut Vec<Problem>) -> Option<Self> {
        let find = |name: &str| schema.entity_types().find(|known| known.to_string() == name).cloned();
        let (Some(workload), Some(service)) = (find("Workload"), find("Service")) else {
            let message = "entity types Workload and Service must be declared; `countersign policy schema` prints them";
            problems.push(Problem::whole(source, message));
            return None;
        };
        let above: HashSet<_> = schema.ancestors(&workload).into_iter().flatten().cloned().collect();
        Some(Self {
            workload_path: find("WorkloadPath").filter(|name| above.contains(name)),
            trust_domain: find("TrustDomain").filter(|name| above.contains(name)),
            unverified: find(UNVERIFIED),
            workload_attributes: workload_attributes(json, source, problems),
            workload,
            service,
        })
    }

    /// The caller with this SPIFFE ID.
    pub fn caller(&self, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.workload.clone(), EntityId::new(id))
    }

    /// The service of this name.
    pub fn service(&self, name: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.service.clone(), EntityId::new(name))
    }
}

/// The entity type of callers that proved nothing.
const UNVERIFIED: &str = "Unverified";

fn as_json(source: &Source, problems: &mut Vec<Problem>) -> Option<Value> {
    let json = SchemaFragment::from_cedarschema_str(&source.text)
        .map_err(|error| with_causes(&error))
        .and_then(|(fragment, _)| fragment.to_json_value().map_err(|error| with_causes(&error)));
    json.map_err(|message| problems.push(Problem::whole(source, message))).ok()
}

/// The automatic attributes that are declared; any other must be optional, for a caller the entities file does not name lacks it.
fn workload_attributes(json: &Value, source: &Source, problems: &mut Vec<Problem>) -> HashSet<String> {
    let declared = json.pointer("//entityTypes/Workload/shape/attributes").and_then(Value::as_object);
    let mut automatic = HashSet::new();
    for (name, declared) in declared.into_iter().flatten() {
        if name == TRUST_DOMAIN || name == PATH {
            automatic.insert(name.clone());
        } else if declared.get("required") != Some(&Value::Bool(false)) {
            let message = format!(
                "attribute {name} of Workload is required, but callers that the entities file does not name have none; declare it as `{name}?`"
            );
            problems.push(Problem::mention(source, name, message));
        }
        let common = |name: &str| json.pointer("//commonTypes")?.get(name).cloned();
        if name == CREDENTIAL && !is_record_of(declared, &common, CREDENTIAL_MEMBERS) {
            let message = "attribute credential of Workload is filled in from its certificate; declare it as `credential?: { age: duration, lifetime: duration, expires_in: duration }`";
            problems.push(Problem::mention(source, name, message));
        }
    }
    automatic
}

/// Kinds of requests by method; the numbers are places in the list.
fn methods(
    schema: &Schema,
    types: &Types,
    json: &Value,
    actions: &Entities,
    source: &Source,
    problems: &mut Vec<Problem>,
) -> (Vec<Kind>, HashMap<Box<str>, usize>) {
    let (mut kinds, mut methods) = (Vec::new(), HashMap::new());
    let mut misfits: Vec<Misfit> = Vec::new();
    for action in schema.actions_for_principal_and_resource(&types.workload, &types.service) {
        let name = action.id().unescaped();
        match context_of(action, json) {
            Ok(context) => {
                methods.insert(name.into(), kinds.len());
                kinds.push(Kind {
                    action: action.clone(),
                    name: None,
                    groups: kinds::groups(actions, action),
                    entity: None,
                    is_connection: name == CONNECTION,
                    context: Arc::new(context),
                    resource: ResourceKind::service(schema, &types.service),
                });
            }
            Err(more) => misfits.extend(more),
        }
    }
    misfits.sort_by(|a, b| a.message.cmp(&b.message));
    misfits.dedup();
    problems.extend(misfits.into_iter().map(|misfit| Problem::mention(source, &misfit.word, misfit.message)));
    if kinds.is_empty() && problems.is_empty() {
        let message = "no action applies to principal Workload and resource Service; declare one per HTTP method, such as \"GET\"";
        problems.push(Problem::whole(source, message));
    }
    (kinds, methods)
}

fn context_of(action: &EntityUid, json: &Value) -> Result<Shape, Vec<Misfit>> {
    let namespace = action.type_name().namespace();
    let declarations = json.get(&namespace).unwrap_or(&Value::Null);
    let declared = declarations
        .get("actions")
        .and_then(|actions| actions.get(action.id().unescaped()))
        .and_then(|action| action.pointer("/appliesTo/context"));
    let common = |name: &str| {
        let (namespace, name) = name.rsplit_once("::").unwrap_or((&namespace, name));
        json.get(namespace)?.get("commonTypes")?.get(name).cloned()
    };
    declared.map_or_else(|| Ok(Shape::Record([].into())), |declared| Shape::of_context(declared, &common))
}
