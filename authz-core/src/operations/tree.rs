//! Templates as a tree by segments, in which the most specific one for a path is found.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::{
    Match, Values,
    calls::add_once,
    literal::{Literal, Received},
    operation::HttpMethod,
    template::{Segment, Template},
};

/// Templates that begin alike.
#[derive(Clone, Default, Debug)]
pub(super) struct Tree {
    /// Those that end here.
    ends: Methods,
    /// Those that go on with a text.
    literals: HashMap<Literal, Tree>,
    /// Those that go on with a parameter.
    parameter: Option<Box<Tree>>,
    /// Those that end with the rest.
    rest: Methods,
}

/// Numbers of operations by method.
#[derive(Clone, Default, Debug)]
struct Methods {
    any: Option<usize>,
    named: BTreeMap<Box<str>, usize>,
}

impl Tree {
    /// Adds an operation, unless there is one already for the same requests, whose number is returned.
    pub fn add(&mut self, method: &HttpMethod, template: &Template, number: usize) -> Option<usize> {
        let mut node = self;
        for segment in template.segments() {
            match segment {
                Segment::Literal(text) => node = node.literals.entry(Literal(text.clone())).or_default(),
                Segment::Parameter(_) => node = node.parameter.get_or_insert_default(),
                Segment::Rest(_) => return node.rest.add(method, number),
            }
        }
        node.ends.add(method, number)
    }

    /// The operation of a path without its first slash.
    pub fn find<'p>(&self, method: &str, path: &'p str) -> Option<Match<'p>> {
        self.below(method, Some(path), Values::default())
    }

    /// No deeper than templates are long.
    fn below<'p>(&self, method: &str, path: Option<&'p str>, values: Values<'p>) -> Option<Match<'p>> {
        let Some(path) = path else {
            return self.ends.get(method).map(|operation| Match { operation, values });
        };
        let (segment, next) = path.split_once('/').map_or((path, None), |(segment, next)| (segment, Some(next)));
        let literal = || self.literals.get(&Received(segment))?.below(method, next, values);
        let parameter = || {
            let node = self.parameter.as_ref().filter(|_| !segment.is_empty())?;
            node.below(method, next, values.with(segment))
        };
        let rest = || self.rest.get(method).map(|operation| Match { operation, values: values.with(path) });
        literal().or_else(parameter).or_else(rest)
    }

    /// Operations that are never found, because more specific ones take all their requests.
    ///
    /// Only those with a rest can be: no list of texts is all texts, and none of methods all methods.
    pub fn dead(&self) -> Vec<usize> {
        let (mut dead, mut open) = (Vec::new(), vec![self]);
        while let Some(node) = open.pop() {
            let any = node.rest.any.filter(|_| node.takes_all(None));
            let named = node.rest.named.iter().filter(|(method, _)| node.takes_all(Some(method)));
            dead.extend(any.into_iter().chain(named.map(|(_, number)| *number)));
            open.extend(node.literals.values().chain(node.parameter.as_deref()));
        }
        dead
    }

    /// Whether every continuation, of a named method or of all, is taken by what is more specific than a rest here.
    fn takes_all(&self, method: Option<&str>) -> bool {
        let trailing_slash = self.literals.get(&Received("")).is_some_and(|node| node.ends.has(method));
        let Some(parameter) = self.parameter.as_ref().filter(|_| trailing_slash) else { return false };
        parameter.ends.has(method) && (parameter.rest.has(method) || parameter.takes_all(method))
    }
}

impl Methods {
    fn add(&mut self, method: &HttpMethod, number: usize) -> Option<usize> {
        match method {
            HttpMethod::Any => add_once(&mut self.any, number),
            HttpMethod::Named(name) => match self.named.get(name) {
                Some(other) => Some(*other),
                None => self.named.insert(name.clone(), number),
            },
        }
    }

    fn get(&self, method: &str) -> Option<usize> {
        self.named.get(method).copied().or(self.any)
    }

    /// Whether there is an operation for a method, or for all.
    fn has(&self, method: Option<&str>) -> bool {
        self.any.is_some() || method.is_some_and(|method| self.named.contains_key(method))
    }
}
