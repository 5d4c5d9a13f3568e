//! What can happen to a filter and its sidecar, in any order; it does nothing itself.

use proptest::{collection::vec, prelude::*};

/// Callers: certificate `n` of the path, issued at moment `n`.
pub const CALLERS: [(u8, &str); 4] = [(1, "/a"), (2, "/a"), (3, "/a/b"), (4, "/c")];
pub const SCOPES: [&str; 6] = [
    "spiffe-id:spiffe://td/a",
    "path-prefix:spiffe://td/a",
    "trust-domain:td",
    "issuer-serial:CN=root#3",
    "spiffe-id:spiffe://td/c",
    "path-prefix:spiffe://td/a/b",
];

#[derive(Clone, Debug)]
pub enum Step {
    Answer { garbage: bool },
    Ask { caller: usize, path: u8 },
    Close(u32),
    Decide,
    Disconnect,
    Grant,
    Noise(Vec<u8>),
    Pass(u64),
    Plan(u8),
    Push(usize),
    Recall { caller: usize, path: u8 },
    Restore(usize),
    Revoke { scope: usize, issued_before: Option<u64> },
    Resync { lists: bool },
    Tick,
    TurnBack,
}

pub fn step() -> impl Strategy<Value = Step> {
    let (caller, path, scope) = (0..CALLERS.len(), 0..3_u8, 0..SCOPES.len());
    let before = prop_oneof![Just(None), (0..6_u64).prop_map(Some)];
    prop_oneof![
        6 => any::<prop::sample::Index>().prop_map(|it| Step::Answer { garbage: it.index(12) == 0 }),
        6 => (caller.clone(), path.clone()).prop_map(|(caller, path)| Step::Ask { caller, path }),
        2 => (0..200_u32).prop_map(Step::Close),
        6 => Just(Step::Decide),
        1 => Just(Step::Disconnect),
        5 => Just(Step::Grant),
        1 => vec(any::<u8>(), 0..40).prop_map(Step::Noise),
        3 => (0..400_u64).prop_map(Step::Pass),
        1 => (7..9_u8).prop_map(Step::Plan),
        5 => (1..3_usize).prop_map(Step::Push),
        12 => (caller, path).prop_map(|(caller, path)| Step::Recall { caller, path }),
        2 => scope.clone().prop_map(Step::Restore),
        2 => (scope, before).prop_map(|(scope, issued_before)| Step::Revoke { scope, issued_before }),
        1 => any::<bool>().prop_map(|lists| Step::Resync { lists }),
        1 => Just(Step::TurnBack),
        5 => Just(Step::Tick),
    ]
}
