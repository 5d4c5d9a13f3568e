//! Which streams a revocation ends, against a look at each of them; and what is left behind.

use std::collections::BTreeMap;

use authz_core::{hops::Reach, revocation::RevocationSet};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::machine::tests::{caller, scope};

const NOW: Timestamp = Timestamp::from_millis(500);

fn cut(streams: &mut Streams, scopes: &[Scope], mark: Mark) -> Vec<u32> {
    let mut cuts = Cuts::default();
    scopes.iter().for_each(|scope| cuts.add(scope, mark));
    streams.cut(&cuts, NOW)
}

#[test]
fn only_streams_a_mark_covers_are_cut_and_once() {
    let mut streams = Streams::default();
    for (stream, who) in [(1, caller("/a", 1)), (2, caller("/a", 1)), (3, caller("/a", 2)), (4, caller("/b", 3))] {
        streams.open(stream, Some(&who), None);
    }
    streams.open(5, None, None);
    streams.close(2);
    // Certificate n of the tests is issued at moment n.
    let mark = Mark { issued_before: Timestamp::from_millis(2), expires_at: Timestamp::NEVER };
    assert_eq!(cut(&mut streams, &[], mark), [0_u32; 0]);
    assert_eq!(cut(&mut streams, &[scope("/a")], mark), [1], "certificate 2 was issued later");
    assert_eq!(cut(&mut streams, &[scope("/a")], mark), [0_u32; 0]);
    assert_eq!((streams.len(), streams.is_open(1), streams.is_open(5)), (3, false, true));
}

#[test]
fn streams_of_those_behind_a_revoked_workload_are_cut_too() {
    let mut streams = Streams::default();
    let behind = |path: &str, n| Arc::new(Chain::new(vec![caller("/x", 1), caller(path, n)], Reach::Origin));
    let gateway = caller("/gw", 2);
    streams.open(1, Some(&gateway), Some(&behind("/a", 3)));
    streams.open(2, Some(&gateway), Some(&behind("/b", 4)));
    streams.open(3, Some(&gateway), None);
    assert_eq!(cut(&mut streams, &[scope("/a")], Mark::FOREVER), [1]);
    assert_eq!(cut(&mut streams, &[scope("/gw")], Mark::FOREVER), [2, 3]);
}

#[test]
fn callers_that_come_and_go_leave_nothing_behind() {
    let mut streams = Streams::default();
    let stays = caller("/stays", 200);
    streams.open(0, Some(&stays), None);
    for stream in 1..2000_u32 {
        let n = u8::try_from(stream % 200).unwrap();
        let who = caller(&format!("/n{n}"), n);
        streams.open(stream, Some(&who), None);
        streams.close(stream);
        assert!(streams.groups.len() <= MAX_IDLE + 2 && streams.names.len() <= MAX_IDLE + 2, "{stream}");
    }
    assert_eq!(streams.scopes().len(), stays.scopes().iter().count());
    assert_eq!(cut(&mut streams, &[scope("/stays")], Mark::FOREVER), [0]);
}

proptest! {
    #[test]
    fn the_index_cuts_what_a_scan_would(steps in vec((0..4_u8, 0..5_u8, 0..6_u8, 0..40_u32), 0..200)) {
        let who = |n: u8| caller(["/a", "/a/b", "/b", "/b/c", "/c"][usize::from(n)], n + 1);
        let scopes = ["spiffe-id:spiffe://td/a", "path-prefix:spiffe://td/a", "path-prefix:spiffe://td/b", "issuer-serial:CN=root#3",
            "trust-domain:else", "spiffe-id:spiffe://td/c"];
        let mut streams = Streams::default();
        let mut all: BTreeMap<u32, Vec<Arc<Caller>>> = BTreeMap::new();
        for (step, first, second, stream) in steps {
            match step {
                0 | 1 => {
                    let parties = if second < 5 { vec![who(first), who(second)] } else { vec![who(first)] };
                    let behind = (second < 5).then(|| Arc::new(Chain::new(vec![who(second)], Reach::Origin)));
                    streams.open(stream, Some(&parties[0]), behind.as_ref());
                    all.insert(stream, parties);
                }
                2 => {
                    streams.close(stream);
                    all.remove(&stream);
                }
                _ => {
                    let scope: Scope = scopes[usize::from(second)].parse().unwrap();
                    // A mark that covers some certificates only.
                    let issued_before = Timestamp::from_millis(u64::from(first) + 1);
                    let mark = Mark { issued_before, expires_at: Timestamp::NEVER };
                    let mut revoked = RevocationSet::default();
                    revoked.revoke(&scope, mark);
                    let covers = |it: &Arc<Caller>| revoked.revoked(it.scopes(), it.credential().not_before(), NOW).is_some();
                    let expected: Vec<u32> =
                        all.iter().filter(|(_, parties)| parties.iter().any(covers)).map(|(stream, _)| *stream).collect();
                    prop_assert_eq!(&cut(&mut streams, &[scope], mark), &expected);
                    all.retain(|stream, _| !expected.contains(stream));
                }
            }
            prop_assert_eq!(streams.len(), all.len());
            prop_assert!(all.keys().all(|stream| streams.is_open(*stream)));
            let held: HashSet<&Scope> = all.values().flatten().flat_map(|it| it.scopes().iter()).collect();
            prop_assert_eq!(streams.scopes(), held);
        }
    }
}
