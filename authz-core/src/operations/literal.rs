//! Literal segments, found by segments of requests in whatever spelling these came, without a copy of them.

use std::hash::{Hash, Hasher};

use hashbrown::Equivalent;

use crate::facts::normal_bytes;

/// A segment in normal form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Literal(pub(super) Box<str>);

/// A segment as it came: the digits of its escapes may be in lower case.
pub(super) struct Received<'p>(pub(super) &'p str);

impl Hash for Literal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Received(&self.0).hash(state);
    }
}

/// INVARIANT: spellings of one segment have one hash; all of them have an escape, or none.
impl Hash for Received<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.0.contains('%') {
            normal_bytes(self.0).for_each(|byte| state.write_u8(byte));
        } else {
            state.write(self.0.as_bytes());
        }
    }
}

impl Equivalent<Literal> for Received<'_> {
    fn equivalent(&self, literal: &Literal) -> bool {
        let literal = &*literal.0;
        literal == self.0
            || self.0.len() == literal.len() && self.0.contains('%') && normal_bytes(self.0).eq(literal.bytes())
    }
}
