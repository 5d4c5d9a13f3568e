//! TCP listeners with mTLS: who comes in, who does not and why, SVIDs that change or end, clients that are revoked while they are there.

mod check;
mod door;
mod envoy;
mod own;
mod remote;
pub mod stand;

use std::time::Duration;

use countersign::wire::control::TailRequest;
use countersign::wire::control::control_client::ControlClient;
use countersign::wire::link::link_client::LinkClient;
use countersign::wire::link::{Hello, Report};
use countersign_tests::client::Protocol;
use countersign_tests::eventually::{PATIENCE, eventually};
use countersign_tests::pki::{Authority, Fault, Svid};
use stand::{ASKS, LISTEN, READS, REVOKES, SERVER, Stand, ask, comes_in, read};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

#[tokio::test]
async fn nobody_comes_in_but_who_is_on_the_list_and_each_refusal_is_counted_under_its_reason() {
    let stand = Stand::start().await;
    let (authority, door) = (&stand.authority, "ext_authz");
    let (good, server) = (authority.issue(ASKS), authority.issue(SERVER));
    assert!(comes_in(&stand.client(door, &good).await).await);
    let revoked = authority.issue(ASKS);
    stand.revoke(&format!("certificate:{}", revoked.digest())).await;
    let cases = [
        ("another workload of our trust domain", authority.issue("/envoy-evil"), "not_allowed"),
        ("a workload below", authority.issue("/envoy/sub"), "not_allowed"),
        ("one of another trust domain that is trusted", stand.partner.issue(ASKS), "not_allowed"),
        ("one of a trust domain that is not", Authority::new("other.test").issue(ASKS), "untrusted"),
        ("one that vouches for itself", Authority::new("demo.test").issue(ASKS), "untrusted"),
        ("one that is revoked", revoked, "revoked"),
        ("one with a certificate that is not its own", good.stolen(&server), "untrusted"),
        ("one with another's certificate that would not be allowed", server.stolen(&good), "untrusted"),
    ];
    for (who, svid, expected) in cases {
        let before = stand.handshakes(expected).await;
        assert!(!comes_in(&stand.client(door, &svid).await).await, "{who} came in");
        stand.until_counted(expected, before).await;
    }
    for fault in Fault::ALL {
        let before = stand.handshakes("untrusted").await;
        let wrong = authority.wrong(ASKS, fault);
        assert!(!comes_in(&stand.client(door, &wrong).await).await, "{fault:?} came in");
        stand.until_counted("untrusted", before).await;
    }
    assert_eq!(stand.handshakes("ok").await, 1.0);
    assert!(comes_in(&stand.client(door, &good).await).await);
    let logs = stand.sidecar.logs();
    assert!(logs.contains("spiffe://demo.test/envoy-evil"), "the log names who was not allowed: {logs}");
}

#[tokio::test]
async fn without_a_certificate_with_old_tls_or_with_none_nobody_comes_in() {
    let stand = Stand::start().await;
    let good = stand.authority.issue(ASKS);
    assert!(!comes_in(&stand.anonymous("ext_authz").await).await);
    stand.until_counted("no_certificate", 0.0).await;
    assert!(!comes_in(&stand.client("ext_authz", &good).await.only_tls12()).await);
    stand.until_counted("protocol", 0.0).await;

    let mut plain = TcpStream::connect(stand.sidecar.mtls_address("ext_authz").await).await.unwrap();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, plain.read_to_end(&mut answer)).await.expect("it is closed").unwrap();
    assert!(answer.len() < 16 && !answer.contains(&b'P'), "a TLS alert at most: {answer:?}");
    stand.until_counted("protocol", 1.0).await;
    assert_eq!(stand.handshakes("ok").await, 0.0);
}

#[tokio::test]
async fn tls_1_2_is_spoken_where_somebody_asked_for_it_and_with_the_same_checks() {
    let listen = LISTEN.to_owned() + "\n  tls_min_version: \"1.2\"\n";
    let mut stand = Stand::spawn(&listen, |authority, dir| drop(authority.issue(SERVER).write(dir, "svid")));
    stand.sidecar.until_ready().await;
    let client = async |path: &str| stand.client("ext_authz", &stand.authority.issue(path)).await.only_tls12();
    assert!(comes_in(&client(ASKS).await).await);
    assert!(!comes_in(&client("/nobody").await).await);
    stand.until_counted("not_allowed", 0.0).await;
    assert!(!comes_in(&stand.anonymous("ext_authz").await.only_tls12()).await);
    stand.until_counted("no_certificate", 0.0).await;
}

#[tokio::test]
async fn each_listener_has_a_list_of_its_own() {
    let listen =
        LISTEN.to_owned() + "  admin: { address: 127.0.0.1:0, allow: [\"spiffe://demo.test/monitoring/*\"] }\n";
    let stand = Stand::spawn(&listen, |authority, dir| drop(authority.issue(SERVER).write(dir, "svid")));
    let reads = stand.client("admin", &stand.authority.issue(READS)).await;
    eventually("readiness by mTLS", async || {
        let reply = reads.get(Protocol::Http1, "/readyz").await.ok()?;
        (reply.status == http::StatusCode::OK).then_some(())
    })
    .await;
    assert!(read(&reads, "/metrics").await.unwrap().contains("countersign_tls_handshakes_total"));
    for (svid, asks, revokes, reads) in
        [(ASKS, true, false, false), (REVOKES, false, true, false), (READS, false, false, true)]
    {
        let svid = stand.authority.issue(svid);
        assert_eq!(comes_in(&stand.client("ext_authz", &svid).await).await, asks, "{} asks", svid.id());
        let list = stand.remote(&["signals", "list"], &svid, "spiffe://demo.test/sidecar").await;
        assert_eq!(list.status.success(), revokes, "{} revokes: {list:?}", svid.id());
        assert_eq!(read(&stand.client("admin", &svid).await, "/metrics").await.is_ok(), reads, "{} reads", svid.id());
    }
}

#[tokio::test]
async fn whoever_is_revoked_on_an_open_connection_gets_nothing_more_and_others_go_on() {
    let stand = Stand::start().await;
    let envoy = stand.authority.issue(ASKS);
    let channel = stand.client("ext_authz", &envoy).await.grpc().await.unwrap();
    let mut watch = Watch::open(&channel).await;
    ask(&channel).await.unwrap();
    let bob = stand.client("control", &stand.authority.issue(REVOKES)).await.grpc().await.unwrap();
    let alice = stand.client("control", &stand.authority.issue("/security/alice")).await.grpc().await.unwrap();
    let mut bobs = ControlClient::new(bob).tail(TailRequest { after_seq: 0 }).await.unwrap().into_inner();
    let mut alices = ControlClient::new(alice).tail(TailRequest { after_seq: 0 }).await.unwrap().into_inner();

    stand.revoke("spiffe://demo.test/security/bob").await;
    assert_eq!(end_of(&mut bobs).await, Code::PermissionDenied, "the stream of signals");
    ask(&channel).await.expect("another workload goes on");
    stand.revoke(envoy.id()).await;
    ask(&channel).await.unwrap_err();
    assert_eq!(watch.end().await, Code::PermissionDenied);
    let all: Vec<String> = [alices.message().await, alices.message().await].map(|it| it.unwrap().unwrap().scope).into();
    assert_eq!(all, ["spiffe-id:spiffe://demo.test/security/bob", "spiffe-id:spiffe://demo.test/envoy"]);
    eventually("no filter connected", async || {
        (stand.sidecar.metric("countersign_filters", &[]).await == 0.0).then_some(())
    })
    .await;
    assert!(!comes_in(&stand.client("ext_authz", &envoy).await).await);
}

#[tokio::test]
async fn a_trust_domain_that_is_dropped_or_a_certificate_that_ends_closes_open_connections_too() {
    let stand = Stand::start().await;
    let short = stand.authority.leaf(ASKS).ttl(Duration::from_secs(6)).issue();
    let channel = stand.client("ext_authz", &short).await.grpc().await.unwrap();
    let mut watch = Watch::open(&channel).await;
    assert_eq!(watch.end().await, Code::Unauthenticated, "its certificate has ended");

    let envoy = stand.authority.issue(ASKS);
    let channel = stand.client("ext_authz", &envoy).await.grpc().await.unwrap();
    let mut watch = Watch::open(&channel).await;
    ask(&channel).await.unwrap();
    let next = stand.dir.path().join("bundle.next");
    std::fs::write(&next, Authority::new("demo.test").bundle_pem()).unwrap();
    std::fs::rename(next, stand.dir.path().join("bundle.pem")).unwrap();
    assert_eq!(watch.end().await, Code::Unauthenticated, "its authority is trusted no more");
    ask(&channel).await.unwrap_err();
    assert!(!comes_in(&stand.client("ext_authz", &envoy).await).await);
}

#[tokio::test]
async fn a_client_whose_certificate_ends_soon_is_asked_to_come_back_before_it_does() {
    let stand = Stand::start().await;
    let connect = async |svid: Svid| stand.client("ext_authz", &svid).await.connect(Protocol::Http2).await.unwrap();
    // Whole seconds, as certificates have them.
    let began = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let ends = began + Duration::from_secs(8);
    let soon = connect(stand.authority.leaf(ASKS).valid(began - Duration::from_secs(1), ends).issue()).await;
    let later = connect(stand.authority.issue(ASKS)).await;
    eventually("goodbye from the sidecar", async || soon.is_closed().then_some(())).await;
    let now = OffsetDateTime::now_utc();
    assert!(now < ends && now > began + Duration::from_secs(5), "{now}, {ends}");
    assert!(!later.is_closed());
}

#[tokio::test]
async fn clients_that_connect_and_say_nothing_keep_nobody_out_and_are_gone_after_a_while() {
    let stand = Stand::start().await;
    let address = stand.sidecar.mtls_address("ext_authz").await;
    let mut silent = Vec::new();
    for _ in 0..600 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let good = stand.client("ext_authz", &stand.authority.issue(ASKS)).await;
    let began = std::time::Instant::now();
    for _ in 0..20 {
        assert!(comes_in(&good).await, "let in beside 600 who say nothing");
    }
    assert!(began.elapsed() < Duration::from_secs(4), "at once, not when they are gone: {:?}", began.elapsed());
    stand.until_counted("crowded", 50.0).await;
    stand.until_counted("timeout", 300.0).await;
    let mut byte = [0];
    let ended = timeout(PATIENCE, silent[599].read(&mut byte)).await.expect("the last of them is closed");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}

/// A filter's watch, as far as it says hello.
struct Watch {
    updates: Streaming<countersign::wire::link::Update>,
    _reports: mpsc::Sender<Report>,
}

impl Watch {
    async fn open(channel: &tonic::transport::Channel) -> Self {
        let (reports, stream) = mpsc::channel(4);
        let hello = Hello { instance: vec![1], node: "test".to_owned(), ..Hello::default() };
        reports.send(Report { hello: Some(hello), ..Report::default() }).await.unwrap();
        let mut link = LinkClient::new(channel.clone());
        let mut updates = link.watch(ReceiverStream::new(stream)).await.unwrap().into_inner();
        updates.message().await.unwrap().expect("a first update");
        Self { updates, _reports: reports }
    }

    async fn end(&mut self) -> Code {
        end_of(&mut self.updates).await
    }
}

/// The status a stream ends with, after whatever comes before.
async fn end_of<M>(stream: &mut Streaming<M>) -> Code {
    let end = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Code::Ok,
                Err(status) => return Status::code(&status),
            }
        }
    };
    timeout(PATIENCE, end).await.expect("the stream ends")
}
