//! From a log of one's own to a fleet: every signal comes along, in order, once.

use std::time::Duration;

use authz_core::signal::{Action, Seq, Signal};
use countersign::{config::NatsConfig, signals::Log};
use countersign_tests::nats::Nats;

use super::member::{Home, Member, config, signal};

fn ids(range: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    range.map(|n| format!("id-{n}"))
}

fn names(member: &Member) -> Vec<String> {
    member.entries().into_iter().map(|(_, signal)| signal.id.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_one_log_that_join_at_once_enter_the_stream_once_and_in_order() {
    let nats = Nats::start().await;
    let homes = [Home::with(ids(0..1000)), Home::with(ids(0..1000)), Home::with(ids(0..700))];
    let [one, two, three] = &homes;
    let at = |home| Member::at(home, config(&[nats.url()]));
    let (one, two, three) = tokio::join!(at(one), at(two), at(three));
    for member in [&one, &two, &three] {
        member.reaches(Seq(1000)).await;
        assert_eq!(names(member), ids(0..1000).collect::<Vec<_>>());
    }
    assert_eq!(three.plane.submit(signal("new")).await.unwrap().seq, Seq(1001));
    two.reaches(Seq(1001)).await;
    assert_eq!(two.plane.log().fingerprint(Seq(1001)), three.plane.log().fingerprint(Seq(1001)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_with_different_pasts_that_join_at_once_become_one_with_all_signals_of_both() {
    let nats = Nats::start().await;
    let homes = [Home::with(ids(0..500)), Home::with(ids(400..900))];
    let at = |home| Member::at(home, config(&[nats.url()]));
    let (one, two) = tokio::join!(at(&homes[0]), at(&homes[1]));
    for member in [&one, &two] {
        member.reaches(Seq(900)).await;
        let mut all = names(member);
        all.sort();
        let mut expected: Vec<_> = ids(0..900).collect();
        expected.sort();
        assert_eq!(all, expected);
    }
    assert_eq!(one.entries(), two.entries());
}

#[tokio::test]
async fn an_old_restore_that_joins_late_lifts_no_newer_revocation() {
    let nats = Nats::start().await;
    let fleet = Member::new(config(&[nats.url()])).await;
    fleet.plane.submit(signal("x")).await.unwrap();
    let home = Home::new();
    let older = signal("x").at.as_millis() - 1000;
    let restore = Signal {
        id: "lift".into(),
        action: Action::Restore,
        at: authz_core::time::Timestamp::from_millis(older),
        ..signal("x")
    };
    drop(Log::open(&home.path()).unwrap().append(restore).unwrap());
    let late = Member::at(&home, config(&[nats.url()])).await;
    late.reaches(Seq(2)).await;
    fleet.reaches(Seq(2)).await;
    let mut set = authz_core::revocation::RevocationSet::default();
    for (seq, signal) in fleet.entries() {
        set.apply(seq, &signal);
    }
    assert_eq!((fleet.entries(), set.len()), (late.entries(), 1), "still revoked");
}

#[tokio::test]
async fn a_log_that_can_not_be_imported_keeps_the_sidecar_from_starting_and_says_what_to_do() {
    let nats = Nats::start().await;
    let home = Home::with(ids(0..3));
    let unfit = NatsConfig { replicas: 3, ..config(&[nats.url()]) };
    let error = Member::try_at(&home, unfit).await.err().unwrap().to_string();
    assert!(error.contains("signals.log holds 3 signals") && error.contains("signals.nats.replicas: 1"), "{error}");
}

#[tokio::test]
async fn a_stream_that_would_forget_is_refused_with_what_to_change() {
    let nats = Nats::start().await;
    let jetstream = nats.jetstream().await;
    let forgetful = async_nats::jetstream::stream::Config {
        name: "countersign".to_owned(),
        subjects: vec!["countersign.signals.*".to_owned()],
        max_age: Duration::from_hours(24),
        ..Default::default()
    };
    jetstream.create_stream(forgetful).await.unwrap();
    let one = Member::new(config(&[nats.url()])).await;
    let why = one.refuses().await;
    assert!(
        why.contains("max_age 86400s (must be unlimited)") && why.contains("nats stream edit countersign"),
        "{why}"
    );
    assert_eq!(one.metrics.fleet_refusals.with_label_values(&["unfit"]).get(), 1);
}
