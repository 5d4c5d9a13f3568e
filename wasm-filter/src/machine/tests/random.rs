//! Anything in any order, against a model of the sidecar: memory never answers what it must not.

mod steps;

use std::collections::{BTreeMap, BTreeSet};

use authz_wire::link;
use proptest::{collection::vec, prelude::*};

use self::steps::{CALLERS, SCOPES, Step, step};
use super::{
    allow,
    counts::{acknowledge, booked},
    deny,
    rig::{Rig, TTL, get, plan},
};
use crate::{
    config::Config,
    machine::{Answer, Arrival, Effect, Next, Source, Wanted},
};

/// The sidecar, the way to the filter, and what the filter may do.
struct World {
    rig: Rig,
    log: Vec<link::Invalidation>,
    delivered: usize,
    plan: u8,
    connected: bool,
    lease_end: u64,
    sent: BTreeMap<u64, u64>,
    waiting: Vec<(u32, usize, u8)>,
    decided: Vec<(u32, usize, u8, link::DecideResponse)>,
    live: BTreeMap<u32, usize>,
    streams: u32,
    given: u64,
}

impl World {
    fn new() -> Self {
        let config = Config { max_decisions: 4, max_callers: 3, max_connections: 8, ..Config::default() };
        let rig = Rig::unconnected(&config);
        Self {
            rig,
            log: Vec::new(),
            delivered: 0,
            plan: 7,
            connected: false,
            lease_end: 0,
            sent: BTreeMap::new(),
            waiting: Vec::new(),
            decided: Vec::new(),
            live: BTreeMap::new(),
            streams: 1000,
            given: 0,
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Answer { garbage } => self.answer(garbage),
            Step::Ask { caller, path } => self.ask(caller, path),
            Step::Close(nth) => {
                let stream = 1000 + nth;
                self.rig.machine.closed(stream);
                self.live.remove(&stream);
            }
            Step::Decide => self.decide(),
            Step::Disconnect => self.disconnect(),
            Step::Grant => self.grant(),
            Step::Noise(bytes) => self.noise(&bytes),
            Step::Pass(millis) => self.rig.now += millis,
            Step::Plan(digest) => self.replace_plan(digest),
            Step::Push(count) => self.push(count),
            Step::Recall { caller, path } => self.recall(caller, path),
            Step::Restore(scope) => self.log(scope, false, u64::MAX),
            Step::Revoke { scope, issued_before } => self.log(scope, true, issued_before.unwrap_or(u64::MAX)),
            Step::Resync { lists } => self.resync(lists),
            Step::TurnBack => {
                // The machine knows of time only what it has seen.
                self.tick();
                self.rig.now -= 2000;
                self.lease_end = 0;
                self.sent.clear();
                self.tick();
            }
            Step::Tick => self.tick(),
        }
        assert!(self.rig.machine.decisions.len() <= 4);
        assert_eq!(self.rig.machine.streams.len(), self.live.len());
    }

    /// Whether the log up to `position` revokes the credential; the last entry of each scope counts.
    fn revoked(&self, caller: usize, position: usize) -> bool {
        (0..SCOPES.len()).any(|scope| {
            let entries = self.log[..position].iter().filter(|entry| entry.scope == SCOPES[scope]);
            let since_restore = entries.rev().take_while(|entry| entry.revoke).collect::<Vec<_>>();
            since_restore.iter().any(|entry| covers(entry, caller))
        })
    }

    /// What policy says of a path.
    fn allows(&self, path: u8) -> bool {
        (path + self.plan).is_multiple_of(2)
    }

    fn log(&mut self, scope: usize, revoke: bool, issued_before_ms: u64) {
        let seq = 2 + u64::try_from(self.log.len()).unwrap();
        let scope = SCOPES[scope].into();
        self.log.push(link::Invalidation {
            seq,
            scope,
            revoke,
            issued_before_ms,
            expires_at_ms: u64::MAX,
            standing: false,
        });
    }

    fn ask(&mut self, caller: usize, path: u8) {
        self.rig.meet(CALLERS[caller].0);
        self.waiting.push((self.rig.ask(CALLERS[caller].0, &format!("/{path}")), caller, path));
    }

    fn decide(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let (stream, caller, path) = self.waiting.remove(0);
        let (n, id) = CALLERS[caller];
        let seq = position(self.log.len());
        let revoked = self.revoked(caller, self.log.len());
        let mut response = if self.allows(path) && !revoked { allow(id, n, seq) } else { deny(id, n, seq) };
        if revoked {
            response.decision.as_mut().unwrap().reason = "revoked".into();
            response.cacheable = false;
        }
        response.plan = vec![self.plan; 32];
        self.decided.push((stream, caller, path, response));
    }

    fn answer(&mut self, garbage: bool) {
        if self.decided.is_empty() {
            return;
        }
        let (stream, caller, path, response) = self.decided.remove(0);
        let next = if garbage {
            self.rig.machine.answered(stream, Some(b"\x0a\xff"), self.rig.at())
        } else {
            self.rig.answer(stream, &response)
        };
        match next {
            Next::Answer(Answer::Allow(..)) => {
                let touching = self.log[..self.delivered].iter().filter(|entry| touches(entry, caller));
                let latest = touching.map(|entry| entry.seq).max().unwrap_or(0);
                assert!(response.seq >= latest, "an answer of {} was used after {latest}", response.seq);
                self.live.insert(stream, caller);
            }
            Next::Answer(Answer::Deny(note)) => self.given += u64::from(note.source == Source::Filter),
            Next::Ask(_) => self.waiting.push((stream, caller, path)),
            Next::Nothing => panic!("nobody closed it"),
        }
    }

    fn recall(&mut self, caller: usize, path: u8) {
        self.streams += 1;
        let headers = get(&format!("/{path}"));
        let connection = u64::from(CALLERS[caller].0);
        let arrival =
            Arrival { stream: self.streams, connection, asked: Wanted::Request { headers: &headers, protocol: "" } };
        let Some(answer) = self.rig.machine.recall(&arrival, self.rig.at()) else { return };
        self.given += 1;
        assert!(self.rig.now < self.lease_end, "memory was used without a lease");
        // An answer may know more than was delivered here, never less.
        let mut since = (self.delivered..=self.log.len()).map(|position| self.revoked(caller, position));
        match answer {
            Answer::Allow(by, _) => {
                let by = by.expect("no policy lets a stranger in");
                assert!(since.any(|revoked| !revoked), "an allow from memory for a revoked caller");
                assert!(self.allows(path), "a decision of another plan");
                assert_eq!(by.credential().digest().as_bytes()[0], CALLERS[caller].0);
                self.live.insert(self.streams, caller);
            }
            Answer::Deny(_) => {
                assert!(since.any(|revoked| revoked) || !self.allows(path), "a denial that is none any more");
            }
        }
    }

    fn tick(&mut self) {
        let before = self.rig.reports.len();
        let effects = self.rig.tick();
        let beats = self.rig.reports[before..].iter().map(|report| report.beat).filter(|beat| *beat > 0);
        self.sent.extend(beats.map(|beat| (beat, self.rig.now)));
        if effects.contains(&Effect::Open) {
            self.connected = true;
            let hello = self.rig.reports[before..].iter().find_map(|report| report.hello.clone()).expect("a hello");
            let plan = Some(plan([self.plan; 32]));
            self.rig.update(&link::Update { plan, ..Default::default() });
            if hello.last_seq == 0 {
                self.resync(false);
            } else {
                assert_eq!(hello.last_seq, position(self.delivered));
            }
        }
        if effects.contains(&Effect::Close) {
            self.connected = false;
        }
    }

    /// Answers the latest question, as the sidecar does.
    fn grant(&mut self) {
        let Some((&beat, &at)) = self.sent.last_key_value().filter(|_| self.connected) else { return };
        self.rig.grant(beat);
        self.sent.clear();
        self.lease_end = at + TTL;
    }

    fn disconnect(&mut self) {
        if std::mem::take(&mut self.connected) {
            self.rig.machine.disconnected(self.rig.at());
        }
    }

    fn noise(&mut self, bytes: &[u8]) {
        use prost::Message;
        // What happens to be an Update is another test's.
        if self.connected && link::Update::decode(bytes).is_err() {
            let effects = self.rig.machine.update(bytes, self.rig.at());
            assert!(effects.contains(&Effect::Close));
            self.connected = false;
            self.lease_end = 0;
            self.sent.clear();
        }
    }

    fn replace_plan(&mut self, digest: u8) {
        // A plan travels like everything else; here it arrives at once, so that memory can be compared with it.
        if self.connected {
            self.plan = digest;
            let plan = Some(plan([digest; 32]));
            self.rig.update(&link::Update { plan, ..Default::default() });
        }
    }

    fn push(&mut self, count: usize) {
        let end = self.log.len().min(self.delivered + count);
        if !self.connected || end == self.delivered {
            return;
        }
        let invalidations = self.log[self.delivered..end].to_vec();
        self.delivered = end;
        self.deliver(&link::Update { invalidations, seq: position(end), ..Default::default() });
    }

    /// Starts over: the sidecar lists what is revoked, or asks what open streams rest on.
    fn resync(&mut self, lists: bool) {
        if !self.connected {
            return;
        }
        self.delivered = self.log.len();
        let seq = position(self.delivered);
        if lists {
            let invalidations = self.live_marks(|_| true);
            return self.deliver(&link::Update { resync: true, invalidations, seq, ..Default::default() });
        }
        self.rig.update(&link::Update { resync: true, ..Default::default() });
        let before = self.rig.reports.len();
        self.rig.update(&link::Update { seq, ask_held: true, ..Default::default() });
        let held = self.rig.reports[before..].iter().filter_map(|report| report.held.clone());
        let held: BTreeSet<String> = held.flat_map(|it| it.scopes).collect();
        let rest_on = self.live.values().map(|caller| super::caller(CALLERS[*caller].1, CALLERS[*caller].0));
        let rest_on: Vec<_> =
            rest_on.flat_map(|it| it.scopes().iter().map(ToString::to_string).collect::<Vec<_>>()).collect();
        assert_eq!(held, rest_on.into_iter().collect(), "what open streams rest on");
        if !held.is_empty() {
            assert!(self.rig.reports.last().unwrap().enforced_seq == 0, "acknowledged before it is in force");
            let invalidations = self.live_marks(|scope| held.contains(scope));
            self.deliver(&link::Update { invalidations, held_answered: true, ..Default::default() });
        }
        assert_eq!(self.rig.reports.last().unwrap().enforced_seq, seq);
    }

    /// What is revoked now of the scopes wanted.
    fn live_marks(&self, wanted: impl Fn(&str) -> bool) -> Vec<link::Invalidation> {
        let live = |scope: &str| {
            let entries = self.log.iter().rev().filter(|entry| entry.scope == scope);
            entries.take_while(|entry| entry.revoke).cloned().collect::<Vec<_>>()
        };
        let seq = position(self.log.len());
        let live = SCOPES.iter().filter(|scope| wanted(scope)).flat_map(|scope| live(scope));
        live.map(|it| link::Invalidation { seq, ..it }).collect()
    }

    /// Exactly the live streams that a revocation in it covers must end.
    fn deliver(&mut self, update: &link::Update) {
        let covered = |caller: usize| update.invalidations.iter().any(|entry| entry.revoke && covers(entry, caller));
        let expected: Vec<u32> =
            self.live.iter().filter(|(_, caller)| covered(**caller)).map(|(stream, _)| *stream).collect();
        let effects = self.rig.update(update);
        let mut ended: Vec<u32> = effects
            .iter()
            .filter_map(|it| if let Effect::Reset(stream, _) = it { Some(*stream) } else { None })
            .collect();
        ended.sort_unstable();
        assert_eq!(ended, expected);
        self.live.retain(|stream, _| !ended.contains(stream));
    }

    /// Everything that was answered here has been told once, when all is said.
    fn settle(&mut self) {
        for _ in 0..30 {
            self.rig.now += 1000;
            self.tick();
            acknowledge(&mut self.rig);
        }
        assert_eq!(booked(&self.rig), self.given);
    }
}

/// The position of the log after so many entries; the rig begins at 1.
fn position(delivered: usize) -> u64 {
    1 + u64::try_from(delivered).unwrap()
}

fn touches(entry: &link::Invalidation, caller: usize) -> bool {
    let (n, path) = CALLERS[caller];
    let scope = entry.scope.parse().unwrap();
    super::caller(path, n).scopes().contains(&scope)
}

fn covers(entry: &link::Invalidation, caller: usize) -> bool {
    let issued = u64::from(CALLERS[caller].0);
    touches(entry, caller) && (entry.issued_before_ms == u64::MAX || issued < entry.issued_before_ms)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn memory_never_answers_what_it_must_not(steps in vec(step(), 0..300)) {
        let mut world = World::new();
        world.tick();
        world.grant();
        for step in steps {
            world.take(step);
        }
        world.settle();
    }

    #[test]
    fn no_bytes_from_the_sidecar_make_the_machine_panic(
        messages in vec((any::<bool>(), vec(any::<u8>(), 0..80)), 0..20),
        resync in any::<bool>(),
        numbers in vec(any::<u64>(), 6),
        scope in ".{0,30}",
    ) {
        let mut rig = Rig::new();
        rig.meet(1);
        for (update, bytes) in messages {
            if update {
                rig.machine.update(&bytes, rig.at());
            } else {
                let stream = rig.ask(1, "/x");
                let _ = rig.machine.answered(stream, Some(&bytes), rig.at());
            }
        }
        let [seq, issued_before_ms, expires_at_ms, beat, ttl_ms, received_report] = numbers[..] else { unreachable!() };
        let invalidations = vec![link::Invalidation { seq, scope: scope.clone(), revoke: true, issued_before_ms, expires_at_ms, standing: false }];
        let lease = Some(link::Lease { beat, ttl_ms });
        let fingerprint = scope.into_bytes();
        let (ask_held, held_answered) = (seq % 2 == 0, beat % 2 == 0);
        let state = link::Update { seq, lease, received_report, fingerprint, ask_held, held_answered, ..Default::default() };
        rig.update(&link::Update { resync, invalidations, ..state });
        rig.now = u64::MAX;
        rig.tick();
    }
}
