//! What a revocation takes from memory, which streams it ends, and what is acknowledged.

use authz_wire::link;

use super::{
    allow, deny,
    rig::{Rig, restored, revoke, revoked, verdict},
};
use crate::machine::{Effect, Next};

fn resets(effects: &[Effect]) -> Vec<u32> {
    let mut streams: Vec<u32> = effects
        .iter()
        .filter_map(|effect| if let Effect::Reset(stream, _) = effect { Some(*stream) } else { None })
        .collect();
    streams.sort_unstable();
    streams
}

fn refusal(path: &str, n: u8, seq: u64) -> link::DecideResponse {
    let mut response = deny(path, n, seq);
    response.decision.as_mut().unwrap().reason = "revoked".into();
    response.cacheable = false;
    response
}

#[test]
fn a_revocation_takes_its_callers_from_memory_and_no_others() {
    let certificate = format!("certificate:{}", "01".repeat(32));
    for scope in ["spiffe-id:spiffe://td/a/b", "path-prefix:spiffe://td/a", &certificate, "issuer-serial:CN=root#2"] {
        let mut rig = Rig::new();
        rig.learn(1, "/x", &allow("/a/b", 1, 1));
        rig.learn(2, "/x", &allow("/c", 2, 1));
        rig.update(&revoked(5, scope));
        assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-", "{scope}");
        assert_eq!(verdict(rig.recall(2, "/x").as_ref()), "allow permit /c", "{scope}");
        assert_eq!(rig.machine.decisions.len(), 1, "{scope}");
    }
}

#[test]
fn the_sidecar_refuses_a_revoked_caller_once_and_memory_repeats_it_until_it_is_restored() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    rig.update(&revoked(5, "spiffe-id:spiffe://td/a"));
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-", "the first is the sidecar's, for audit");
    rig.learn(1, "/x", &refusal("/a", 1, 5));
    for path in ["/x", "/y"] {
        assert_eq!(verdict(rig.recall(1, path).as_ref()), "deny revoked", "{path}");
    }
    rig.update(&restored(6, "spiffe-id:spiffe://td/a"));
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
    rig.learn(1, "/x", &allow("/a", 1, 6));
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "allow permit /a");
}

#[test]
fn a_refusal_is_repeated_until_the_revocation_ends_also_one_that_was_never_told_of() {
    let mut rig = Rig::new();
    let mut until = refusal("/a", 1, 1);
    until.decision.as_mut().unwrap().holds_until_ms = rig.now + 100;
    rig.learn(1, "/x", &until);
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "deny revoked");
    rig.now += 100;
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
}

#[test]
fn live_streams_of_revoked_credentials_end_and_all_others_go_on() {
    let mut rig = Rig::new();
    for (n, path) in [(1, "/a"), (2, "/a"), (3, "/b")] {
        rig.learn(n, "/x", &allow(path, n, 1));
    }
    let (old, new, other) = (rig.open(1, "/x"), rig.open(2, "/x"), rig.open(3, "/x"));
    let gone = rig.open(1, "/x");
    rig.machine.closed(gone);
    // Certificate n is issued at moment n.
    let rotated = link::Invalidation { issued_before_ms: 2, ..revoke(5, "spiffe-id:spiffe://td/a") };
    let effects = rig.update(&link::Update { invalidations: vec![rotated], seq: 5, ..Default::default() });
    assert_eq!(resets(&effects), [old], "only what the mark covers");
    assert!(matches!(effects.last(), Some(Effect::Send(_))), "acknowledged after it is in force: {effects:?}");
    assert_eq!(resets(&rig.update(&restored(6, "trust-domain:td"))), [0_u32; 0]);
    assert_eq!(resets(&rig.update(&revoked(7, "trust-domain:td"))), [new, other]);
    assert_eq!((rig.machine.stats.resets, rig.machine.streams.len()), (3, 0));
}

#[test]
fn a_probe_counts_what_a_revocation_would_take_and_takes_nothing() {
    for (scope, issued_before_ms) in [
        ("spiffe-id:spiffe://td/a", u64::MAX),
        ("spiffe-id:spiffe://td/a", 2),
        ("path-prefix:spiffe://td/a", u64::MAX),
        ("trust-domain:td", u64::MAX),
        ("trust-domain:else", u64::MAX),
        ("token:1", u64::MAX),
    ] {
        let mut rig = Rig::new();
        for (n, path) in [(1, "/a"), (2, "/a"), (3, "/a/b"), (4, "/c")] {
            rig.learn(n, "/x", &allow(path, n, 1));
            rig.learn(n, "/y", &allow(path, n, 1));
            rig.open(n, "/x");
        }
        rig.open(3, "/y");
        let before = (rig.machine.decisions.len(), rig.machine.streams.len());
        let probe =
            link::Probe { id: 7, scopes: vec![scope.into(), "spiffe-id:spiffe://td/none".into()], issued_before_ms };
        let effects = rig.update(&link::Update { probe: Some(probe), ..Default::default() });
        assert_eq!(effects.len(), 1, "an answer and nothing else: {effects:?}");
        let probed = rig.reports.last().unwrap().probed.unwrap();
        assert_eq!((rig.machine.decisions.len(), rig.machine.streams.len()), before, "nothing changed");

        let invalidation = link::Invalidation { issued_before_ms, ..revoke(5, scope) };
        let ended =
            resets(&rig.update(&link::Update { invalidations: vec![invalidation], seq: 5, ..Default::default() }));
        let forgotten = before.0 - rig.machine.decisions.len();
        let counted = (probed.id, probed.cached_decisions, probed.open_streams);
        assert_eq!(counted, (7, forgotten as u64, ended.len() as u64), "{scope} before {issued_before_ms}");
    }
}

#[test]
fn a_stream_that_was_let_in_by_the_sidecar_ends_too() {
    let mut rig = Rig::new();
    rig.meet(1);
    let stream = rig.ask(1, "/x");
    let _ = rig.answer(stream, &allow("/a", 1, 1));
    assert_eq!(resets(&rig.update(&revoked(5, "spiffe-id:spiffe://td/a"))), [stream]);
}

#[test]
fn a_resync_forgets_everything_and_ends_streams_of_what_it_says_is_revoked() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    rig.learn(2, "/x", &allow("/b", 2, 1));
    let (a, _b) = (rig.open(1, "/x"), rig.open(2, "/x"));
    rig.update(&revoked(3, "spiffe-id:spiffe://td/c"));
    let invalidations = vec![revoke(9, "spiffe-id:spiffe://td/a")];
    let effects = rig.update(&link::Update { resync: true, invalidations, seq: 9, ..Default::default() });
    assert_eq!(resets(&effects), [a]);
    for n in [1, 2] {
        assert_eq!(verdict(rig.recall(n, "/x").as_ref()), "-");
    }
    rig.learn(4, "/x", &allow("/c", 4, 9));
    assert_eq!(
        verdict(rig.recall(4, "/x").as_ref()),
        "allow permit /c",
        "what the resync does not name is not revoked"
    );
    assert_eq!(rig.reports.last().unwrap().enforced_seq, 9);
}

#[test]
fn a_scope_from_the_future_makes_it_forget_everybody() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    let effects = rig.update(&revoked(5, "phase-of:moon"));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Log(..))));
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
}

#[test]
fn any_number_of_revocations_of_others_costs_no_memory_and_moves_nobody() {
    let mut rig = Rig::new();
    rig.learn(1, "/x", &allow("/a", 1, 1));
    let stream = rig.open(1, "/x");
    for chunk in 0..40_u64 {
        let others = (0..1000).map(|n| revoke(2 + chunk * 1000 + n, &format!("spiffe-id:spiffe://td/n{chunk}/{n}")));
        let update = link::Update { invalidations: others.collect(), seq: 1001 + chunk * 1000, ..Default::default() };
        assert_eq!(resets(&rig.update(&update)), [0_u32; 0]);
    }
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "allow permit /a");
    assert!(rig.machine.none_revoked.is_empty());
    assert_eq!(resets(&rig.update(&revoked(50_000, "spiffe-id:spiffe://td/a"))), [stream]);
    assert_eq!(verdict(rig.recall(1, "/x").as_ref()), "-");
    let waiting = rig.ask(1, "/y");
    assert!(matches!(rig.answer(waiting, &allow("/a", 1, 49_999)), Next::Ask(_)), "decided before");
}

#[test]
fn what_is_in_force_is_acknowledged_at_once_and_with_every_report() {
    let mut rig = Rig::new();
    rig.update(&revoked(5, "trust-domain:else"));
    assert_eq!(rig.reports.last().unwrap().enforced_seq, 5);
    rig.now += 300;
    rig.tick();
    let beat = rig.reports.last().unwrap();
    assert!(beat.beat > 0 && beat.enforced_seq == 5, "{beat:?}");
}

#[test]
fn the_fingerprint_of_the_position_in_force_is_said_back_on_a_new_stream() {
    let hello = |rig: &mut Rig| {
        rig.machine.disconnected(rig.at());
        rig.now += 1000;
        rig.tick();
        let hello = rig.reports.iter().rev().find_map(|it| it.hello.clone()).unwrap();
        (hello.last_seq, hello.last_fingerprint)
    };
    let mut rig = Rig::new();
    let said = |seq, fingerprint: &[u8]| link::Update { seq, fingerprint: fingerprint.to_vec(), ..Default::default() };
    assert_eq!(hello(&mut rig), (1, vec![]), "a sidecar that has none");
    rig.update(&said(5, b"five"));
    assert_eq!(hello(&mut rig), (5, b"five".to_vec()));
    rig.update(&said(6, b""));
    assert_eq!(hello(&mut rig), (6, vec![]), "never that of another position");
    rig.update(&said(7, &[1; 65]));
    assert_eq!(hello(&mut rig), (7, vec![]), "none is so long");
    rig.update(&said(8, b"eight"));
    rig.update(&link::Update { resync: true, ..Default::default() });
    assert_eq!(hello(&mut rig), (0, vec![]));
}
