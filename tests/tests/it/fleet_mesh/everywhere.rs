//! A signal sent to one sidecar is in force at all.

use countersign_tests::client::Protocol;
use countersign_tests::control::{restoration, revocation};
use countersign_tests::eventually::eventually;
use countersign_tests::fleet::Fleet;
use countersign_tests::mesh::{CALLER, OTHER};
use http::StatusCode;

#[tokio::test]
async fn a_revocation_at_one_is_in_force_at_all_on_cached_decisions_and_open_streams() {
    let fleet = Fleet::start(|_, mesh| mesh).await;
    let (web, cart) = (fleet.authority.issue(CALLER), fleet.authority.issue(OTHER));
    let mut streams = Vec::new();
    for hop in &fleet.hops {
        let mut both = Vec::new();
        for svid in [&web, &cart] {
            assert_eq!(hop.status(svid, "/a").await, StatusCode::OK);
            let mut stream =
                hop.mesh.client(svid).connect(Protocol::Http2).await.unwrap().stream("/stream").await.unwrap();
            stream.flows(1).await;
            both.push(stream);
        }
        streams.push(both);
    }
    let seq = fleet.hops[0].control().must(revocation("out", web.id())).await;
    fleet.enforced(seq).await;
    for (hop, streams) in fleet.hops.iter().zip(&mut streams) {
        assert_eq!(hop.status(&web, "/a").await, StatusCode::FORBIDDEN);
        assert_eq!(hop.status(&cart, "/a").await, StatusCode::OK);
        streams[0].until_cut().await;
        streams[1].flows(3).await;
    }
    // By the command line, at another one: what it waits for holds there at once, and soon at the others.
    fleet.hops[1].mesh.revoke(cart.id()).await;
    assert_eq!(fleet.hops[1].status(&cart, "/a").await, StatusCode::FORBIDDEN);
    for hop in &fleet.hops {
        eventually("revocation", async || (hop.status(&cart, "/a").await == StatusCode::FORBIDDEN).then_some(())).await;
    }
    let seq = fleet.hops[2].control().must(restoration("in", web.id())).await;
    fleet.enforced(seq).await;
    for hop in &fleet.hops {
        assert_eq!(hop.status(&web, "/a").await, StatusCode::OK);
        assert_eq!(hop.status(&cart, "/a").await, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn every_sidecar_tells_the_same_log_and_one_id_is_one_signal_wherever_it_is_sent() {
    let fleet = Fleet::start(|_, mesh| mesh).await;
    let scope = fleet.authority.id("/ns/shop/sa/x");
    let [mut first, mut second, mut third] = [0, 1, 2].map(|hop| fleet.hops[hop].control());
    let (a, b, c) = tokio::join!(
        first.must(revocation("same", &scope)),
        second.must(revocation("same", &scope)),
        third.must(revocation("same", &scope))
    );
    assert!(a == b && b == c, "{a} {b} {c}");
    let other = second.submit(restoration("same", &scope)).await.unwrap_err();
    assert_eq!(other.code(), tonic::Code::AlreadyExists, "{other:?}");
    let last = third.must(revocation("last", &scope)).await;
    fleet.enforced(last).await;
    let log = first.log().await;
    assert_eq!(log.iter().map(|signal| &*signal.id).collect::<Vec<_>>(), ["same", "last"]);
    assert_eq!(second.log().await, log);
    assert_eq!(third.log().await, log);
}
