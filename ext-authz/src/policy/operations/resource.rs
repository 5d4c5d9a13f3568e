//! The resource of an operation, with ids out of the path: `Order::"{order}"`, `Item::"{order}/{item}"`.

use authz_core::operations::{Operation, ResourceId};
use cedar_policy::EntityTypeName;

/// What requests of an operation are about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::policy) struct ResourceTemplate {
    /// Its type.
    pub kind: EntityTypeName,
    /// What makes its id.
    pub id: ResourceId,
}

impl ResourceTemplate {
    /// Reads the resource of `operation`; or says what is wrong and what to write.
    pub fn parse(text: &str, operation: &Operation) -> Result<Self, String> {
        let split = text.split_once("::\"").and_then(|(kind, id)| Some((kind, id.strip_suffix('"')?)));
        let Some((kind, id)) = split else {
            return Err(format!("is {text:?}; write a type and an id such as Order::\"{{order}}\""));
        };
        let kind: EntityTypeName = kind.parse().map_err(|_| {
            format!("has the type {kind:?}, which is no name of an entity type; write letters, digits and _, as in Order::\"{{order}}\"")
        })?;
        let id = ResourceId::parse(id, operation).map_err(|error| error.to_string())?;
        Ok(Self { kind, id })
    }
}
