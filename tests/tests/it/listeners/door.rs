//! One door inside this process, so that what comes between a revocation and the next request is in the test's hands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use authz_core::identity::{IdPattern, SpiffeId, TrustDomain};
use authz_core::revocation::Mark;
use authz_core::scope::Scope;
use authz_core::signal::{Action, Outcome, Seq, Signal};
use authz_core::time::Timestamp;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use countersign::config::TlsVersion;
use countersign::identity::{Bundle, Bundles, Forwarding, OwnIdentity, OwnSvid, Verifier};
use countersign::metrics::Metrics;
use countersign::signals::Entry;
use countersign::state::State;
use countersign::tls::{Door, Gatekeeper, Listener, Speaks};
use countersign_tests::client::{Chunk, Client, Connection, Protocol};
use countersign_tests::pki::Authority;
use futures_util::stream;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Whole frames: a client takes many small ones for an attack.
const MORE: &[u8] = &[0; 16 * 1024];

struct Rig {
    authority: Authority,
    state: Arc<State>,
    verifier: Arc<Verifier>,
    metrics: Arc<Metrics>,
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

impl Rig {
    async fn start(speaks: Speaks) -> Self {
        let authority = Authority::new("demo.test");
        let bundle = Bundle::parse(authority.bundle_pem().as_bytes()).unwrap();
        let bundles = Bundles::new([(TrustDomain::parse("demo.test").unwrap(), Arc::new(bundle))]);
        let (state, verifier) = (Arc::new(State::default()), Arc::new(Verifier::new(bundles, Forwarding::default())));
        state.set_replayed();
        let metrics = Arc::new(Metrics::new().unwrap());
        let (own, svid) = (OwnIdentity::default(), authority.issue("/server"));
        let key = PrivatePkcs8KeyDer::from(svid.key_der().to_vec()).into();
        let chain = vec![CertificateDer::from(svid.leaf_der().to_vec())];
        own.set(Some(Arc::new(OwnSvid::new(chain, &key).unwrap())));
        let allow = vec![IdPattern::parse("spiffe://demo.test/client").unwrap()];
        let gatekeeper = Gatekeeper::new(Arc::clone(&verifier), Arc::clone(&state), allow);
        let door = Door::new((Listener::ExtAuthz, speaks), TlsVersion::V13, gatekeeper, own, Arc::clone(&metrics));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/short", get(|| async { "ok" })).route(
            "/endless",
            get(|| async { Body::from_stream(stream::repeat(Ok::<_, std::convert::Infallible>(MORE))) }),
        );
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(door.serve(listener, router, stopped));
        Self { authority, state, verifier, metrics, address, _stop: stop }
    }

    async fn connect(&self, protocol: Protocol) -> Connection {
        let svid = self.authority.issue("/client");
        Client::new(self.address, &self.authority).identity(&svid).connect(protocol).await.unwrap()
    }

    fn revoke(&self) {
        let scope = Scope::spiffe_id(&SpiffeId::parse("spiffe://demo.test/client").unwrap());
        let text: Arc<str> = "test".into();
        let signal = Signal {
            id: Arc::clone(&text),
            scope,
            action: Action::Revoke(Mark::FOREVER),
            who: Arc::clone(&text),
            why: Arc::clone(&text),
            source: text,
            at: Timestamp::from_secs(1),
            event_at: None,
        };
        let (signal, outcome) = (Arc::new(signal), Outcome::Unchanged);
        self.state.apply(&mut [Entry { seq: Seq(1), signal, received: Instant::now(), outcome }]);
    }

    fn refused(&self, result: &str) -> u64 {
        self.metrics.tls_refused_requests.with_label_values(&["ext_authz", result]).get()
    }
}

#[tokio::test]
async fn the_next_request_of_a_revoked_peer_is_refused_even_if_the_goodbye_has_not_reached_it() {
    let rig = Rig::start(Speaks::Grpc).await;
    let mut connection = rig.connect(Protocol::Http2).await;
    assert_eq!(connection.get("/short").await.unwrap().body, "ok");
    // Nothing is awaited in between: on this one thread the request is on its way before the client can hear of anything.
    rig.revoke();
    let reply = connection.get("/short").await.unwrap();
    assert_eq!(reply.headers["grpc-status"], "7", "{reply:?}");
    assert!(reply.body.is_empty() && !format!("{reply:?}").contains("spiffe://"), "{reply:?}");
    assert_eq!(rig.refused("revoked"), 1);
}

#[tokio::test]
async fn a_peer_of_a_trust_domain_that_was_dropped_is_unauthenticated_at_its_next_request() {
    let rig = Rig::start(Speaks::Grpc).await;
    let mut connection = rig.connect(Protocol::Http2).await;
    assert_eq!(connection.get("/short").await.unwrap().body, "ok");
    rig.verifier.replace(Bundles::default());
    let reply = connection.get("/short").await.unwrap();
    assert_eq!(reply.headers["grpc-status"], "16", "{reply:?}");
    assert_eq!(rig.refused("untrusted"), 1);
}

#[tokio::test]
async fn over_plain_http_the_refusal_is_a_403() {
    let rig = Rig::start(Speaks::Http).await;
    let mut connection = rig.connect(Protocol::Http1).await;
    assert_eq!(connection.get("/short").await.unwrap().body, "ok");
    rig.verifier.replace(Bundles::default());
    assert_eq!(connection.get("/short").await.unwrap().status, http::StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_stream_that_always_has_something_to_say_ends_too() {
    let rig = Rig::start(Speaks::Grpc).await;
    let mut connection = rig.connect(Protocol::Http2).await;
    let mut endless = connection.stream("/endless").await.unwrap();
    assert!(matches!(endless.next().await, Chunk::Data(_)));
    rig.revoke();
    let end = loop {
        match endless.next().await {
            Chunk::Data(_) => {}
            end => break end,
        }
    };
    assert!(matches!(end, Chunk::End), "{end:?}");
}
