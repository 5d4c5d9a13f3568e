//! Which operation a request asks for, by method and path or by gRPC method; it knows no action and judges nothing.
//!
//! Of all operations that match a request, the most specific is meant. Paths come first, segment by segment from the left: a
//! literal before a parameter, a parameter before the rest (`{name...}`); then the method: named before any (`*`). What looks
//! better at first and leads nowhere is left again: beside `/a/b/c`, `/a/{x}/d` is found for `/a/b/d`. Under the content type of gRPC,
//! operations of gRPC come before all others, a named method before `*`. Nothing depends on the order of operations.

use std::{
    borrow::Cow,
    hash::{Hash, Hasher},
};

use crate::{
    facts::{HeaderValue, Http, NormalPath},
    identity::decode_percent,
};

mod calls;
mod line;
mod literal;
mod operation;
mod resource_id;
mod template;
mod tree;

use self::{calls::Calls, tree::Tree};
pub use self::{
    line::{InvalidLine, Line},
    operation::{GrpcMethod, HttpMethod, InvalidOperation, Operation},
    resource_id::{InvalidResourceId, ResourceId},
    template::{InvalidTemplate, MAX_PARAMETERS, MAX_SEGMENTS, MAX_TEMPLATE, Segment, Template},
};

/// All operations of a service, by number, and the way to find that of a request. The same list is the same operations.
#[derive(Clone, Default, Debug)]
pub struct Operations {
    list: Box<[Line]>,
    paths: Tree,
    calls: Calls,
}

/// The operation a request asks for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Match<'p> {
    operation: usize,
    values: Values<'p>,
}

/// Values of parameters, in the order of the path.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
struct Values<'p> {
    values: [&'p str; MAX_PARAMETERS],
    count: usize,
}

/// What is wrong with a list of operations as a whole.
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// Two operations match exactly the same requests.
    #[error("operation {operation} matches exactly what operation {other} matches; keep one")]
    Conflict {
        /// The later one, from 0.
        operation: usize,
        /// The earlier one, from 0.
        other: usize,
    },
    /// An operation that can never be the one: more specific ones together match all that it matches.
    #[error("operation {operation} is never found, because more specific ones take all its requests; remove it")]
    Dead {
        /// Which, from 0.
        operation: usize,
    },
}

/// Stands for requests that no line matches; no line has this text.
const UNMAPPED: &str = "unmapped";

/// Why texts are no operations.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidOperations {
    /// One of them is none.
    #[error("operation {operation}: {error}")]
    Operation {
        /// Which, from 0.
        operation: usize,
        /// What is wrong with it.
        #[source]
        error: InvalidLine,
    },
    /// Together they are none.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Operations {
    /// Operations by their place in `list`.
    ///
    /// # Errors
    /// All conflicts, or else all that can never be found.
    pub fn new(list: Vec<Line>) -> Result<Self, Vec<Fault>> {
        let (mut paths, mut calls, mut faults) = (Tree::default(), Calls::default(), Vec::new());
        for (number, line) in list.iter().enumerate() {
            let other = match line.operation() {
                Operation::Http { method, template } => paths.add(method, template, number),
                Operation::Grpc { service, method } => calls.add(service, method, number),
            };
            faults.extend(other.map(|other| Fault::Conflict { operation: number, other }));
        }
        if faults.is_empty() {
            let mut dead = paths.dead();
            dead.sort_unstable();
            faults.extend(dead.into_iter().map(|operation| Fault::Dead { operation }));
        }
        if faults.is_empty() { Ok(Self { list: list.into(), paths, calls }) } else { Err(faults) }
    }

    /// From texts as [`Line`] writes them, such as came over the link.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, InvalidOperations> {
        let parsed = texts.into_iter().enumerate().map(|(operation, text)| {
            Line::parse(text).map_err(|error| InvalidOperations::Operation { operation, error })
        });
        let list: Vec<Line> = parsed.collect::<Result<_, _>>()?;
        Self::new(list).map_err(|faults| match faults.into_iter().next() {
            Some(fault) => InvalidOperations::Fault(fault),
            // There is one fault at least; a list that is empty is right.
            None => InvalidOperations::Fault(Fault::Dead { operation: 0 }),
        })
    }

    /// All of them; each one's place is its number.
    pub fn list(&self) -> &[Line] {
        &self.list
    }

    /// The id of the resource that a request is about; none, if that is the service.
    pub fn resource_id<'p>(&self, found: &Match<'p>) -> Option<Cow<'p, str>> {
        self.list.get(found.operation())?.resource().map(|id| id.fill(found))
    }

    /// What stands for the operation of a request where texts do, the same for all that no line matches.
    pub fn name(&self, found: Option<&Match<'_>>) -> &str {
        found.and_then(|found| self.list.get(found.operation())).map_or(UNMAPPED, Line::text)
    }

    /// The operation of a request, or none if no operation matches it.
    pub fn of<'a>(&self, http: &Http<'a>) -> Option<Match<'a>> {
        let content_type = match http.headers.one("content-type") {
            HeaderValue::One(text) => Some(text),
            HeaderValue::Absent | HeaderValue::Many | HeaderValue::NotText => None,
        };
        self.find(http.method, http.path, content_type)
    }

    /// The operation of these parts of a request. Allocates nothing.
    ///
    /// It takes time by the segments of the path, and beyond that only as far as templates overlap: no node of the tree is met twice.
    pub fn find<'p>(&self, method: &str, path: NormalPath<'p>, content_type: Option<&str>) -> Option<Match<'p>> {
        // For CONNECT and `OPTIONS *` there is no path.
        let path = path.as_received().strip_prefix('/')?;
        let call = if method == "POST" && content_type.is_some_and(is_grpc) { self.calls.find(path) } else { None };
        match call {
            Some(operation) => Some(Match { operation, values: Values::default() }),
            None => self.paths.find(method, path),
        }
    }
}

impl PartialEq for Operations {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for Operations {}

impl Hash for Operations {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.list.hash(state);
    }
}

impl<'p> Match<'p> {
    /// Its number.
    pub fn operation(&self) -> usize {
        self.operation
    }

    /// Values of its parameters as they stand in the path, in the order of [`Template::parameters`].
    pub fn values(&self) -> &[&'p str] {
        self.values.values.get(..self.values.count).unwrap_or_default()
    }

    /// One of [`Match::values`] without escapes: what the service makes of it.
    pub fn decoded(&self, parameter: usize) -> Option<Cow<'p, str>> {
        let value = self.values().get(parameter)?;
        // Without escapes it is no longer, and a path that has one meaning has only escapes that can be decoded.
        Some(decode_percent(value, value.len()).unwrap_or(Cow::Borrowed(value)))
    }
}

impl<'p> Values<'p> {
    /// With one more; there is room for those of a template.
    fn with(mut self, value: &'p str) -> Self {
        if let Some(place) = self.values.get_mut(self.count) {
            *place = value;
            self.count += 1;
        }
        self
    }
}

/// Whether a content type is one of gRPC (its protocol over HTTP/2, "Requests"): `application/grpc`, alone, with `+` or with `;`.
fn is_grpc(content_type: &str) -> bool {
    const NAME: &str = "application/grpc";
    content_type.split_at_checked(NAME.len()).is_some_and(|(name, rest)| {
        name.eq_ignore_ascii_case(NAME) && (rest.is_empty() || rest.starts_with(['+', ';', ' ', '\t']))
    })
}

#[cfg(test)]
mod tests;
