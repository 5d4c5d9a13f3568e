//! Order and exactly-once, seen from senders, the applier and followers at once.

use std::{sync::Mutex, time::Duration};

use authz_core::{signal::Action, time::Timestamp};

use super::*;
use crate::{
    config::DegradedConfig,
    degraded::{Conduct, Degraded},
};

fn config() -> DegradedConfig {
    DegradedConfig { max_view_age: Duration::from_secs(30), log_lost: Conduct::Deny, store_unwritable: Conduct::Policy }
}

fn signal(id: &str) -> Signal {
    Signal {
        id: id.into(),
        scope: "trust-domain:demo.test".parse().unwrap(),
        action: Action::Restore,
        who: "uid:0".into(),
        why: "".into(),
        source: "".into(),
        at: Timestamp::from_millis(1),
        event_at: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_signals_are_applied_once_in_order_before_their_senders_hear() {
    let directory = tempfile::tempdir().unwrap();
    let applied = Arc::new(Mutex::new(Vec::new()));
    let log = Log::open(&directory.path().join("log")).unwrap();
    let sink = Arc::clone(&applied);
    let plane = SignalPlane::start(log, move |new| sink.lock().unwrap().extend(new.iter().map(|it| it.seq))).unwrap();
    let plane = Arc::new(plane);
    let mut tail = plane.subscribe_from(Seq(0)).unwrap();
    let senders: Vec<_> = (0..200)
        .map(|n| {
            let (plane, applied) = (Arc::clone(&plane), Arc::clone(&applied));
            tokio::spawn(async move {
                // Half of the ids come twice.
                let accepted = plane.submit(signal(&format!("id-{}", n % 150))).await.unwrap();
                assert!(applied.lock().unwrap().contains(&accepted.seq), "the sender heard before it was in force");
                accepted.known
            })
        })
        .collect();
    let mut known = 0;
    for sender in senders {
        known += usize::from(sender.await.unwrap());
    }
    assert_eq!(known, 50);
    let expected: Vec<_> = (1..=150).map(Seq).collect();
    assert_eq!(*applied.lock().unwrap(), expected);
    let mut seen = Vec::new();
    while seen.len() < 150 {
        seen.extend(tail.next().await.unwrap().iter().map(|entry| entry.seq));
    }
    assert_eq!((seen, plane.head()), (expected, Seq(150)));
}

#[tokio::test]
async fn a_conflict_refuses_one_signal_and_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let plane = SignalPlane::start(Log::open(&directory.path().join("log")).unwrap(), |_| {}).unwrap();
    plane.submit(signal("a")).await.unwrap();
    let other = Signal { why: "another reason".into(), ..signal("a") };
    let (refused, taken) = tokio::join!(plane.submit(other), plane.submit(signal("b")));
    assert!(refused.unwrap_err().to_string().contains("choose another id"));
    assert_eq!(taken.unwrap().seq, Seq(2));
    assert!(plane.is_healthy());
}

#[tokio::test]
async fn a_restart_goes_on_where_the_log_ends_and_followers_find_their_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let plane = SignalPlane::start(Log::open(&path).unwrap(), |_| {}).unwrap();
    plane.submit(signal("a")).await.unwrap();
    plane.submit(signal("b")).await.unwrap();
    let mut orphan = plane.subscribe_from(Seq(2)).unwrap();
    drop(plane);
    assert_eq!(orphan.next().await.unwrap_err(), TailEnd::Closed);
    let applied = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&applied);
    let apply = move |new: &mut [Entry]| sink.lock().unwrap().extend(new.iter().map(|it| it.seq.0));
    let plane = SignalPlane::start(Log::open(&path).unwrap(), apply).unwrap();
    assert_eq!(*applied.lock().unwrap(), [1, 2], "what the log holds is in force before anything new");
    assert_eq!(plane.submit(signal("c")).await.unwrap().seq, Seq(3));
    let entries = plane.subscribe_from(Seq(1)).unwrap().next().await.unwrap();
    assert_eq!(entries.iter().map(|it| &*it.signal.id).collect::<Vec<_>>(), ["b", "c"]);
}

#[tokio::test]
async fn who_waits_for_trouble_hears_of_a_full_disk_once_and_readiness_names_the_remedy() {
    use crate::readiness::Readiness;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    drop(Log::open(&path).unwrap());
    let (log, full) = super::super::log::tests::on_a_disk_that_fills(&path);
    let plane = Arc::new(SignalPlane::start(log, |_| {}).unwrap());
    let degraded = Degraded::never(config());
    let readiness = Readiness::new(Arc::default(), Arc::clone(&plane), None, degraded);
    let signals = || readiness.parts().into_iter().find(|part| part.name == "signals").unwrap();
    plane.submit(signal("a")).await.unwrap();
    assert!(signals().ok && plane.is_healthy());
    let (trouble, changed) = (plane.trouble(), readiness.changed());
    full.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(plane.submit(signal("b")).await.is_err());
    trouble.await;
    changed.await;
    let status = signals();
    assert!(!status.ok && status.detail.contains("signals.log"), "{}", status.detail);
    let again = tokio::time::timeout(std::time::Duration::from_millis(50), plane.trouble()).await;
    assert!(again.is_err(), "whoever asks in a loop must not spin");
}

#[tokio::test]
async fn a_disk_with_room_again_takes_signals_without_a_restart_and_what_it_kept_is_in_force_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    drop(Log::open(&path).unwrap());
    let (log, full) = super::super::log::tests::on_a_disk_that_fills(&path);
    let applied = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&applied);
    let apply =
        move |new: &mut [Entry]| sink.lock().unwrap().extend(new.iter().map(|it| (it.seq, it.signal.id.clone())));
    let plane = SignalPlane::start(log, apply).unwrap();
    plane.submit(signal("a")).await.unwrap();
    let mut tail = plane.subscribe_from(Seq(0)).unwrap();
    plane.recover();
    for id in ["b", "c"] {
        full.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(plane.submit(signal(id)).await.is_err());
        assert!(!plane.is_healthy() && plane.submit(signal("z")).await.is_err());
        full.store(false, std::sync::atomic::Ordering::Relaxed);
        while !plane.is_healthy() {
            let changed = plane.trouble();
            plane.recover();
            let _ = tokio::time::timeout(std::time::Duration::from_millis(200), changed).await;
        }
        plane.submit(signal(id)).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < applied.lock().unwrap().len() {
        seen.extend(tail.next().await.unwrap().into_iter().map(|it| (it.seq, it.signal.id.clone())));
    }
    let mut on_disk = Vec::new();
    plane.log().replay(|seq, signal| on_disk.push((seq, signal.id))).unwrap();
    assert_eq!((&seen, &on_disk), (&*applied.lock().unwrap(), &seen));
    assert!(["a", "b", "c"].iter().all(|id| seen.iter().filter(|(_, there)| &**there == *id).count() == 1));
}

#[tokio::test]
async fn what_was_compacted_is_in_force_after_a_restart_and_nobody_follows_from_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = Log::open(&path).unwrap();
    for id in ["a", "b", "c", "d"] {
        log.append(signal(id)).unwrap();
    }
    log.compact(Seq(3), Timestamp::from_millis(1), |seq, _| seq.0 != 2).unwrap();
    let applied = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&applied);
    let plane = SignalPlane::start(log, move |new| sink.lock().unwrap().extend(new.iter().map(|it| it.seq.0))).unwrap();
    assert_eq!(*applied.lock().unwrap(), [2, 4]);
    assert_eq!(plane.subscribe_from(Seq(2)).unwrap_err(), TailEnd::NotAtHand(Seq(2)));
    assert_eq!(plane.subscribe_from(Seq(3)).unwrap().next().await.unwrap()[0].seq, Seq(4));
    drop(plane);
    let log = Log::open(&path).unwrap();
    log.compact(Seq(4), Timestamp::from_millis(1), |_, _| true).unwrap();
    let plane = SignalPlane::start(log, |_| {}).unwrap();
    assert_eq!((plane.head(), plane.submit(signal("e")).await.unwrap().seq), (Seq(4), Seq(5)));
}

#[tokio::test]
async fn a_writer_that_is_gone_is_trouble_too() {
    let directory = tempfile::tempdir().unwrap();
    let plane = SignalPlane::start(Log::open(&directory.path().join("log")).unwrap(), |_| panic!("a fault")).unwrap();
    let trouble = plane.trouble();
    assert!(matches!(plane.submit(signal("a")).await, Err(SubmitError::Stopped)));
    trouble.await;
    assert!(!plane.is_healthy());
}
