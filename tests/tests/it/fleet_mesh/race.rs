//! A thousand revocations against requests at every Envoy. What is promised when: once a sidecar has acknowledged a
//! signal, every check it makes denies; once it reports it complete, its filters deny too; once all do, everybody does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use countersign_tests::client::{Connection, Protocol};
use countersign_tests::control::revocation;
use countersign_tests::fleet::Fleet;
use countersign_tests::mesh::Mode;
use countersign_tests::pki::Svid;
use http::StatusCode;

const REVOCATIONS: usize = 1000;
const HOPS: usize = 3;

struct Race {
    fleet: Fleet,
    svids: Vec<Svid>,
    /// By workload and hop: whether a request that starts there now must be denied.
    promised: Vec<[AtomicBool; HOPS]>,
    next: AtomicUsize,
    over: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_revocations_no_request_that_starts_after_its_acknowledgement_is_allowed() {
    // The first asks its sidecar each time: there the acknowledgement itself is the promise.
    let fleet = Fleet::start(|hop, mesh| if hop == 0 { mesh.mode(Mode::ExtAuthz) } else { mesh }).await;
    let svids = (0..REVOCATIONS).map(|number| fleet.authority.issue(&format!("/ns/shop/sa/r{number}"))).collect();
    let promised = (0..REVOCATIONS).map(|_| Default::default()).collect();
    let race = Arc::new(Race { fleet, svids, promised, next: AtomicUsize::new(0), over: AtomicBool::new(false) });
    let requesters: Vec<_> = (0..2 * HOPS).map(|number| tokio::spawn(ask(Arc::clone(&race), number % HOPS))).collect();
    let revokers: Vec<_> = (0..REVOKERS).map(|_| tokio::spawn(revoke(Arc::clone(&race)))).collect();
    for revoker in revokers {
        revoker.await.unwrap();
    }
    race.over.store(true, Ordering::SeqCst);
    let mut answers = (0, 0);
    for requester in requesters {
        let (allowed, denied) = requester.await.unwrap();
        answers = (answers.0 + allowed, answers.1 + denied);
    }
    println!("{REVOCATIONS} revocations: {} requests allowed, {} denied", answers.0, answers.1);
    assert!(answers.0 > 200 && answers.1 > 200, "{answers:?}: the race was one");
    for hop in &race.fleet.hops {
        assert_eq!(
            hop.mesh.sidecar.metric("countersign_revocations", &[]).await,
            f64::from(u32::try_from(REVOCATIONS).unwrap())
        );
        assert_eq!(hop.status(&race.svids[REVOCATIONS / 2], "/raced").await, StatusCode::FORBIDDEN);
    }
}

async fn revoke(race: Arc<Race>) {
    let mut controls: Vec<_> = race.fleet.hops.iter().map(countersign_tests::fleet::Hop::control).collect();
    loop {
        let number = race.next.fetch_add(1, Ordering::SeqCst);
        let Some(svid) = race.svids.get(number) else { return };
        let promise = |hop: usize| race.promised[number][hop].store(true, Ordering::SeqCst);
        let here = number % HOPS;
        let seq = controls[here].must(revocation(&format!("race-{number}"), svid.id())).await;
        if race.fleet.hops[here].mesh.mode() == Mode::ExtAuthz {
            promise(here);
        }
        for hop in [here, (here + 1) % HOPS, (here + 2) % HOPS] {
            controls[hop].enforced(seq).await;
            promise(hop);
        }
    }
}

async fn ask(race: Arc<Race>, hop: usize) -> (u32, u32) {
    let mut connections: BTreeMap<usize, Connection> = BTreeMap::new();
    let (mut allowed, mut denied) = (0, 0);
    while !race.over.load(Ordering::SeqCst) {
        let next = race.next.load(Ordering::SeqCst);
        let number = fastrand::usize(next.saturating_sub(BEHIND)..next + AHEAD).min(REVOCATIONS - 1);
        connections.retain(|kept, connection| kept + BEHIND > next && !connection.is_closed());
        let connection = match connections.entry(number) {
            std::collections::btree_map::Entry::Occupied(kept) => kept.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => {
                let client = race.fleet.hops[hop].mesh.client(&race.svids[number]);
                free.insert(client.connect(Protocol::Http2).await.unwrap())
            }
        };
        let promised = race.promised[number][hop].load(Ordering::SeqCst);
        match connection.get("/raced").await.map(|reply| reply.status) {
            Ok(StatusCode::OK) => {
                assert!(!promised, "workload {number} was allowed at hop {hop} after its revocation was in force");
                allowed += 1;
            }
            // A revocation also ends what is under way: the filter resets the stream.
            Ok(StatusCode::FORBIDDEN) | Err(_) => denied += 1,
            // A sidecar that does not answer in time on a busy machine.
            Ok(StatusCode::SERVICE_UNAVAILABLE) => {}
            Ok(other) => panic!("workload {number} at hop {hop}: {other}"),
        }
    }
    (allowed, denied)
}

const REVOKERS: usize = 8;
/// Asked about: those revoked last, and those whose turn is next.
const BEHIND: usize = 15;
const AHEAD: usize = 8;
