//! Filters that missed more than is at hand: open streams survive, what was revoked meanwhile is cut, nothing else is said.

use countersign::wire::control::{Kind, SubmitRequest, control_client::ControlClient};
use countersign::wire::link::{Held, Hello, Report, Update, link_client::LinkClient};
use countersign_tests::client::Protocol;
use countersign_tests::eventually::{PATIENCE, eventually};
use countersign_tests::mesh::{CALLER, Mesh, Mode, OTHER};
use futures_util::{StreamExt as _, stream};
use hyper_util::rt::TokioIo;
use std::path::PathBuf;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};

async fn channel(socket: PathBuf) -> Channel {
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://sidecar").connect_with_connector(connector).await.unwrap()
}

/// A filter that speaks as the test wants.
struct Filter {
    reports: mpsc::Sender<Report>,
    updates: Streaming<Update>,
}

impl Filter {
    async fn watch(mesh: &Mesh, last_seq: u64) -> Self {
        let (reports, waiting) = mpsc::channel(16);
        let hello = Hello { instance: vec![7; 16], node: "test".into(), last_seq, ..Hello::default() };
        reports.send(Report { hello: Some(hello), ..Report::default() }).await.unwrap();
        let mut client = LinkClient::new(channel(mesh.ext_authz_socket()).await);
        let updates = client.watch(ReceiverStream::new(waiting)).await.unwrap().into_inner();
        Self { reports, updates }
    }

    async fn hold(&self, scopes: &[&str], more: bool) {
        let scopes = scopes.iter().map(ToString::to_string).collect();
        self.reports.send(Report { held: Some(Held { scopes, more }), ..Report::default() }).await.unwrap();
    }

    async fn next(&mut self) -> Result<Update, tonic::Status> {
        let next = timeout(PATIENCE, self.updates.message()).await.expect("an update");
        next.map(|update| update.expect("the stream goes on"))
    }

    /// Updates up to the one that `last` says is the last, without the plan.
    async fn until(&mut self, last: impl Fn(&Update) -> bool) -> Vec<Update> {
        let mut updates = Vec::new();
        loop {
            let update = self.next().await.unwrap();
            let over = last(&update);
            if update.plan.is_none() {
                updates.push(update);
            }
            if over {
                return updates;
            }
        }
    }
}

#[tokio::test]
async fn a_filter_that_starts_over_hears_what_is_revoked_of_what_it_holds_and_nothing_else() {
    let mesh = Mesh::start(Mode::ExtAuthz).await;
    let web = mesh.authority.id(CALLER);
    for scope in [&*web, "trust-domain:else.test", "path-prefix:spiffe://demo.test/ns/gone"] {
        mesh.must(&["revoke", scope, "--why", "test"]).await;
    }
    let mut filter = Filter::watch(&mesh, 0).await;
    let begun = filter.until(|update| update.seq > 0).await;
    assert!(begun[0].resync, "{begun:?}");
    assert!(begun.iter().all(|update| update.invalidations.is_empty()), "no list: {begun:?}");
    let end = begun.last().unwrap();
    assert!(end.ask_held && end.seq == 3, "{end:?}");

    let of_web = format!("spiffe-id:{web}");
    filter.hold(&["trust-domain:demo.test", &of_web], true).await;
    filter.hold(&["path-prefix:spiffe://demo.test/ns/shop", "trust-domain:demo.test"], false).await;
    let answered = filter.until(|update| update.held_answered).await;
    let said: Vec<&str> = answered.iter().flat_map(|it| &it.invalidations).map(|it| &*it.scope).collect();
    assert_eq!(said, [of_web]);
    assert_eq!(answered.iter().filter(|it| it.held_answered).count(), 1, "once, after the last part");
    filter.hold(&["colour:red"], false).await;
    assert_eq!(filter.next().await.unwrap_err().code(), Code::InvalidArgument);
    assert!(mesh.sidecar.is_ready().await);
}

/// More signals than a sidecar keeps at hand.
async fn submit_many(mesh: &Mesh) {
    let channel = channel(mesh.control_socket()).await;
    let submit = |number: u32| {
        let mut client = ControlClient::new(channel.clone());
        let request = SubmitRequest {
            scope: format!("spiffe-id:spiffe://else.test/n{number}"),
            why: "test".into(),
            kind: Kind::Revoke.into(),
            ..SubmitRequest::default()
        };
        async move { client.submit(request).await.unwrap() }
    };
    let submitted = stream::iter(0..6000).map(submit).buffer_unordered(256).count().await;
    assert_eq!(submitted, 6000);
}

#[tokio::test]
async fn open_streams_survive_a_fresh_start_and_those_revoked_meanwhile_are_cut() {
    let mut mesh = Mesh::start(Mode::Filter).await;
    let (web, cart) = (mesh.authority.issue(CALLER), mesh.authority.issue(OTHER));
    let mut revoked = mesh.client(&web).connect(Protocol::Http2).await.unwrap();
    let mut revoked = revoked.stream("/stream").await.unwrap();
    let mut other = mesh.client(&cart).connect(Protocol::Http2).await.unwrap();
    let mut other = other.stream("/stream").await.unwrap();
    revoked.flows(2).await;
    other.flows(2).await;
    mesh.envoy.process().signal("STOP");
    mesh.must(&["revoke", web.id(), "--why", "test"]).await;
    submit_many(&mesh).await;
    // What a sidecar has at hand after a start is the end of its log.
    mesh.sidecar.restart().await;
    mesh.envoy.process().signal("CONT");
    revoked.until_cut().await;
    other.flows(5).await;
    eventually("fresh starts of worker and main thread", async || {
        (mesh.sidecar.metric("countersign_filter_resyncs_total", &[]).await >= 2.0).then_some(())
    })
    .await;
    // In force everywhere, so everybody has acknowledged what came after.
    mesh.revoke("trust-domain:last.test").await;
    assert_eq!(mesh.filter_stat("resets").await, 1);
    other.flows(2).await;
    let denied = mesh.client(&web).get(Protocol::Http1, "/").await.unwrap();
    assert_eq!(denied.status, http::StatusCode::FORBIDDEN);
}
