//! An operation map, and what it says of sample requests, written out by hand.

use std::sync::Arc;

use super::{Fact, Sample};
use crate::operations::Operations;

pub(super) fn map() -> Arc<Operations> {
    Arc::new(Operations::parse(["GET /a", "GET /{x} = {x}", "POST /{x}/{y...} = {y}/{x}"]).unwrap())
}

impl Sample {
    /// The operation and the id of its resource, by the [`map`] of those plans that have one.
    pub(super) fn operation(&self) -> Option<(usize, Fact)> {
        let path = self.target.split('?').next().unwrap();
        match (self.method, path) {
            ("GET", "/a") => Some((0, None)),
            ("GET", "/ab") => Some((1, Some("ab".into()))),
            ("GET", "/%c3%a9" | "/%C3%A9") => Some((1, Some("\u{e9}".into()))),
            ("POST", "/a/b") => Some((2, Some("b/a".into()))),
            _ => None,
        }
    }
}
