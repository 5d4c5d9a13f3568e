//! One line of a map in its text form: an operation, and what makes the id of its resource: `GET /orders/{order} = {order}`.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use super::{
    operation::{InvalidOperation, Operation},
    resource_id::{InvalidResourceId, ResourceId},
};

/// An operation and the id of its resource. What it is as an action, and the type of the resource, follow from its number.
#[derive(Clone, Debug)]
pub struct Line {
    operation: Operation,
    resource: Option<ResourceId>,
    // INVARIANT: follows from the others and stands for them.
    text: Box<str>,
}

/// A text that is no [`Line`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidLine {
    /// What stands first is no operation.
    #[error(transparent)]
    Operation(#[from] InvalidOperation),
    /// What stands behind `=` is no id.
    #[error("resource {0}")]
    Resource(#[from] InvalidResourceId),
}

/// Stands between an operation, which has one space or two at most, and the id of its resource.
const IS: &str = " = ";

impl Line {
    /// A line; without a resource, requests are about the service.
    pub fn new(operation: Operation, resource: Option<ResourceId>) -> Self {
        let text = match &resource {
            Some(id) => format!("{operation}{IS}{id}"),
            None => operation.to_string(),
        };
        Self { operation, resource, text: text.into() }
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidLine> {
        let (operation, id) = text.split_once(IS).map_or((text, None), |(operation, id)| (operation, Some(id)));
        let operation = Operation::parse(operation)?;
        let resource = id.map(|id| ResourceId::parse(id, &operation)).transpose()?;
        Ok(Self::new(operation, resource))
    }

    /// Which requests.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The id of what they are about, unless that is the service.
    pub fn resource(&self) -> Option<&ResourceId> {
        self.resource.as_ref()
    }

    /// The text form.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Line {}

impl Hash for Line {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
