//! The resource of an operation, with ids out of the path: `Order::"{order}"`, `Item::"{order}/{item}"`.

use authz_core::operations::{Match, Operation, Segment};
use cedar_policy::{EntityId, EntityTypeName, EntityUid};

/// What requests of an operation are about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::policy) struct ResourceTemplate {
    /// Its type.
    pub kind: EntityTypeName,
    id: Vec<Part>,
}

/// A part of an id.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(Box<str>),
    /// The value of a parameter, by its place among those of the operation.
    Parameter(usize),
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
        if id.is_empty() || id.chars().any(|character| character.is_control() || matches!(character, '"' | '\\')) {
            return Err("needs an id in quotes without quotes, backslashes and control characters in it".to_owned());
        }
        let template = Self { kind, id: parts(id, operation)? };
        template.check_apart()?;
        Ok(template)
    }

    /// The entity of a request.
    pub fn fill(&self, found: &Match<'_>) -> EntityUid {
        EntityUid::from_type_name_and_id(self.kind.clone(), EntityId::new(self.id(found)))
    }

    fn id(&self, found: &Match<'_>) -> String {
        let mut id = String::new();
        for part in &self.id {
            match part {
                Part::Text(text) => id.push_str(text),
                Part::Parameter(place) => id.push_str(&found.decoded(*place).unwrap_or_default()),
            }
        }
        id
    }

    /// INVARIANT: different values give different ids, for no value but that of a rest has a slash.
    fn check_apart(&self) -> Result<(), String> {
        let mut apart = true;
        for part in &self.id {
            match part {
                Part::Text(text) => apart |= text.contains('/'),
                Part::Parameter(_) if !apart => {
                    return Err(
                        "has two parameters without a / between, so that two resources could get one id; write \
                                Type::\"{one}/{other}\""
                            .to_owned(),
                    );
                }
                Part::Parameter(_) => apart = false,
            }
        }
        Ok(())
    }
}

fn parts(id: &str, operation: &Operation) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = id;
    while let Some((text, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { return Err(brace(id)) };
        parts.extend(self::text(text, id)?);
        parts.push(Part::Parameter(parameter(name, operation)?));
        rest = after;
    }
    parts.extend(text(rest, id)?);
    Ok(parts)
}

fn text(text: &str, id: &str) -> Result<Option<Part>, String> {
    match text {
        "" => Ok(None),
        text if text.contains('}') => Err(brace(id)),
        text => Ok(Some(Part::Text(text.into()))),
    }
}

fn brace(id: &str) -> String {
    format!("has a brace without another in {id:?}; braces stand around the name of a parameter only")
}

fn parameter(name: &str, operation: &Operation) -> Result<usize, String> {
    if let Some(place) = operation.parameters().position(|known| known == name) {
        return Ok(place);
    }
    let known: Vec<&str> = operation.parameters().collect();
    Err(match (operation, known.as_slice()) {
        (Operation::Grpc { .. }, _) => {
            format!(
                "has a parameter {name:?}, but the path of a gRPC call has none; leave the braces out, or the resource"
            )
        }
        (Operation::Http { template, .. }, []) => {
            let rest =
                if template.segments().iter().any(|part| matches!(part, Segment::Literal(text) if **text == *name)) {
                    format!(" (write {{{name}}} there, too)")
                } else {
                    String::new()
                };
            format!("has a parameter {name:?}, but the path has none{rest}")
        }
        (Operation::Http { .. }, known) => {
            format!("has a parameter {name:?}, which the path does not have; it has {}", known.join(", "))
        }
    })
}
