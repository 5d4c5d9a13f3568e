//! Any bytes on either end of the link: a filter hears whatever a sidecar could send in whatever order, a sidecar is asked whatever a filter could ask.
#![no_main]

use std::{
    pin::pin,
    sync::LazyLock,
    task::{Context, Poll, Waker},
};

use authz_core::{identity::Digest, time::Timestamp};
use authz_wire::link::{DecideRequest, DecideResponse, Report, Verdict};
use countersign::{grpc::link::LinkService, wire::link::link_server::Link as _};
use countersign_fuzz::{CALLERS, NOW, link_service};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use tonic::Request;
use wasm_filter::{Answer, Arrival, Config, Effect, Identity, Machine, Next, Peer, Question, Subject, Wanted};

static SIDECAR: LazyLock<LinkService> = LazyLock::new(link_service);

/// The certificate on the filter's one connection.
const PRESENTED: [u8; 32] = [1; 32];
const CONNECTION: u64 = 7;

// A scene is a list of steps: what happens, the length of its bytes (big endian, two bytes), its bytes.
fuzz_target!(|scene: &[u8]| {
    let mut filter = Filter::new();
    let mut rest = scene;
    while let [step, high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (bytes, next) = after.split_at(length);
        match step {
            b'a' => filter.answer(Some(bytes)),
            b'c' => drop(Config::parse(bytes)),
            b'd' => decide(bytes),
            b'f' => filter.answer(None),
            b'l' => drop(filter.machine.disconnected(filter.now)),
            b'r' => filter.request(bytes),
            b't' => filter.tick(length),
            b'u' => filter.update(bytes),
            _ => return,
        }
        rest = next;
    }
});

struct Filter {
    machine: Machine,
    now: Timestamp,
    streams: u32,
}

impl Filter {
    fn new() -> Self {
        let identity = Identity { instance: [9; 16], node: "node".to_owned() };
        let config = Config { max_decisions: 4, max_callers: 2, max_connections: 2, ..Config::default() };
        let mut machine = Machine::new(&config, identity);
        let digest = Digest::from_bytes(PRESENTED).to_string();
        let (source, destination) = (b"10.0.0.7:4711", b"10.0.0.8:443");
        let peer = Peer::from_properties(Some(digest.as_bytes()), Some(b"a.td"), Some(source), Some(destination));
        machine.meet(CONNECTION, peer);
        Self { machine, now: NOW, streams: 0 }
    }

    fn request(&mut self, path: &[u8]) {
        self.streams += 1;
        // A path with a comma comes with somebody behind the caller.
        let lines = [(":method", &b"GET"[..]), (":path", path), ("x-forwarded-client-cert", path)];
        let headers = lines.map(|(name, value)| (name.to_owned(), value.to_vec())).to_vec();
        match self.recall(&headers) {
            Some(answer) => self.check(&answer),
            None => {
                let question = Question {
                    stream: self.streams,
                    connection: CONNECTION,
                    subject: Subject::Request { headers, protocol: "HTTP/2".to_owned() },
                    peer_certificate: Vec::new(),
                };
                assert!(DecideRequest::decode(&*self.machine.ask(question)).is_ok());
            }
        }
    }

    fn recall(&mut self, headers: &Vec<(String, Vec<u8>)>) -> Option<Answer> {
        let asked = Wanted::Request { headers, protocol: "HTTP/2" };
        let arrival = Arrival { stream: self.streams, connection: CONNECTION, asked };
        self.machine.recall(&arrival, self.now)
    }

    /// The sidecar answers the last question, or does not.
    fn answer(&mut self, bytes: Option<&[u8]>) {
        match self.machine.answered(self.streams, bytes, self.now) {
            Next::Answer(answer) => {
                let said =
                    bytes.and_then(|bytes| DecideResponse::decode(bytes).ok()).and_then(|response| response.decision);
                let allowed = said.is_some_and(|decision| decision.verdict == i32::from(Verdict::Allow));
                assert!(allowed || matches!(answer, Answer::Deny(_)), "the sidecar did not allow this");
                self.check(&answer);
            }
            Next::Ask(question) => assert!(DecideRequest::decode(&*question).is_ok()),
            Next::Nothing => {}
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        let effects = self.machine.update(bytes, self.now);
        if effects.contains(&Effect::Close) {
            self.streams += 1;
            let headers = vec![(":method".to_owned(), b"GET".to_vec()), (":path".to_owned(), b"/".to_vec())];
            assert!(self.recall(&headers).is_none(), "an answer from memory after losing track of the sidecar");
        }
        self.check_effects(&effects);
    }

    /// 16 ms for each unit, so that the longest leap is some minutes.
    fn tick(&mut self, units: usize) {
        self.now = self.now.saturating_add_millis(units as u64 * 16);
        let effects = self.machine.tick(self.now);
        self.check_effects(&effects);
    }

    fn check(&self, answer: &Answer) {
        match answer {
            Answer::Allow(Some(caller), _) => {
                assert_eq!(*caller.credential().digest(), Digest::from_bytes(PRESENTED), "allowed as somebody else");
            }
            Answer::Allow(None, note) => {
                assert_eq!(note.reason.as_str(), "permit_unverified", "allowed as nobody");
                assert_eq!(note.source.as_str(), "sidecar", "allowed as nobody from memory");
            }
            Answer::Deny(_) => {}
        }
    }

    fn check_effects(&self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Send(report) => assert!(Report::decode(&**report).is_ok()),
                Effect::Reset(stream, _) => assert!(*stream <= self.streams, "a request that never was"),
                Effect::Close | Effect::Log(..) | Effect::Metric(..) | Effect::Open => {}
            }
        }
    }
}

/// The sidecar's end: one question, answered at once.
fn decide(bytes: &[u8]) {
    let Ok(request) = DecideRequest::decode(bytes) else { return };
    let answer = pin!(SIDECAR.decide(Request::new(request))).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Ok(response)) = answer else { panic!("a decision is never awaited and never an error") };
    let DecideResponse { decision, caller, .. } = response.into_inner();
    let allowed = decision.expect("a decision").verdict == i32::from(Verdict::Allow);
    assert!(
        !allowed || caller.is_some_and(|caller| CALLERS.contains(&caller.spiffe_id.as_str())),
        "certified by nobody"
    );
}
