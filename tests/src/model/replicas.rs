//! Replicas that follow one stream, as a stateright model of the product's follower: everything on the way is lost, repeated and
//! reordered, replicas crash, and the stream itself is set back or made anew.

use std::time::Instant;

use authz_core::signal::Seq;
use countersign::signals::fleet::follower::{Answer, Effect, Follower, Found, Input, StreamId};
use stateright::{Model, Property};

use super::Limited;

/// The model within its bounds.
#[derive(Clone, Debug)]
pub struct ReplicaModel {
    /// How many replicas there are.
    pub replicas: usize,
    /// Entries that are published.
    pub entries: u8,
    /// Questions asked by each replica.
    pub questions: u8,
    /// Flows and answers that break off, replicas that crash, entries that come twice.
    pub faults: u8,
    /// Times that the stream loses its last entry, or is made anew.
    pub rollbacks: u8,
    /// From when on nothing happens any more.
    pub end: Option<Instant>,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fleet {
    stream: StreamId,
    entries: Vec<u8>,
    published: u8,
    faults: u8,
    rollbacks: u8,
    replicas: Vec<Replica>,
    /// Entries were confirmed as all there are, and were not; or written where they do not belong.
    is_broken: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Replica {
    follower: Follower<u8, u8>,
    /// Durable, with the stream it is of.
    log: Vec<u8>,
    bound: Option<StreamId>,
    /// Up to where the flow was sent, if there is one.
    flow: Option<u64>,
    on_the_way: Vec<(u64, u8)>,
    answers: Vec<Answer<u8, u8>>,
    asked: u8,
    /// What the stream held when each question was asked, and how often it had been set back.
    held: Vec<(u8, StreamId, Vec<u8>)>,
    confirmed: Option<u8>,
}

/// One thing that happens; numbers name a replica, then what is on its way to it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A replica asks how the stream stands, and the stream answers.
    Ask(usize),
    /// The process ends and starts again.
    Crash(usize),
    /// An entry comes to a replica.
    Entry(usize, usize),
    /// An entry comes and will come again.
    EntryTwice(usize, usize),
    /// An answer comes.
    Hear(usize, usize),
    /// The connection is gone, with all that was on its way.
    Lose(usize),
    /// An entry is appended to the stream.
    Publish,
    /// The stream is made anew.
    Recreate,
    /// The stream has lost its last entry.
    RollBack,
    /// The stream sends the next entry.
    Send(usize),
}

impl Model for ReplicaModel {
    type State = Fleet;
    type Action = Step;

    fn init_states(&self) -> Vec<Fleet> {
        let replica = Replica::new();
        vec![Fleet {
            stream: StreamId(1),
            entries: Vec::new(),
            published: 0,
            faults: 0,
            rollbacks: 0,
            replicas: vec![replica; self.replicas],
            is_broken: false,
        }]
    }

    fn actions(&self, fleet: &Fleet, steps: &mut Vec<Step>) {
        steps.extend((fleet.published < self.entries).then_some(Step::Publish));
        if fleet.rollbacks < self.rollbacks {
            steps.extend((!fleet.entries.is_empty()).then_some(Step::RollBack));
            steps.push(Step::Recreate);
        }
        let may_fail = fleet.faults < self.faults;
        for (at, replica) in fleet.replicas.iter().enumerate() {
            steps.extend((replica.asked < self.questions).then_some(Step::Ask(at)));
            steps.extend(replica.flow.is_some_and(|sent| sent < fleet.entries.len() as u64).then_some(Step::Send(at)));
            steps.extend((0..replica.answers.len()).map(|nth| Step::Hear(at, nth)));
            steps.extend((0..replica.on_the_way.len()).map(|nth| Step::Entry(at, nth)));
            if may_fail {
                steps.extend([Step::Crash(at), Step::Lose(at)]);
                steps.extend((0..replica.on_the_way.len()).map(|nth| Step::EntryTwice(at, nth)));
            }
        }
    }

    fn next_state(&self, fleet: &Fleet, step: Step) -> Option<Fleet> {
        let mut next = fleet.clone();
        next.take(step);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("what is confirmed is all there was, and in its order", |_, fleet: &Fleet| {
                !fleet.is_broken
            }),
            Property::always("replicas of a stream that was never set back agree", |_, fleet: &Fleet| {
                fleet.rollbacks > 0 || fleet.replicas.iter().all(|it| fleet.entries.starts_with(&it.log))
            }),
            Property::always("once faults end every replica has everything, and is sure of it", |_, fleet: &Fleet| {
                fleet.rollbacks > 0 || (0..fleet.replicas.len()).all(|at| fleet.converges(at))
            }),
            Property::sometimes("a replica is sure of all entries", |model: &Self, fleet: &Fleet| {
                fleet.replicas.iter().any(|it| it.confirmed.is_some() && it.log.len() == usize::from(model.entries))
            }),
        ]
    }

    fn within_boundary(&self, _: &Fleet) -> bool {
        self.end.is_none_or(|end| Instant::now() < end)
    }
}

impl Limited for ReplicaModel {
    fn stop_at(&mut self, end: Instant) {
        self.end = Some(end);
    }
}

impl Fleet {
    fn take(&mut self, step: Step) {
        match step {
            Step::Ask(at) => self.ask(at),
            Step::Crash(at) => {
                self.faults += 1;
                self.replicas[at].crash();
            }
            Step::Entry(at, nth) => {
                let (seq, entry) = self.replicas[at].on_the_way.remove(nth);
                self.hear(at, Input::Entry(Seq(seq), entry));
            }
            Step::EntryTwice(at, nth) => {
                self.faults += 1;
                let (seq, entry) = self.replicas[at].on_the_way[nth];
                self.hear(at, Input::Entry(Seq(seq), entry));
            }
            Step::Hear(at, nth) => {
                let answer = self.replicas[at].answers.remove(nth);
                self.hear(at, Input::Answer(answer));
            }
            Step::Lose(at) => {
                self.faults += 1;
                let replica = &mut self.replicas[at];
                replica.let_go();
                self.hear(at, Input::Lost);
            }
            Step::Publish => {
                self.published += 1;
                self.entries.push(self.published);
            }
            Step::Recreate => {
                self.rollbacks += 1;
                self.stream = StreamId(self.stream.0 + 1);
                self.entries.clear();
                self.flows_end();
            }
            Step::RollBack => {
                self.rollbacks += 1;
                self.entries.pop();
                self.flows_end();
            }
            Step::Send(at) => {
                let replica = &mut self.replicas[at];
                if let Some(sent) = &mut replica.flow {
                    *sent += 1;
                    let entry = self.entries[usize::try_from(*sent).unwrap() - 1];
                    replica.on_the_way.push((*sent, entry));
                }
            }
        }
    }

    fn ask(&mut self, at: usize) {
        let last = self.entries.len() as u64;
        let entry = |seq: u64| {
            let index = usize::try_from(seq).unwrap().checked_sub(1);
            index.and_then(|index| self.entries.get(index)).map_or(Found::Nothing, |it| Found::Entry(*it))
        };
        let replica = &mut self.replicas[at];
        replica.asked += 1;
        replica.held.push((self.rollbacks, self.stream, self.entries.clone()));
        let (question, head) = (replica.follower.question(), replica.follower.head().0);
        let (found, next) = (entry(head), entry(head + 1));
        let (asked, stream, first, last) = (replica.asked, self.stream, Seq(1), Seq(last));
        replica.answers.push(Answer { question, asked, stream, first, last, found, next });
    }

    fn hear(&mut self, at: usize, input: Input<u8, u8>) {
        let replica = &mut self.replicas[at];
        for effect in replica.follower.hear(input) {
            match effect {
                Effect::Bind(stream) => replica.bound = Some(stream),
                Effect::Confirm(asked) => {
                    let (rollbacks, stream, held) = &replica.held[usize::from(asked) - 1];
                    let is_true = replica.bound == Some(*stream)
                        && replica.log.starts_with(held)
                        && self.entries.starts_with(&replica.log);
                    // What the stream has lost since it was asked nobody can know who had not seen it.
                    self.is_broken |= *rollbacks == self.rollbacks && !is_true;
                    replica.confirmed = Some(asked);
                }
                Effect::Consume(after) => {
                    replica.on_the_way.clear();
                    replica.flow = Some(after.0);
                }
                // Nothing is purged here.
                Effect::Load(_) => self.is_broken = true,
                Effect::Refuse(_) => {
                    replica.on_the_way.clear();
                    replica.flow = None;
                }
                Effect::Write(seq, entry) => {
                    self.is_broken |= seq.0 != replica.log.len() as u64 + 1;
                    replica.log.push(entry);
                }
            }
        }
    }

    fn flows_end(&mut self) {
        for at in 0..self.replicas.len() {
            self.replicas[at].let_go();
            self.hear(at, Input::Lost);
        }
    }

    /// Whether a replica that is left alone comes to have everything.
    fn converges(&self, at: usize) -> bool {
        let mut fleet = self.clone();
        for _ in 0..3 {
            fleet.ask(at);
            while let Some(step) = fleet.delivery(at) {
                fleet.take(step);
            }
        }
        let replica = &fleet.replicas[at];
        replica.log == fleet.entries && replica.confirmed == Some(replica.asked)
    }

    fn delivery(&self, at: usize) -> Option<Step> {
        let replica = &self.replicas[at];
        if !replica.answers.is_empty() {
            return Some(Step::Hear(at, 0));
        }
        if !replica.on_the_way.is_empty() {
            return Some(Step::Entry(at, 0));
        }
        replica.flow.is_some_and(|sent| sent < self.entries.len() as u64).then_some(Step::Send(at))
    }
}

impl Replica {
    fn new() -> Self {
        Self {
            follower: Follower::new(Seq(0), None, None),
            log: Vec::new(),
            bound: None,
            flow: None,
            on_the_way: Vec::new(),
            answers: Vec::new(),
            asked: 0,
            held: Vec::new(),
            confirmed: None,
        }
    }

    /// What is durable stays.
    fn crash(&mut self) {
        self.let_go();
        self.answers.clear();
        self.follower = Follower::new(Seq(self.log.len() as u64), self.log.last().copied(), self.bound);
    }

    fn let_go(&mut self) {
        self.flow = None;
        self.on_the_way.clear();
    }
}

/// What is searched: a name, the model, and how many steps the tests go.
pub fn models() -> Vec<(&'static str, ReplicaModel, usize)> {
    let model = |entries, questions, faults, rollbacks| ReplicaModel {
        replicas: 2,
        entries,
        questions,
        faults,
        rollbacks,
        end: None,
    };
    vec![
        ("replicas: entries and answers are lost", model(2, 2, 2, 0), 11),
        ("replicas: the stream is set back", ReplicaModel { replicas: 1, ..model(3, 3, 1, 1) }, 60),
    ]
}
