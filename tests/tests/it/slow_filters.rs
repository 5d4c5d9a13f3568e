//! Filters that take nothing or acknowledge nothing: they cost bounded memory, are let go or told of, and hold up nobody else.

use std::collections::HashSet;

use countersign::wire::control::{Kind, SubmitRequest, control_client::ControlClient};
use countersign::wire::link::{Hello, Report, Update, link_client::LinkClient};
use countersign_tests::eventually::{PATIENCE, eventually};
use countersign_tests::mesh::{Mesh, Mode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

const SIGNALS: usize = 10_000;
/// What a stream of the client takes without being read.
const WINDOW: u32 = 65_535;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_reads_nothing_is_cut_while_ten_thousand_signals_reach_the_others() {
    let mut mesh = Mesh::build(Mode::ExtAuthz).lease("1s").start().await;
    let link = mesh.ext_authz_socket();
    let (_stuck_reports, mut stuck) = watch(&channel(&link).await, 1).await;
    let mut readers = JoinSet::new();
    for instance in 2..4 {
        let (reports, updates) = watch(&channel(&link).await, instance).await;
        readers.spawn(async move {
            let _reports = reports;
            read_all(updates).await
        });
    }
    let before = resident(mesh.sidecar.process().id());
    submit_all(&channel(&mesh.control_socket()).await).await;
    while let Some(read) = readers.join_next().await {
        assert_eq!(read.unwrap(), SIGNALS);
    }
    eventually("the cut", async || {
        (mesh.sidecar.metric("countersign_filters_cut_total", &[r#"reason="stuck""#]).await == 1.0).then_some(())
    })
    .await;
    // Those who read have said nothing of what is in force there.
    eventually("word of filters that acknowledge nothing", async || {
        (mesh.sidecar.metric("countersign_filters_overdue_total", &[]).await >= 2.0).then_some(())
    })
    .await;
    let grown = resident(mesh.sidecar.process().id()).saturating_sub(before);
    assert!(grown < 96 << 20, "the sidecar has grown by {grown} bytes");
    let end = async {
        loop {
            match stuck.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return tonic::Code::Ok,
                Err(status) => return status.code(),
            }
        }
    };
    assert_eq!(timeout(PATIENCE, end).await.expect("an end"), tonic::Code::ResourceExhausted);
}

async fn channel(socket: &std::path::Path) -> Channel {
    let socket = socket.to_owned();
    let connect = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://sidecar");
    endpoint
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(1 << 20)
        .connect_with_connector(connect)
        .await
        .unwrap()
}

async fn watch(channel: &Channel, instance: u8) -> (mpsc::Sender<Report>, Streaming<Update>) {
    let (reports, stream) = mpsc::channel(4);
    let hello = Hello { instance: vec![instance], node: "test".to_owned(), ..Hello::default() };
    reports.send(Report { hello: Some(hello), ..Report::default() }).await.unwrap();
    let updates = LinkClient::new(channel.clone()).watch(ReceiverStream::new(stream)).await.unwrap().into_inner();
    (reports, updates)
}

/// How many revocations came, each counted once.
async fn read_all(mut updates: Streaming<Update>) -> usize {
    let mut scopes = HashSet::new();
    while scopes.len() < SIGNALS {
        let update = timeout(PATIENCE, updates.message()).await.expect("an update").unwrap().expect("no end");
        scopes.extend(update.invalidations.into_iter().map(|it| it.scope));
    }
    scopes.len()
}

async fn submit_all(channel: &Channel) {
    let mut senders = JoinSet::new();
    for sender in 0..50 {
        let mut client = ControlClient::new(channel.clone());
        senders.spawn(async move {
            for number in (sender..SIGNALS).step_by(50) {
                let scope = format!("spiffe-id:spiffe://demo.test/gone/with/a/long/name/to/fill/the/stream/{number}");
                let signal = SubmitRequest { kind: Kind::Revoke.into(), scope, ..SubmitRequest::default() };
                client.submit(signal).await.unwrap();
            }
        });
    }
    senders.join_all().await;
}

/// Resident bytes of a process.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
