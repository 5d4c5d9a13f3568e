//! Order and exactly-once, seen from senders, the applier and followers at once.

use std::sync::Mutex;

use authz_core::{signal::Action, time::Timestamp};

use super::*;

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
    let readiness = Readiness::new(Arc::default(), Arc::clone(&plane), None);
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
async fn a_writer_that_is_gone_is_trouble_too() {
    let directory = tempfile::tempdir().unwrap();
    let plane = SignalPlane::start(Log::open(&directory.path().join("log")).unwrap(), |_| panic!("a fault")).unwrap();
    let trouble = plane.trouble();
    assert!(matches!(plane.submit(signal("a")).await, Err(SubmitError::Stopped)));
    trouble.await;
    assert!(!plane.is_healthy());
}
