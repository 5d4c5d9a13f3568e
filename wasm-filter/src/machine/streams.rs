//! Requests that were allowed and have not ended, each with its caller and who is behind it; it ends none itself.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use authz_core::{facts::Caller, hops::Chain, revocation::RevocationSet, time::Timestamp};
use hashbrown::HashMap;

/// Live requests by the number of their context.
#[derive(Clone, Default)]
pub struct Streams {
    live: HashMap<u32, Party>,
}

/// Who a request rests on.
#[derive(Clone)]
struct Party {
    caller: Arc<Caller>,
    behind: Option<Arc<Chain>>,
}

impl Streams {
    /// A request was allowed.
    pub fn open(&mut self, stream: u32, caller: Arc<Caller>, behind: Option<Arc<Chain>>) {
        self.live.insert(stream, Party { caller, behind });
    }

    /// A request ended.
    pub fn close(&mut self, stream: u32) {
        self.live.remove(&stream);
    }

    /// Takes out the requests of which `revoked` covers the caller or one behind it.
    pub fn cut(&mut self, revoked: &RevocationSet, now: Timestamp) -> Vec<u32> {
        if revoked.is_empty() {
            return Vec::new();
        }
        // Thousands of streams share a few callers: each caller is judged once.
        let mut judged: HashMap<*const Caller, bool> = HashMap::new();
        let covers =
            |caller: &Caller| revoked.revoked(caller.scopes(), caller.credential().not_before(), now).is_some();
        let mut judge = |caller: &Arc<Caller>| *judged.entry(Arc::as_ptr(caller)).or_insert_with(|| covers(caller));
        let cut = self.live.extract_if(|_, party| {
            judge(&party.caller) || party.behind.iter().flat_map(|chain| chain.hops()).any(&mut judge)
        });
        cut.map(|(stream, _)| stream).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.live.len()
    }
}

impl Hash for Streams {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut live: Vec<(&u32, &Party)> = self.live.iter().collect();
        live.sort_by_key(|(stream, _)| **stream);
        for (stream, Party { caller, behind }) in live {
            (stream, caller.credential()).hash(state);
            let hops = behind.iter().flat_map(|chain| chain.hops());
            hops.for_each(|hop| hop.credential().hash(state));
        }
    }
}

#[cfg(test)]
mod tests {
    use authz_core::{hops::Reach, revocation::Mark};

    use super::*;
    use crate::machine::tests::{caller, scope};

    #[test]
    fn only_streams_a_mark_covers_are_cut_and_once() {
        let mut streams = Streams::default();
        for (stream, who) in [(1, caller("/a", 1)), (2, caller("/a", 1)), (3, caller("/a", 2)), (4, caller("/b", 3))] {
            streams.open(stream, who, None);
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

    #[test]
    fn streams_of_those_behind_a_revoked_workload_are_cut_too() {
        let mut streams = Streams::default();
        let behind = |path: &str| Some(Arc::new(Chain::new(vec![caller("/x", 1), caller(path, 1)], Reach::Origin)));
        streams.open(1, caller("/gw", 2), behind("/a"));
        streams.open(2, caller("/gw", 2), behind("/b"));
        streams.open(3, caller("/gw", 2), None);
        let mut revoked = RevocationSet::default();
        revoked.revoke(&scope("/a"), Mark::FOREVER);
        assert_eq!(streams.cut(&revoked, Timestamp::from_millis(500)), [1]);
    }
}
