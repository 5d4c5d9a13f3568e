//! Requests that were allowed and have not ended, each with its caller; it ends none itself.

use std::sync::Arc;

use authz_core::{facts::Caller, revocation::RevocationSet, time::Timestamp};
use hashbrown::HashMap;

/// Live requests by the number of their context.
#[derive(Default)]
pub struct Streams {
    live: HashMap<u32, Arc<Caller>>,
}

impl Streams {
    /// A request was allowed.
    pub fn open(&mut self, stream: u32, caller: Arc<Caller>) {
        self.live.insert(stream, caller);
    }

    /// A request ended.
    pub fn close(&mut self, stream: u32) {
        self.live.remove(&stream);
    }

    /// Takes out the requests whose caller `revoked` covers.
    pub fn cut(&mut self, revoked: &RevocationSet, now: Timestamp) -> Vec<u32> {
        if revoked.is_empty() {
            return Vec::new();
        }
        // Thousands of streams share a few callers: each caller is judged once.
        let mut judged: HashMap<*const Caller, bool> = HashMap::new();
        let covers =
            |caller: &Caller| revoked.revoked(caller.scopes(), caller.credential().not_before(), now).is_some();
        let cut =
            self.live.extract_if(|_, caller| *judged.entry(Arc::as_ptr(caller)).or_insert_with(|| covers(caller)));
        cut.map(|(stream, _)| stream).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.live.len()
    }
}

#[cfg(test)]
mod tests {
    use authz_core::revocation::Mark;

    use super::*;
    use crate::machine::tests::{caller, scope};

    #[test]
    fn only_streams_a_mark_covers_are_cut_and_once() {
        let mut streams = Streams::default();
        for (stream, who) in [(1, caller("/a", 1)), (2, caller("/a", 1)), (3, caller("/a", 2)), (4, caller("/b", 3))] {
            streams.open(stream, who);
        }
        streams.close(2);
        let mut revoked = RevocationSet::default();
        assert!(streams.cut(&revoked, Timestamp::from_millis(500)).is_empty());
        // Certificate n of the tests is issued at moment n.
        let issued_before = Timestamp::from_millis(2);
        revoked.revoke(&scope("/a"), Mark { issued_before, expires_at: Timestamp::NEVER });
        assert_eq!(streams.cut(&revoked, Timestamp::from_millis(500)), [1], "certificate 2 was issued later");
        assert!(streams.cut(&revoked, Timestamp::from_millis(500)).is_empty());
        assert_eq!(streams.len(), 2);
    }
}
