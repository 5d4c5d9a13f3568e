//! Kinds of requests: those of one kind are the same action on resources of one type, and policies see the same of them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use authz_core::operations::Operations;
use cedar_policy::{Entities, Entity, EntityTypeName, EntityUid, Schema};

use crate::policy::shape::Shape;

/// How requests are asked about.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Kind {
    /// The action.
    pub action: EntityUid,
    /// Its name, if it is that of operations.
    pub name: Option<Arc<str>>,
    /// Everything the action is in.
    pub groups: Vec<EntityUid>,
    /// The action as an entity, if the schema does not have it.
    pub entity: Option<Entity>,
    /// Whether it stands for connections.
    pub is_connection: bool,
    /// All that context may hold.
    pub context: Arc<Shape>,
    /// What they are about.
    pub resource: ResourceKind,
}

/// Resources of a kind of requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::policy) struct ResourceKind {
    /// Their type.
    pub name: EntityTypeName,
    /// Types of what they can be in, and their own.
    pub above: HashSet<EntityTypeName>,
    /// Where they come from.
    pub place: Place,
}

/// Where a resource comes from.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(in crate::policy) enum Place {
    /// It is the service of this sidecar.
    Service,
    /// The path names it, and it is in the service without anybody writing so.
    InService,
    /// The path names it.
    Elsewhere,
}

/// Which kind a request is of, by number.
#[derive(Debug)]
pub(in crate::policy) enum Routes {
    /// By method, and [`super::CONNECTION`] for a connection.
    Methods(HashMap<Box<str>, usize>),
    /// By operation.
    Operations(OperationRoutes),
}

/// Kinds of operations.
#[derive(Debug)]
pub(in crate::policy) struct OperationRoutes {
    /// The operations.
    pub operations: Arc<Operations>,
    /// The kind of each.
    pub lines: Vec<usize>,
    /// The kind of requests that no operation matches.
    pub unmapped: usize,
    /// The kind of connections, if they have an action.
    pub connection: Option<usize>,
}

impl Kind {
    /// The action and everything it is in.
    pub fn actions(&self) -> impl Iterator<Item = &EntityUid> {
        [&self.action].into_iter().chain(&self.groups)
    }
}

impl ResourceKind {
    /// The service.
    pub fn service(schema: &Schema, name: &EntityTypeName) -> Self {
        Self { name: name.clone(), above: above(schema, name), place: Place::Service }
    }

    /// A type whose members the path names; `in_service`, if the schema lets them be in the service itself.
    pub fn named(schema: &Schema, name: &EntityTypeName, in_service: bool) -> Self {
        let place = if in_service { Place::InService } else { Place::Elsewhere };
        Self { name: name.clone(), above: above(schema, name), place }
    }
}

fn above(schema: &Schema, name: &EntityTypeName) -> HashSet<EntityTypeName> {
    schema.ancestors(name).into_iter().flatten().chain([name]).cloned().collect()
}

/// What an action of the schema is in.
pub(super) fn groups(actions: &Entities, action: &EntityUid) -> Vec<EntityUid> {
    actions.ancestors(action).into_iter().flatten().cloned().collect()
}
