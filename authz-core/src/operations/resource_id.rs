//! What makes the id of a resource out of a path: `{order}`, `{order}/{item}`.

use std::{borrow::Cow, fmt};

use super::{Match, operation::Operation, template::Segment};
use crate::identity::excerpt;

/// An id with parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourceId {
    text: Box<str>,
    parts: Box<[Part]>,
}

/// A part of an id.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(Box<str>),
    /// The value of a parameter, by its place among those of the operation.
    Parameter(usize),
}

/// A text that is no [`ResourceId`] of an operation.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidResourceId {
    /// Nothing stands there, or what an id in quotes can't hold.
    #[error("needs an id in quotes without quotes, backslashes and control characters in it")]
    Characters,
    /// A brace stands alone.
    #[error("has a brace without another in {id}; braces stand around the name of a parameter only")]
    Brace {
        /// The text, shortened.
        id: String,
    },
    /// Where one ends and the other begins can't be told.
    #[error(
        "has two parameters without a / between, so that two resources could get one id; write Type::\"{{one}}/{{other}}\""
    )]
    Together,
    /// The operation has no such parameter.
    #[error("has a parameter {name}, {why}")]
    Parameter {
        /// Which, shortened.
        name: String,
        /// What the operation has.
        why: String,
    },
}

impl ResourceId {
    /// Reads the id of resources of `operation`.
    ///
    /// # Errors
    /// A parameter that the operation does not have, or an id that two resources could get.
    pub fn parse(text: &str, operation: &Operation) -> Result<Self, InvalidResourceId> {
        if text.is_empty() || text.chars().any(|character| character.is_control() || matches!(character, '"' | '\\')) {
            return Err(InvalidResourceId::Characters);
        }
        let id = Self { text: text.into(), parts: parts(text, operation)?.into() };
        id.check_apart()?;
        Ok(id)
    }

    /// The id of a request's resource, with escapes of its path decoded.
    pub fn fill<'p>(&self, found: &Match<'p>) -> Cow<'p, str> {
        if let [Part::Parameter(place)] = &*self.parts {
            return found.decoded(*place).unwrap_or_default();
        }
        let mut id = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => id.push_str(text),
                Part::Parameter(place) => id.push_str(&found.decoded(*place).unwrap_or_default()),
            }
        }
        Cow::Owned(id)
    }

    /// INVARIANT: different values give different ids, for no value but that of a rest has a slash.
    fn check_apart(&self) -> Result<(), InvalidResourceId> {
        let mut apart = true;
        for part in &self.parts {
            match part {
                Part::Text(text) => apart |= text.contains('/'),
                Part::Parameter(_) if !apart => return Err(InvalidResourceId::Together),
                Part::Parameter(_) => apart = false,
            }
        }
        Ok(())
    }
}

fn parts(id: &str, operation: &Operation) -> Result<Vec<Part>, InvalidResourceId> {
    let brace = || InvalidResourceId::Brace { id: excerpt(id) };
    let mut parts = Vec::new();
    let mut rest = id;
    loop {
        let (text, after) = rest.split_once('{').map_or((rest, None), |(text, after)| (text, Some(after)));
        if text.contains('}') {
            return Err(brace());
        }
        if !text.is_empty() {
            parts.push(Part::Text(text.into()));
        }
        let Some(after) = after else { return Ok(parts) };
        let (name, after) = after.split_once('}').ok_or_else(brace)?;
        parts.push(Part::Parameter(parameter(name, operation)?));
        rest = after;
    }
}

fn parameter(name: &str, operation: &Operation) -> Result<usize, InvalidResourceId> {
    if let Some(place) = operation.parameters().position(|known| known == name) {
        return Ok(place);
    }
    let known: Vec<&str> = operation.parameters().collect();
    let is_literal = |segment: &Segment| matches!(segment, Segment::Literal(text) if **text == *name);
    let why = match operation {
        Operation::Grpc { .. } => {
            "but the path of a gRPC call has none; leave the braces out, or the resource".to_owned()
        }
        Operation::Http { .. } if !known.is_empty() => {
            format!("which the path does not have; it has {}", known.join(", "))
        }
        Operation::Http { template, .. } if template.segments().iter().any(is_literal) => {
            format!("but the path has none (write {{{name}}} there, too)")
        }
        Operation::Http { .. } => "but the path has none".to_owned(),
    };
    Err(InvalidResourceId::Parameter { name: excerpt(name), why })
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
