//! Messages that are signals, and messages that are not.

use std::str::FromStr;

use proptest::prelude::*;
use prost::Message;

use authz_core::{revocation::Mark, scope::Scope, standing::RiskScore};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn request(change: impl FnOnce(&mut SubmitRequest)) -> Result<Signal, InvalidSignal> {
    let mut request = SubmitRequest {
        id: "one".to_owned(),
        kind: Kind::Revoke.into(),
        scope: "trust-domain:demo.test".to_owned(),
        who: "alice".to_owned(),
        why: "key leaked".to_owned(),
        ..SubmitRequest::default()
    };
    change(&mut request);
    from_request(request, "uid:1000", NOW)
}

#[test]
fn a_request_becomes_a_signal_with_the_proof_of_who_before_the_claim() {
    let signal = request(|_| {}).unwrap();
    assert_eq!(&*signal.who, "uid:1000 (alice)");
    assert_eq!((signal.at, signal.action.clone()), (NOW, Action::Revoke(Mark::FOREVER)));
    assert_eq!(&*request(|it| it.who.clear()).unwrap().who, "uid:1000");
}

#[test]
fn a_request_without_id_gets_a_fresh_one_each_time() {
    let ids: Vec<_> = (0..2).map(|_| request(|it| it.id.clear()).unwrap().id).collect();
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn what_can_not_be_meant_is_refused_with_field_value_and_remedy() {
    type Change = fn(&mut SubmitRequest);
    let cases: [(Change, &str); 20] = [
        (|it| it.kind = 0, "kind 0 is unknown, send KIND_REVOKE"),
        (|it| it.kind = 9, "kind 9 is unknown"),
        (|it| it.scope = "spiffe://demo.test/web".to_owned(), "has no known kind"),
        (|it| it.scope = "spiffe-id:spiffe://demo.test/web/".to_owned(), "spiffe-id scope"),
        (|it| it.issued_before_ms = Some(1_700_000_000), "issued_before_ms 1700000000 lies before the year 2000"),
        (|it| it.issued_before_ms = Some(NOW.as_millis() + 600_000), "lies in the future"),
        (|it| it.issued_before_ms = Some(u64::MAX), "lies in the future"),
        (|it| it.expires_at_ms = Some(NOW.as_millis()), "is over already"),
        (|it| it.expires_at_ms = Some(u64::MAX), "beyond the year 9999"),
        (|it| it.why = "a\u{1b}[2Jb".to_owned(), "control characters"),
        (|it| it.who = "x".repeat(257), "who has 257 bytes, shorten it to 256"),
        (|it| it.id = "x".repeat(129), "id has 129 bytes"),
        (
            |it| {
                it.kind = Kind::Restore.into();
                it.expires_at_ms = Some(NOW.as_millis() + 1);
            },
            "expires_at_ms is set on a restore",
        ),
        (|it| it.risk = Some(1), "risk is set on a revoke"),
        (|it| it.kind = Kind::Risk.into(), "risk is missing on a risk signal"),
        (
            |it| {
                it.kind = Kind::Risk.into();
                it.risk = Some(101);
            },
            "risk 101 is above 100",
        ),
        (|it| it.kind = Kind::Posture.into(), "posture is missing"),
        (
            |it| {
                it.kind = Kind::Posture.into();
                it.posture = Some(control::Posture::default());
            },
            "a trust-domain has no posture",
        ),
        (|it| it.event_at_ms = Some(NOW.as_millis() + 600_000), "event_at_ms 1700000600000 lies in the future"),
        (|it| it.event_at_ms = Some(NOW.as_millis() - MAX_LATENESS_MS - 1), "lies more than 7 days back"),
    ];
    for (change, expected) in cases {
        let error = request(change).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} should say {expected:?}");
    }
}

fn posture(compliant: bool, attributes: std::collections::BTreeMap<String, String>, until: Timestamp) -> Action {
    let attributes = attributes.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    Action::Posture(Arc::new(Posture::new(compliant, attributes).unwrap()), until)
}

fn any_signal() -> impl Strategy<Value = (Seq, Signal)> {
    let scope = prop_oneof![
        "spiffe-id:spiffe://[a-z0-9.]{1,9}(/[a-zA-Z0-9_-]{1,5}){1,4}",
        "path-prefix:spiffe://[a-z]{1,9}(/[a-z]{1,5}){1,4}",
        "trust-domain:[a-z0-9]{1,20}",
        "certificate:[0-9a-f]{64}",
        "issuer-serial:CN=[A-Za-z ,=#]{0,9}x#[1-9a-f][0-9a-f]{0,39}",
        "(agent|device|session|token):[a-z#:é]{1,9}",
        "subject:https://[a-z]{1,9}#[a-z#]{1,9}",
    ];
    let bound = prop_oneof![Just(Timestamp::NEVER), (0..=LATEST).prop_map(Timestamp::from_millis)];
    let action = prop_oneof![
        Just(Action::Restore),
        (bound.clone(), bound.clone())
            .prop_map(|(issued_before, expires_at)| Action::Revoke(Mark { issued_before, expires_at })),
        (0..=100u32, bound.clone()).prop_map(|(score, until)| Action::Risk(RiskScore::new(score).unwrap(), until)),
        (any::<bool>(), proptest::collection::btree_map("[a-z]{1,5}", "[a-z]{0,5}", 0..4), bound)
            .prop_map(|(compliant, attributes, until)| posture(compliant, attributes, until)),
    ];
    let times = (any::<u64>(), proptest::option::of(any::<u64>()));
    (1..u64::MAX, "[!-~]{1,128}", scope, action, "[ -~é]{0,80}", "[ -~é]{0,80}", times).prop_map(
        |(seq, id, scope, action, who, why, (at, event_at))| {
            let scope = match action {
                Action::Posture(..) => Scope::from_str("device:d"),
                _ => scope.parse(),
            };
            let scope = scope.expect("the strategy makes scopes");
            let signal = Signal {
                id: id.into(),
                scope,
                action,
                who: who.into(),
                why: why.into(),
                source: "edr".into(),
                at: Timestamp::from_millis(at),
                event_at: event_at.map(Timestamp::from_millis),
            };
            (Seq(seq), signal)
        },
    )
}

proptest! {
    #[test]
    fn a_signal_survives_the_wire((seq, signal) in any_signal()) {
        let bytes = to_wire(seq, &signal).encode_to_vec();
        let back = control::Signal::decode(&*bytes).unwrap();
        prop_assert_eq!(from_wire(back), Ok((seq, signal)));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in any::<Vec<u8>>()) {
        if let Ok(message) = control::Signal::decode(&*bytes) {
            let _ = from_wire(message);
        }
        if let Ok(message) = SubmitRequest::decode(&*bytes) {
            let _ = from_request(message, "peer", NOW);
        }
    }

    #[test]
    fn what_is_read_is_written_back_alike(
        seq in 0..3u64, kind in 0..6i32, risk in proptest::option::of(0..120u32), scope in "(trust-domain:[a-z]{0,2}|[a-z:]{0,9})", id in "[a-z\n]{0,2}",
        issued in proptest::option::of(any::<u64>()), expires in proptest::option::of(any::<u64>()),
    ) {
        let message = control::Signal {
            seq, kind, scope, id, issued_before_ms: issued, expires_at_ms: expires, risk, ..control::Signal::default()
        };
        if let Ok((seq, signal)) = from_wire(message.clone()) {
            prop_assert_eq!(to_wire(seq, &signal), message);
        }
    }
}
