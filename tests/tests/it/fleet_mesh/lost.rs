//! nats-server away for longer than the bound, under load: each sidecar does what its configuration says, and all recover by themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_tests::client::{Client, Protocol};
use countersign_tests::control::revocation;
use countersign_tests::eventually::eventually;
use countersign_tests::fleet::Fleet;
use countersign_tests::mesh::{CALLER, OTHER};
use http::StatusCode;
use tokio::task::JoinHandle;

/// What each of the three does without the log.
const CONDUCTS: [&str; 3] = ["deny", "cached", "policy"];

/// Readers may read, but nothing precious on an old view.
const POLICIES: &str = r#"
permit (principal in WorkloadPath::"spiffe://demo.test/ns/shop", action in Action::"read", resource == Service::"orders");
forbid (principal, action, resource) when { context.http.path like "/precious*" && context.view_age > 0 };
"#;

async fn start() -> Fleet {
    Fleet::start(|hop, mesh| {
        let degraded = format!("degraded: {{ max_view_age: 2s, log_lost: {} }}", CONDUCTS[hop]);
        mesh.policies(POLICIES).each_path().lease("1s").sections(&degraded)
    })
    .await
}

/// Requests of one caller at one hop, all the time; what it saw, at the end.
struct Load {
    stop: Arc<AtomicBool>,
    task: JoinHandle<(u32, u32)>,
}

impl Load {
    fn start(client: Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let (mut allowed, mut refused) = (0, 0);
            while !stopped.load(Ordering::SeqCst) {
                match client.get(Protocol::Http1, "/load").await.map(|reply| reply.status) {
                    Ok(StatusCode::OK) => allowed += 1,
                    _ => refused += 1,
                }
            }
            (allowed, refused)
        });
        Self { stop, task }
    }

    async fn stop(self) -> (u32, u32) {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_log_each_sidecar_does_what_it_is_told_and_all_recover_by_themselves() {
    let mut fleet = start().await;
    let (web, cart) = (fleet.authority.issue(CALLER), fleet.authority.issue(OTHER));
    let seq = fleet.hops[0].control().must(revocation("before", cart.id())).await;
    fleet.enforced(seq).await;
    for hop in &fleet.hops {
        for path in ["/known", "/precious", "/load"] {
            assert_eq!(hop.status(&web, path).await, StatusCode::OK, "{path}");
        }
    }
    let of_web: Vec<Load> = fleet.hops.iter().map(|hop| Load::start(hop.mesh.client(&web))).collect();
    let of_cart: Vec<Load> = fleet.hops.iter().map(|hop| Load::start(hop.mesh.client(&cart))).collect();

    fleet.nats.kill();
    for hop in &fleet.hops {
        eventually("a lost log", async || hop.lost_log().await.then_some(())).await;
        let refused = hop.control().submit(revocation("meanwhile", web.id())).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
        assert_eq!(hop.status(&cart, "/known").await, StatusCode::FORBIDDEN, "what is known to be revoked stays so");
    }
    let [deny, cached, policy] = [&fleet.hops[0], &fleet.hops[1], &fleet.hops[2]];
    eventually("denial", async || (deny.status(&web, "/known").await != StatusCode::OK).then_some(())).await;
    assert_ne!(deny.status(&web, "/new").await, StatusCode::OK);
    deny.mesh.audited("the denial", |line| line["reason"] == "view_stale" && line["degraded"] == "log_lost").await;
    assert!(!deny.mesh.sidecar.is_ready().await);

    assert_eq!(cached.status(&web, "/known").await, StatusCode::OK, "remembered");
    assert_ne!(cached.status(&web, "/new").await, StatusCode::OK, "not remembered");
    assert!(cached.mesh.sidecar.is_ready().await);

    eventually("a decision on an old view", async || {
        (policy.status(&web, "/precious").await == StatusCode::FORBIDDEN).then_some(())
    })
    .await;
    assert_eq!(policy.status(&web, "/new").await, StatusCode::OK);
    assert!(policy.mesh.sidecar.is_ready().await);
    let line = policy.mesh.audited("a decision", |line| line["path"] == "/new" && line["degraded"] == "log_lost").await;
    assert!(line["view_age_ms"].as_u64().unwrap() > 0, "{line}");

    fleet.nats.restart().await;
    for hop in &fleet.hops {
        eventually("recovery", async || (!hop.lost_log().await && hop.mesh.sidecar.is_ready().await).then_some(()))
            .await;
        for path in ["/known", "/new", "/newer", "/precious"] {
            assert_eq!(hop.status(&web, path).await, StatusCode::OK, "{path}");
        }
    }
    for (hop, load) in of_web.into_iter().enumerate() {
        let (allowed, refused) = load.stop().await;
        println!("{}: {allowed} allowed, {refused} refused", CONDUCTS[hop]);
        assert!(allowed > 0 && (refused > 0) == (hop == 0), "{}: {allowed}, {refused}", CONDUCTS[hop]);
    }
    for load in of_cart {
        assert_eq!(load.stop().await.0, 0, "a revoked caller was allowed");
    }
    let seq = fleet.hops[2].control().must(revocation("after", web.id())).await;
    fleet.enforced(seq).await;
    for hop in &fleet.hops {
        assert_eq!(hop.status(&web, "/known").await, StatusCode::FORBIDDEN);
    }
}
