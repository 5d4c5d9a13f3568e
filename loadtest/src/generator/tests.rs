//! The generator against a small blocking server with planted faults. It must not need Envoy.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use countersign_tests::eventually::eventually;

use super::*;

/// What the planted server does.
#[derive(Clone, Copy)]
struct Plan {
    status: u16,
    /// From when on, and until when, nobody is answered.
    stall: (Duration, Duration),
    /// Whether it says `connection: close` and does so.
    closes: bool,
}

const PROMPT: Plan = Plan { status: 200, stall: (Duration::ZERO, Duration::ZERO), closes: false };

#[tokio::test]
async fn a_stall_of_the_server_shows_in_the_open_loop_p99() {
    let stall = (Duration::from_millis(300), Duration::from_millis(500));
    let address = serve(Plan { stall, ..PROMPT }).address;
    let mut session = session(address, 4).await;
    let measured = session.pace(schedule(1_000, 1_000)).await.unwrap();

    assert_eq!((measured.answers(), measured.failures(), measured.unfinished), (1_000, 0, 0));
    // A fifth of the arrivals fell into the stall, but only one request per connection was on its way then: a generator
    // that measures from the moment of sending sees 4 slow answers in 1,000, and a p99 near zero.
    let p99 = measured.percentile(99.0).unwrap();
    assert!(p99 >= Duration::from_millis(150), "p99 is {p99:?}");
    let p50 = measured.percentile(50.0).unwrap();
    assert!(p50 < Duration::from_millis(50), "p50 is {p50:?}");
}

#[tokio::test]
async fn arrivals_that_a_stuck_server_never_got_to_count_too() {
    let stall = (Duration::ZERO, Duration::from_millis(1_200));
    let address = serve(Plan { stall, ..PROMPT }).address;
    let mut session = session(address, 2).await;
    let measured = session.pace(schedule(1_000, 200)).await.unwrap();

    assert_eq!((measured.answers(), measured.unfinished), (2, 198));
    let p50 = measured.percentile(50.0).unwrap();
    assert!(p50 >= Duration::from_secs(1), "p50 is {p50:?}");
}

#[tokio::test]
async fn arrivals_keep_to_their_rate_on_a_prompt_server() {
    let mut session = session(serve(PROMPT).address, 4).await;
    let started = Instant::now();
    let measured = session.pace(schedule(500, 400)).await.unwrap();
    assert_eq!(measured.answers(), 200);
    assert!(started.elapsed() >= Duration::from_millis(398), "arrivals came early: {:?}", started.elapsed());
}

#[tokio::test]
async fn saturation_counts_answers_by_status_and_reuses_its_connections() {
    let mut session = session(serve(Plan { status: 403, ..PROMPT }).address, 3).await;
    for _phase in 0..2 {
        let measured = session.saturate(Duration::from_millis(100)).await.unwrap();
        assert!(measured.answers() > 0);
        assert_eq!(measured.failures(), measured.answers());
        assert_eq!(measured.statuses.keys().copied().collect::<Vec<_>>(), [403]);
        assert_eq!(measured.percentile(50.0), None, "a closed loop has no latency to tell");
    }
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_named() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = Endpoint::try_from(unused).unwrap();
    for reuse in [Reuse::Kept, Reuse::Once] {
        let request = Request::get("bench", "/").unwrap();
        let error = Session::connect(&Target { endpoint, tls: None }, reuse, 1, request).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot connect to {endpoint}: ")), "{error}");
    }
}

#[tokio::test]
async fn connections_for_one_request_each_are_as_many_as_requests_and_never_more_at_once_than_lines() {
    let server = serve(PROMPT);
    let mut session = session_with(server.address, Reuse::Once, 3).await;
    let measured = session.pace(schedule(1_000, 200)).await.unwrap();
    assert_eq!((measured.answers(), measured.failures(), measured.unfinished), (200, 0, 0));
    // One more for each line, which looks whether the server is there.
    eventually("every connection", async || (server.opened.load(Ordering::SeqCst) == 203).then_some(())).await;
    eventually("every connection's end", async || (server.open.load(Ordering::SeqCst) == 0).then_some(())).await;
    let most = server.most.load(Ordering::SeqCst);
    assert!((1..=3).contains(&most), "{most} requests at once");
}

#[tokio::test]
async fn kept_connections_are_as_many_as_lines() {
    let server = serve(PROMPT);
    let mut session = session_with(server.address, Reuse::Kept, 3).await;
    assert_eq!(session.pace(schedule(1_000, 100)).await.unwrap().answers(), 100);
    assert_eq!(server.opened.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_server_that_closes_after_its_answer_is_an_error_only_where_connections_are_kept() {
    let closing = Plan { closes: true, ..PROMPT };
    let mut once = session_with(serve(closing).address, Reuse::Once, 2).await;
    assert_eq!(once.pace(schedule(1_000, 20)).await.unwrap().answers(), 20);
    let mut kept = session_with(serve(closing).address, Reuse::Kept, 2).await;
    let error = kept.pace(schedule(1_000, 20)).await.unwrap_err().to_string();
    assert!(error.contains("answered 200 and closed the connection"), "{error}");
}

fn schedule(rate: u32, millis: u64) -> Schedule {
    Schedule::new(NonZeroU32::new(rate).unwrap(), Duration::from_millis(millis))
}

async fn session(address: SocketAddr, connections: usize) -> Session {
    session_with(address, Reuse::Kept, connections).await
}

async fn session_with(address: SocketAddr, reuse: Reuse, lines: usize) -> Session {
    let target = Target { endpoint: Endpoint::try_from(address).unwrap(), tls: None };
    Session::connect(&target, reuse, lines, Request::get("bench", "/").unwrap()).await.unwrap()
}

/// The planted server, and the connections it has seen.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    /// So many ever.
    opened: Arc<AtomicUsize>,
    /// So many now.
    open: Arc<AtomicUsize>,
    /// So many requests at once at most.
    most: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

/// Answers every request on every connection after the plan; the clock of the plan starts with the first request.
fn serve(plan: Plan) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server =
        Server { address, opened: Arc::default(), open: Arc::default(), most: Arc::default(), asked: Arc::default() };
    let first = Arc::new(std::sync::OnceLock::new());
    let seen = server.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (first, seen) = (Arc::clone(&first), seen.clone());
            seen.opened.fetch_add(1, Ordering::SeqCst);
            seen.open.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || {
                answer(stream.unwrap(), plan, &first, &seen);
                seen.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    server
}

fn answer(mut stream: TcpStream, plan: Plan, first: &std::sync::OnceLock<Instant>, seen: &Server) {
    let mut buffer = [0; 1024];
    stream.set_nodelay(true).unwrap();
    let close = if plan.closes { "connection: close\r\n" } else { "" };
    let status = plan.status;
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
        seen.most.fetch_max(seen.asked.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let age = first.get_or_init(Instant::now).elapsed();
        if (plan.stall.0..plan.stall.1).contains(&age) {
            thread::sleep(plan.stall.1.saturating_sub(age));
        }
        let text = format!("HTTP/1.1 {status} X\r\n{close}content-length: 2\r\n\r\nok");
        seen.asked.fetch_sub(1, Ordering::SeqCst);
        if stream.write_all(text.as_bytes()).is_err() || plan.closes {
            return;
        }
    }
}
