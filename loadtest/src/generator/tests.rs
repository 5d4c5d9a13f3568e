//! The generator against a small blocking server with planted faults. It must not need Envoy.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::*;

/// What the planted server does.
#[derive(Clone, Copy)]
struct Plan {
    status: u16,
    /// From when on, and until when, nobody is answered.
    stall: (Duration, Duration),
}

const PROMPT: Plan = Plan { status: 200, stall: (Duration::ZERO, Duration::ZERO) };

#[tokio::test]
async fn a_stall_of_the_server_shows_in_the_open_loop_p99() {
    let stall = (Duration::from_millis(300), Duration::from_millis(500));
    let address = serve(Plan { stall, ..PROMPT });
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
    let address = serve(Plan { stall, ..PROMPT });
    let mut session = session(address, 2).await;
    let measured = session.pace(schedule(1_000, 200)).await.unwrap();

    assert_eq!((measured.answers(), measured.unfinished), (2, 198));
    let p50 = measured.percentile(50.0).unwrap();
    assert!(p50 >= Duration::from_secs(1), "p50 is {p50:?}");
}

#[tokio::test]
async fn arrivals_keep_to_their_rate_on_a_prompt_server() {
    let mut session = session(serve(PROMPT), 4).await;
    let started = Instant::now();
    let measured = session.pace(schedule(500, 400)).await.unwrap();
    assert_eq!(measured.answers(), 200);
    assert!(started.elapsed() >= Duration::from_millis(398), "arrivals came early: {:?}", started.elapsed());
}

#[tokio::test]
async fn saturation_counts_answers_by_status_and_reuses_its_connections() {
    let mut session = session(serve(Plan { status: 403, ..PROMPT }), 3).await;
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
    let request = Request::get("bench", "/").unwrap();
    let error = Session::connect(endpoint, None, 1, request).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot connect to {endpoint}: ")), "{error}");
}

fn schedule(rate: u32, millis: u64) -> Schedule {
    Schedule::new(NonZeroU32::new(rate).unwrap(), Duration::from_millis(millis))
}

async fn session(address: SocketAddr, connections: usize) -> Session {
    let endpoint = Endpoint::try_from(address).unwrap();
    Session::connect(endpoint, None, connections, Request::get("bench", "/").unwrap()).await.unwrap()
}

/// Answers every request on every connection after the plan; the clock of the plan starts with the first request.
fn serve(plan: Plan) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let first = Arc::new(std::sync::OnceLock::new());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let first = Arc::clone(&first);
            thread::spawn(move || answer(stream.unwrap(), plan, &first));
        }
    });
    address
}

fn answer(mut stream: TcpStream, plan: Plan, first: &std::sync::OnceLock<Instant>) {
    let mut buffer = [0; 1024];
    stream.set_nodelay(true).unwrap();
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
        let age = first.get_or_init(Instant::now).elapsed();
        if (plan.stall.0..plan.stall.1).contains(&age) {
            thread::sleep(plan.stall.1.saturating_sub(age));
        }
        let status = plan.status;
        if stream.write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\nok").as_bytes()).is_err() {
            return;
        }
    }
}
