//! Sidecars' logs on one real nats-server: one order for all, nothing lost and nothing twice, and no other past passes for it.

mod joining;
mod logins;
mod losses;
mod member;

use std::sync::Arc;

use authz_core::signal::{Action, Seq, Signal};
use countersign::signals::SubmitError;
use countersign_tests::nats::{Nats, NatsCluster};
use futures_util::{StreamExt, stream};
use member::{Home, Member, config, signal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_members_have_one_order_and_a_signal_is_in_force_before_its_sender_hears() {
    let nats = Nats::start().await;
    let members: Vec<_> = stream::iter(0..3).then(|_| Member::new(config(&[nats.url()]))).collect().await;
    let members: Vec<Arc<Member>> = members.into_iter().map(Arc::new).collect();
    let sends = (0..300).map(|n| {
        let member = Arc::clone(&members[n % 3]);
        async move {
            // Every id is sent at two members at once.
            let accepted = member.plane.submit(signal(&format!("id-{}", n % 150))).await.unwrap();
            assert!(member.applied().contains(&accepted.seq), "the sender heard before it was in force");
            accepted
        }
    });
    let accepted: Vec<_> = stream::iter(sends).buffer_unordered(32).collect().await;
    assert_eq!(accepted.iter().filter(|it| it.known).count(), 150);
    for member in &members {
        member.reaches(Seq(150)).await;
        assert_eq!(member.applied(), (1..=150).map(Seq).collect::<Vec<_>>());
        assert_eq!(member.entries(), members[0].entries());
        assert_eq!(member.plane.log().fingerprint(Seq(150)), members[0].plane.log().fingerprint(Seq(150)));
    }
    for it in accepted {
        assert_eq!(it.signal.id, members[0].entries()[usize::try_from(it.seq.0).unwrap() - 1].1.id);
    }
}

#[tokio::test]
async fn an_id_is_one_signal_for_all_members_and_another_one_of_it_is_refused() {
    let nats = Nats::start().await;
    let (one, other) = (Member::new(config(&[nats.url()])).await, Member::new(config(&[nats.url()])).await);
    let first = one.plane.submit(signal("a")).await.unwrap();
    assert_eq!((first.seq, first.known), (Seq(1), false));
    let later = Signal { at: first.signal.at.saturating_add_millis(5), ..signal("a") };
    let again = other.plane.submit(later).await.unwrap();
    assert_eq!((again.seq, again.known, &again.signal), (Seq(1), true, &first.signal));
    let another = Signal { action: Action::Restore, ..signal("a") };
    for member in [&one, &other] {
        let error = member.plane.submit(another.clone()).await.unwrap_err();
        assert!(error.to_string().contains("already names another signal (1: revoke"), "{error}");
    }
    let race = |member: &Member, why: &str| {
        let signal = Signal { why: why.into(), ..signal("b") };
        let plane = Arc::clone(&member.plane);
        tokio::spawn(async move { plane.submit(signal).await })
    };
    let (left, right) = (race(&one, "left"), race(&other, "right"));
    let results = [left.await.unwrap(), right.await.unwrap()];
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert_eq!(one.plane.submit(signal("c")).await.unwrap().seq, Seq(3));
}

#[tokio::test]
async fn a_batch_keeps_its_results_in_order_and_its_signals_where_they_touch_the_same() {
    let nats = Nats::start().await;
    let (one, other) = (Member::new(config(&[nats.url()])).await, Member::new(config(&[nats.url()])).await);
    let mut batch: Vec<_> = (0..2000).map(|n| signal(&format!("id-{n}"))).collect();
    batch.push(Signal { action: Action::Restore, id: "lift".into(), ..batch[7].clone() });
    batch.push(Signal { id: "again".into(), ..batch[7].clone() });
    batch.push(batch[3].clone());
    let results = one.plane.submit_all(batch.clone()).await;
    let accepted: Vec<_> = results.into_iter().map(|result| result.unwrap()).collect();
    assert!(batch.iter().zip(&accepted).all(|(sent, got)| sent.id == got.signal.id));
    let [.., lift, again, twice] = &accepted[..] else { panic!("too few") };
    assert!(accepted[7].seq < lift.seq && lift.seq < again.seq && twice.known && twice.seq == accepted[3].seq);
    other.reaches(Seq(2002)).await;
    assert_eq!(other.entries(), one.entries());
}

#[tokio::test]
async fn a_member_that_starts_again_goes_on_where_its_replica_ends() {
    let nats = Nats::start().await;
    let home = Home::new();
    let one = Member::at(&home, config(&[nats.url()])).await;
    let other = Member::new(config(&[nats.url()])).await;
    one.plane.submit(signal("a")).await.unwrap();
    drop(one);
    for id in ["b", "c"] {
        other.plane.submit(signal(id)).await.unwrap();
    }
    let one = Member::at(&home, config(&[nats.url()])).await;
    one.caught_up().await;
    assert_eq!(
        one.applied(),
        [1, 2, 3].map(Seq),
        "what was revoked elsewhere meanwhile is in force once it has caught up"
    );
    assert!(one.plane.freshness().age(std::time::Instant::now()).is_some());
    assert_eq!(one.plane.submit(signal("d")).await.unwrap().seq, Seq(4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_cluster_any_server_may_die_and_an_id_that_races_is_taken_once() {
    let mut cluster = NatsCluster::start().await;
    let settings = || countersign::config::NatsConfig { replicas: 3, ..config(&cluster.urls()) };
    let (one, other) = (Member::new(settings()).await, Member::new(settings()).await);
    for round in 0..6 {
        if round % 2 == 1 {
            cluster.servers[round / 2].kill();
        }
        for n in 0..20 {
            let id = format!("id-{round}-{n}");
            let (left, right) = tokio::join!(one.insist(signal(&id)), other.insist(signal(&id)));
            assert_eq!((left.seq, &left.signal), (right.seq, &right.signal), "two signals of one id");
        }
        if round % 2 == 1 {
            cluster.servers[round / 2].restart().await;
        }
    }
    one.reaches(Seq(120)).await;
    other.reaches(Seq(120)).await;
    assert_eq!((one.plane.head(), one.entries()), (Seq(120), other.entries()));
}

#[tokio::test]
async fn what_is_sent_while_no_server_answers_is_refused_in_time_and_taken_once_when_sent_again() {
    let nats = Nats::start().await;
    let settings =
        countersign::config::NatsConfig { timeout: std::time::Duration::from_millis(500), ..config(&[nats.url()]) };
    let one = Member::new(settings).await;
    one.plane.submit(signal("a")).await.unwrap();
    nats.pause();
    let error = one.plane.submit(signal("b")).await.unwrap_err();
    assert!(matches!(error, SubmitError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("send it again with the same id"), "{error}");
    nats.resume();
    assert_eq!(one.insist(signal("b")).await.seq, Seq(2));
    assert_eq!(one.insist(signal("c")).await.seq, Seq(3), "the first b came to nothing more");
}
