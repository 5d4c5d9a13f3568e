//! Operations of gRPC by service and method.

use std::collections::BTreeMap;

use super::operation::GrpcMethod;

/// Operations of gRPC, by the name of their service.
#[derive(Clone, Default, Debug)]
pub(super) struct Calls(BTreeMap<Box<str>, Service>);

/// Numbers of the operations of one service.
#[derive(Clone, Default, Debug)]
struct Service {
    any: Option<usize>,
    methods: BTreeMap<Box<str>, usize>,
}

impl Calls {
    /// Adds an operation, unless there is one already for the same calls, whose number is returned.
    pub fn add(&mut self, service: &str, method: &GrpcMethod, number: usize) -> Option<usize> {
        let service = self.0.entry(service.into()).or_default();
        match method {
            GrpcMethod::Any => add_once(&mut service.any, number),
            GrpcMethod::Named(name) => match service.methods.get(name) {
                Some(other) => Some(*other),
                None => service.methods.insert(name.clone(), number),
            },
        }
    }

    /// The operation of a path without its first slash: `service/method`.
    pub fn find(&self, path: &str) -> Option<usize> {
        let (service, method) = path.split_once('/')?;
        let service = self.0.get(service)?;
        let any = || service.any.filter(|_| !method.is_empty() && !method.contains('/'));
        service.methods.get(method).copied().or_else(any)
    }
}

/// Puts `number` into an empty place, or returns what is there.
pub(super) fn add_once(place: &mut Option<usize>, number: usize) -> Option<usize> {
    let other = *place;
    *place = other.or(Some(number));
    other
}
