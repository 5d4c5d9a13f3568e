//! A machine with a clock and a sidecar under the test's control: requests go in, messages go both ways.

use authz_core::{identity::Digest, time::Timestamp};
use authz_wire::link;
use prost::Message;

use super::fixture::PLAN;
use crate::{
    config::Config,
    machine::{Answer, Arrival, Effect, Identity, Machine, Next, Peer, Question, Subject, Wanted},
};

/// Milliseconds a lease of the rig runs.
pub const TTL: u64 = 1000;

/// The machine and what surrounds it.
pub struct Rig {
    pub machine: Machine,
    pub now: u64,
    pub reports: Vec<link::Report>,
    streams: u32,
    /// The last question.
    pub asked: link::DecideRequest,
}

impl Rig {
    /// Watching, with a lease, at position 1 of the log.
    pub fn new() -> Self {
        let mut rig = Self::unconnected(&Config::default());
        rig.connect();
        rig
    }

    /// Not heard of by any sidecar.
    pub fn unconnected(config: &Config) -> Self {
        let identity = Identity { instance: [9; 16], node: "test".into() };
        Self {
            machine: Machine::new(config, identity),
            now: 1_000_000,
            reports: Vec::new(),
            streams: 0,
            asked: link::DecideRequest::default(),
        }
    }

    /// Ticks until the stream is open, then answers as the sidecar does.
    pub fn connect(&mut self) {
        self.tick();
        let hello = self.reports.iter().rev().find(|report| report.hello.is_some()).expect("a hello").clone();
        self.update(&link::Update { plan: Some(plan(PLAN)), resync: true, seq: 1, ..Default::default() });
        self.grant(hello.beat);
    }

    pub fn grant(&mut self, beat: u64) {
        let lease = Some(link::Lease { beat, ttl_ms: TTL });
        self.update(&link::Update { lease, ..Default::default() });
    }

    /// Ticks and answers every beat that comes of it.
    pub fn renew(&mut self) {
        let before = self.reports.len();
        self.tick();
        let beats: Vec<u64> =
            self.reports[before..].iter().map(|report| report.beat).filter(|beat| *beat > 0).collect();
        for beat in beats {
            self.grant(beat);
        }
    }

    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    pub fn tick(&mut self) -> Vec<Effect> {
        let effects = self.machine.tick(self.at());
        self.note(&effects);
        effects
    }

    pub fn update(&mut self, update: &link::Update) -> Vec<Effect> {
        let effects = self.machine.update(&update.encode_to_vec(), self.at());
        self.note(&effects);
        effects
    }

    /// Reports that were sent, and tells of the numbers the sidecar has.
    fn note(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Send(bytes) = effect {
                self.reports.push(link::Report::decode(&**bytes).unwrap());
            }
        }
    }

    /// Certificate `n` is on connection `n`.
    pub fn meet(&mut self, n: u8) {
        let peer = Peer { digest: Some(Digest::from_bytes([n; 32])), ..Peer::default() };
        self.machine.meet(u64::from(n), peer);
    }

    /// What memory answers to a GET on connection `n`; the request ends at once.
    pub fn recall(&mut self, n: u8, path: &str) -> Option<Answer> {
        self.recall_with(n, &get(path))
    }

    pub fn recall_with(&mut self, n: u8, headers: &Vec<(String, Vec<u8>)>) -> Option<Answer> {
        self.streams += 1;
        let arrival = Arrival {
            stream: self.streams,
            connection: u64::from(n),
            asked: Wanted::Request { headers, protocol: "" },
        };
        let answer = self.machine.recall(&arrival, self.at());
        self.machine.closed(self.streams);
        answer
    }

    /// A GET that memory answers with an allow, and that stays open; returns its stream.
    pub fn open(&mut self, n: u8, path: &str) -> u32 {
        self.streams += 1;
        let headers = get(path);
        let arrival = Arrival {
            stream: self.streams,
            connection: u64::from(n),
            asked: Wanted::Request { headers: &headers, protocol: "" },
        };
        let answer = self.machine.recall(&arrival, self.at());
        assert!(matches!(answer, Some(Answer::Allow(..))), "{answer:?}");
        self.streams
    }

    /// Asks the sidecar about a GET on connection `n`; returns the stream that waits.
    pub fn ask(&mut self, n: u8, path: &str) -> u32 {
        self.streams += 1;
        let question = Question {
            stream: self.streams,
            connection: u64::from(n),
            subject: Subject::Request { headers: get(path), protocol: "HTTP/2".into() },
            peer_certificate: b"PEM".to_vec(),
        };
        let bytes = self.machine.ask(question);
        let asked = link::DecideRequest::decode(&*bytes).unwrap();
        assert_eq!((asked.headers.len(), &*asked.peer_certificate), (4, &b"PEM"[..]));
        self.asked = asked;
        self.streams
    }

    pub fn answer(&mut self, stream: u32, response: &link::DecideResponse) -> Next {
        self.machine.answered(stream, Some(&response.encode_to_vec()), self.at())
    }

    /// Asks and answers; the request ends at once.
    pub fn learn(&mut self, n: u8, path: &str, response: &link::DecideResponse) -> Answer {
        self.meet(n);
        let stream = self.ask(n, path);
        let next = self.answer(stream, response);
        self.machine.closed(stream);
        let Next::Answer(answer) = next else { panic!("{next:?}") };
        answer
    }
}

/// The head of `GET path`.
pub fn get(path: &str) -> Vec<(String, Vec<u8>)> {
    head("GET", path)
}

pub fn head(method: &str, path: &str) -> Vec<(String, Vec<u8>)> {
    let lines = [(":method", method), (":path", path), (":authority", "a.test"), (":scheme", "https")];
    lines.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into()
}

/// A plan that reads the path and one header.
pub fn plan(digest: [u8; 32]) -> link::Plan {
    link::Plan { digest: digest.to_vec(), reads: vec!["path".into(), "header:x-tenant".into()], operations: vec![] }
}

/// The revocation of `scope` at `seq`, of all credentials, for ever.
pub fn revoke(seq: u64, scope: &str) -> link::Invalidation {
    link::Invalidation { seq, scope: scope.into(), revoke: true, issued_before_ms: u64::MAX, expires_at_ms: u64::MAX }
}

/// The same as an update.
pub fn revoked(seq: u64, scope: &str) -> link::Update {
    link::Update { invalidations: vec![revoke(seq, scope)], seq, ..Default::default() }
}

/// Its restoration.
pub fn restored(seq: u64, scope: &str) -> link::Update {
    let restore = link::Invalidation { revoke: false, ..revoke(seq, scope) };
    link::Update { invalidations: vec![restore], seq, ..Default::default() }
}

/// `allow`, `deny` or `-`, and the reason, of an answer from memory.
pub fn verdict(answer: Option<&Answer>) -> String {
    match answer {
        None => "-".into(),
        Some(Answer::Allow(caller, note)) => {
            format!(
                "allow {} {}",
                note.reason,
                caller.as_ref().map_or("nobody", |caller| caller.credential().id().path())
            )
        }
        Some(Answer::Deny(note)) => format!("deny {}", note.reason),
    }
}
