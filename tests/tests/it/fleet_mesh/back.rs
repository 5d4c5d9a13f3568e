//! A sidecar that comes back knows what was revoked without it before it is ready: after a kill, behind a dead network,
//! and with an old copy of its replica.

use std::fs;
use std::time::{Duration, Instant};

use countersign_tests::client::{Client, Protocol};
use countersign_tests::control::revocation;
use countersign_tests::eventually::{PATIENCE, eventually};
use countersign_tests::fleet::{Fleet, Hop};
use countersign_tests::mesh::{CALLER, OTHER};
use countersign_tests::pki::Svid;
use http::StatusCode;
use tokio::sync::watch;
use tokio::task::JoinHandle;

async fn start() -> Fleet {
    let fleet = Fleet::start(|_, mesh| {
        mesh.lease("1s").sections(&format!("degraded: {{ max_view_age: {}s }}", BOUND.as_secs()))
    })
    .await;
    for hop in &fleet.hops {
        assert_eq!(hop.status(&fleet.authority.issue(CALLER), "/a").await, StatusCode::OK);
    }
    fleet
}

/// Revoked at the first, in force at those named.
async fn revoke(fleet: &Fleet, svid: &Svid, at: &[usize]) {
    let seq = fleet.hops[0].control().must(revocation(&format!("out-{}", svid.id()), svid.id())).await;
    for hop in at {
        fleet.hops[*hop].control().enforced(seq).await;
    }
}

/// Asks on a connection of its own, again and again, and stops the test if it is let in.
struct Knocking {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Knocking {
    fn start(hop: &Hop, revoked: &Svid) -> Self {
        let stop = watch::Sender::new(false);
        let tasks = (0..KNOCKING).map(|_| tokio::spawn(knock(hop.mesh.client(revoked), stop.subscribe()))).collect();
        Self { stop, tasks }
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

async fn knock(client: Client, stopped: watch::Receiver<bool>) {
    let mut connection = client.connect(Protocol::Http2).await.unwrap();
    let start = Instant::now();
    while !*stopped.borrow() {
        let answered = connection.get("/a").await.map(|reply| reply.status);
        assert!(!matches!(answered, Ok(StatusCode::OK)), "let in after {:?}", start.elapsed());
    }
}

/// From now until it is ready, and when it is, the revoked one is not allowed; others are in the end.
async fn never_allowed_and_others_again(hop: &Hop, knocking: Knocking, revoked: &Svid, other: &Svid) {
    eventually("readiness", async || hop.mesh.sidecar.is_ready().await.then_some(())).await;
    assert_ne!(hop.status(revoked, "/a").await, StatusCode::OK);
    eventually("answers", async || (hop.status(other, "/a").await == StatusCode::OK).then_some(())).await;
    assert_eq!(hop.status(revoked, "/a").await, StatusCode::FORBIDDEN);
    knocking.stop().await;
}

#[tokio::test]
async fn what_was_revoked_while_a_sidecar_was_dead_is_enforced_before_it_is_ready() {
    let mut fleet = start().await;
    let (web, cart) = (fleet.authority.issue(CALLER), fleet.authority.issue(OTHER));
    fleet.hops[2].mesh.sidecar.kill();
    // Its filter may answer from memory for a lease that nobody can end.
    eventually("the end of the lease", async || {
        (fleet.hops[2].status(&web, "/a").await != StatusCode::OK).then_some(())
    })
    .await;
    revoke(&fleet, &web, &[0, 1]).await;
    let knocking = Knocking::start(&fleet.hops[2], &web);
    fleet.hops[2].mesh.sidecar.run_again();
    never_allowed_and_others_again(&fleet.hops[2], knocking, &web, &cart).await;
}

#[tokio::test]
async fn what_was_revoked_behind_a_dead_network_is_enforced_before_a_sidecar_is_ready_again() {
    let fleet = start().await;
    let (web, cart) = (fleet.authority.issue(CALLER), fleet.authority.issue(OTHER));
    for (break_it, revoked, other) in [("freeze", &web, &cart), ("cut", &cart, &fleet.authority.issue("/ns/shop/sa/c"))]
    {
        let hop = &fleet.hops[2];
        if break_it == "freeze" {
            hop.wire.freeze();
        } else {
            hop.wire.cut();
        }
        revoke(&fleet, revoked, &[0, 1]).await;
        assert_eq!(fleet.hops[1].status(revoked, "/a").await, StatusCode::FORBIDDEN);
        eventually("the loss of its view", async || hop.lost_log().await.then_some(())).await;
        eventually("the end of its filter's lease", async || {
            (hop.status(revoked, "/a").await != StatusCode::OK).then_some(())
        })
        .await;
        let knocking = Knocking::start(hop, revoked);
        hop.wire.mend();
        never_allowed_and_others_again(hop, knocking, revoked, other).await;
    }
}

#[tokio::test]
async fn no_network_however_dead_keeps_a_revocation_away_for_longer_than_the_bound_of_the_view() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let fleet = start().await;
    let hop = &fleet.hops[2];
    for round in 0..ROUNDS {
        let svid = fleet.authority.issue(&format!("/ns/shop/sa/bound{round}"));
        assert_eq!(hop.status(&svid, "/a").await, StatusCode::OK);
        if round % 2 == 0 {
            hop.wire.freeze();
        } else {
            hop.wire.cut();
        }
        revoke(&fleet, &svid, &[0]).await;
        let revoked = Instant::now();
        let outage = BOUND.mul_f64(0.5 + random.f64());
        let mut mended = false;
        loop {
            let began = revoked.elapsed();
            if began > outage && !mended {
                hop.wire.mend();
                mended = true;
            }
            match hop.status(&svid, "/a").await {
                StatusCode::OK => assert!(began < BOUND, "allowed {began:?} after; mended after {outage:?}: {mended}"),
                // What was revoked is known.
                StatusCode::FORBIDDEN => break,
                // The view is lost.
                _ => {}
            }
            assert!(began < PATIENCE, "still not in force");
        }
        hop.wire.mend();
        eventually("its view again", async || hop.mesh.sidecar.is_ready().await.then_some(())).await;
    }
}

#[tokio::test]
async fn a_sidecar_that_starts_without_the_log_is_not_ready_until_it_has_it() {
    let mut fleet = start().await;
    let web = fleet.authority.issue(CALLER);
    fleet.nats.kill();
    let hop = &mut fleet.hops[1];
    hop.mesh.sidecar.run_again();
    let body = eventually("a word on why it is not ready", async || {
        let (status, body) = hop.mesh.sidecar.admin().get("/readyz?verbose").await.ok()?;
        (status == StatusCode::SERVICE_UNAVAILABLE).then(|| String::from_utf8_lossy(&body).into_owned())
    })
    .await;
    assert!(body.contains("log_lost"), "{body}");
    assert_ne!(fleet.hops[1].status(&web, "/new").await, StatusCode::OK);
    fleet.nats.restart().await;
    fleet.hops[1].mesh.sidecar.until_ready().await;
    eventually("answers", async || (fleet.hops[1].status(&web, "/new").await == StatusCode::OK).then_some(())).await;
}

#[tokio::test]
async fn an_old_copy_of_a_replica_is_caught_up_before_its_sidecar_is_ready() {
    let mut fleet = start().await;
    let (web, cart) = (fleet.authority.issue(CALLER), fleet.authority.issue(OTHER));
    revoke(&fleet, &fleet.authority.issue("/ns/shop/sa/first"), &[0, 1, 2]).await;
    fleet.hops[2].mesh.sidecar.kill();
    let log = fleet.hops[2].mesh.signal_log();
    // The witness beside it too, as a restored disk has it: nothing here knows that it is old.
    let files: Vec<_> = ["", ".head"].map(|more| format!("{}{more}", log.display())).to_vec();
    let old: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    fleet.hops[2].mesh.sidecar.restart().await;
    revoke(&fleet, &web, &[0, 1, 2]).await;
    fleet.hops[2].mesh.sidecar.kill();
    for (file, bytes) in files.iter().zip(old) {
        fs::write(file, bytes).unwrap();
    }
    let knocking = Knocking::start(&fleet.hops[2], &web);
    fleet.hops[2].mesh.sidecar.run_again();
    never_allowed_and_others_again(&fleet.hops[2], knocking, &web, &cart).await;
}

/// How old a view may be, and so how long a revocation may be unknown.
const BOUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 4;
const KNOCKING: usize = 3;
