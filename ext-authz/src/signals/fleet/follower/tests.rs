//! Whatever is lost, repeated or delayed, a replica is a prefix of the stream, and no other stream passes for it.

use proptest::prelude::*;

use super::*;

type Replica = Follower<u32, u64>;

/// A stream as a server would keep it: entries from `first` on.
#[derive(Clone, Debug)]
struct Stream {
    id: StreamId,
    first: u64,
    entries: Vec<Option<u32>>,
}

impl Stream {
    fn new(entries: impl IntoIterator<Item = u32>) -> Self {
        Self { id: StreamId(1), first: 1, entries: entries.into_iter().map(Some).collect() }
    }

    fn last(&self) -> u64 {
        self.first + self.entries.len() as u64 - 1
    }

    fn at(&self, seq: Seq) -> Found<u32> {
        let index = seq.0.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| self.entries.get(index)).copied().flatten().map_or(Found::Nothing, Found::Entry)
    }

    fn answer(&self, question: Question<u32>, asked: u64) -> Input<u32, u64> {
        let (found, next) = (self.at(question.head), self.at(question.head.next()));
        let (stream, first, last) = (self.id, Seq(self.first), Seq(self.last()));
        Input::Answer(Answer { question, asked, stream, first, last, found, next })
    }
}

fn replica(entries: &[u32]) -> Replica {
    Follower::new(Seq(entries.len() as u64), entries.last().copied(), None)
}

fn ask(replica: &mut Replica, stream: &Stream, asked: u64) -> Vec<Effect<u32, u64>> {
    replica.hear(stream.answer(replica.question(), asked))
}

fn check(ours: &[u32], stream: &Stream, expected: &[Effect<u32, u64>]) {
    let mut replica = replica(ours);
    assert_eq!(ask(&mut replica, stream, 7), expected, "{ours:?} against {stream:?}");
}

#[test]
fn a_replica_joins_a_stream_that_goes_on_where_it_ends_and_no_other() {
    use Effect::{Bind, Confirm, Consume, Load, Refuse};
    let bind = Bind(StreamId(1));
    let behind = |last, head| [Refuse(Refusal::Behind { last: Seq(last), head: Seq(head) })];
    check(&[], &Stream::new([]), &[bind.clone(), Consume(Seq(0)), Confirm(7)]);
    check(&[], &Stream::new([10, 11]), &[bind.clone(), Consume(Seq(0))]);
    check(&[10, 11], &Stream::new([10, 11]), &[bind.clone(), Consume(Seq(2)), Confirm(7)]);
    check(&[10, 11], &Stream::new([10]), &behind(1, 2));
    check(&[10, 11], &Stream::new([]), &behind(0, 2));
    check(&[10, 11], &Stream::new([10, 12, 13]), &[Refuse(Refusal::Differs(Seq(2)))]);
    let purged = Stream { first: 3, ..Stream::new([12, 13]) };
    check(&[10, 11], &purged, &[bind.clone(), Consume(Seq(2))]);
    check(&[10], &purged, &[bind, Load(Seq(2))]);
    let hole = Stream { entries: vec![Some(10), None, Some(12)], ..Stream::new([]) };
    check(&[10], &hole, &[Refuse(Refusal::Hole(Seq(2)))]);
    check(&[10, 11], &hole, &[Refuse(Refusal::Differs(Seq(2)))]);
}

#[test]
fn a_stream_that_was_made_anew_is_refused_even_if_it_holds_the_same() {
    let mut bound = Follower::new(Seq(1), Some(10), Some(StreamId(9)));
    assert_eq!(ask(&mut bound, &Stream::new([10]), 1), [Effect::Refuse(Refusal::Replaced)]);
    assert_eq!(bound.refusal(), Some(Refusal::Replaced));
    let ours = Stream { id: StreamId(9), ..Stream::new([10]) };
    assert_eq!(ask(&mut bound, &ours, 2), [Effect::Consume(Seq(1)), Effect::Confirm(2)], "it is back, no hand needed");
    assert_eq!(bound.refusal(), None);
}

#[test]
fn nothing_is_written_while_the_stream_is_refused_or_unknown() {
    let mut replica = replica(&[10, 11]);
    assert_eq!(replica.hear(Input::Entry(Seq(3), 12)), []);
    ask(&mut replica, &Stream::new([10]), 1);
    assert_eq!(replica.hear(Input::Entry(Seq(3), 12)), []);
    replica.hear(Input::Lost);
    assert!(replica.refusal().is_some(), "who is refused stays so until the stream proves otherwise");
    assert_eq!(replica.head(), Seq(2));
}

#[test]
fn a_moment_is_confirmed_once_all_that_was_there_is_written() {
    let (mut replica, stream) = (replica(&[]), Stream::new([10, 11]));
    ask(&mut replica, &stream, 1);
    assert_eq!(ask(&mut replica, &stream, 2), [], "the older question is still due");
    assert_eq!(replica.hear(Input::Entry(Seq(1), 10)), [Effect::Write(Seq(1), 10)]);
    assert_eq!(replica.hear(Input::Entry(Seq(2), 11)), [Effect::Write(Seq(2), 11), Effect::Confirm(1)]);
    assert_eq!(ask(&mut replica, &stream, 3), [Effect::Confirm(3)]);
}

#[test]
fn a_gap_starts_the_flow_anew_and_an_older_answer_counts_for_nothing() {
    let (mut replica, stream) = (replica(&[]), Stream::new([10, 11]));
    let late = stream.answer(replica.question(), 1);
    ask(&mut replica, &stream, 2);
    assert_eq!(replica.hear(Input::Entry(Seq(2), 11)), [Effect::Consume(Seq(0))]);
    assert_eq!(replica.hear(Input::Unreadable(Seq(2))), [Effect::Consume(Seq(0))]);
    replica.hear(Input::Entry(Seq(1), 10));
    let rolled_back = Stream::new([]);
    ask(&mut replica, &rolled_back, 3);
    assert_eq!(replica.hear(late), []);
    assert!(replica.refusal().is_some());
}

#[test]
fn another_entry_at_our_head_and_one_we_can_not_read_are_refused() {
    let (mut replica, stream) = (replica(&[10]), Stream::new([10, 11]));
    ask(&mut replica, &stream, 1);
    assert_eq!(replica.hear(Input::Entry(Seq(1), 10)), []);
    assert_eq!(replica.hear(Input::Unreadable(Seq(2))), [Effect::Refuse(Refusal::Unreadable(Seq(2)))]);
    ask(&mut replica, &stream, 2);
    assert_eq!(replica.hear(Input::Entry(Seq(1), 99)), [Effect::Refuse(Refusal::Differs(Seq(1)))]);
}

#[test]
fn what_was_purged_comes_by_snapshot_or_the_stream_is_refused() {
    let stream = Stream { first: 5, ..Stream::new([14, 15]) };
    let mut joiner = replica(&[10]);
    assert_eq!(ask(&mut joiner, &stream, 1).last(), Some(&Effect::Load(Seq(4))));
    assert_eq!(joiner.hear(Input::Entry(Seq(5), 14)), [], "nothing before the snapshot");
    let mut without = joiner.clone();
    let refusal = Refusal::Purged { first: Seq(5), next: Seq(2) };
    assert_eq!(without.hear(Input::NoSnapshot), [Effect::Refuse(refusal)]);
    let mut ahead = joiner.clone();
    ahead.hear(Input::Loaded(Seq(0), 9));
    assert_eq!(ahead.head(), Seq(1), "what is older than ours takes nothing back");
    joiner.hear(Input::Loaded(Seq(5), 14));
    assert_eq!(ask(&mut joiner, &stream, 2), [Effect::Consume(Seq(5))]);
    assert_eq!(joiner.hear(Input::Entry(Seq(6), 15)), [Effect::Write(Seq(6), 15), Effect::Confirm(2)]);
}

/// What a bad network and a bad day do.
#[derive(Clone, Debug)]
enum Event {
    Ask,
    Answer(usize),
    Append,
    Deliver(usize),
    Drop,
    Repeat(usize),
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Ask),
        2 => any::<usize>().prop_map(Event::Answer),
        3 => Just(Event::Append),
        6 => any::<usize>().prop_map(Event::Deliver),
        1 => Just(Event::Drop),
        1 => any::<usize>().prop_map(Event::Repeat),
        1 => Just(Event::Restart),
    ]
}

/// A replica, its stream, and what is under way between them.
struct World {
    replica: Replica,
    stream: Stream,
    written: Vec<u32>,
    answers: Vec<Input<u32, u64>>,
    flow: Vec<(Seq, u32)>,
    flow_end: Option<u64>,
    ends_when_asked: Vec<u64>,
}

impl World {
    fn new() -> Self {
        Self {
            replica: replica(&[]),
            stream: Stream::new([]),
            written: Vec::new(),
            answers: Vec::new(),
            flow: Vec::new(),
            flow_end: None,
            ends_when_asked: Vec::new(),
        }
    }

    fn step(&mut self, event: &Event) {
        match event {
            Event::Append => self.stream.entries.push(Some(100 + u32::try_from(self.stream.entries.len()).unwrap())),
            Event::Ask => {
                let asked = self.ends_when_asked.len() as u64;
                self.ends_when_asked.push(self.stream.last());
                self.answers.push(self.stream.answer(self.replica.question(), asked));
            }
            Event::Answer(at) if !self.answers.is_empty() => {
                let answer = self.answers.swap_remove(at % self.answers.len());
                self.hear(answer);
            }
            Event::Deliver(at) if !self.flow.is_empty() => {
                let (seq, entry) = self.flow.remove(at % self.flow.len());
                self.hear(Input::Entry(seq, entry));
            }
            Event::Repeat(at) if !self.flow.is_empty() => {
                let again = self.flow[at % self.flow.len()];
                self.flow.push(again);
            }
            Event::Drop => {
                self.flow.pop();
            }
            Event::Restart => {
                self.replica = replica(&self.written);
                (self.flow, self.flow_end) = (Vec::new(), None);
            }
            Event::Answer(_) | Event::Deliver(_) | Event::Repeat(_) => {}
        }
        self.fill_flow();
    }

    fn hear(&mut self, input: Input<u32, u64>) {
        for effect in self.replica.hear(input) {
            match effect {
                Effect::Consume(after) => (self.flow, self.flow_end) = (Vec::new(), Some(after.0)),
                Effect::Write(seq, entry) => {
                    assert_eq!(seq.0, self.written.len() as u64 + 1, "a position was left out or came twice");
                    self.written.push(entry);
                }
                Effect::Confirm(asked) => {
                    let end = self.ends_when_asked[usize::try_from(asked).unwrap()];
                    assert!(self.written.len() as u64 >= end, "confirmed without all that was there");
                }
                Effect::Bind(_) => {}
                Effect::Load(_) | Effect::Refuse(_) => panic!("{effect:?} of our own stream"),
            }
        }
    }

    fn fill_flow(&mut self) {
        let Some(end) = &mut self.flow_end else { return };
        for seq in *end + 1..=self.stream.last() {
            let Found::Entry(entry) = self.stream.at(Seq(seq)) else { unreachable!() };
            self.flow.push((Seq(seq), entry));
        }
        *end = self.stream.last();
    }
}

proptest! {
    #[test]
    fn a_replica_is_a_prefix_of_its_stream_whatever_happens_and_gets_all_of_it_in_the_end(
        events in prop::collection::vec(event(), 0..200),
    ) {
        let mut world = World::new();
        for event in &events {
            world.step(event);
            let stream: Vec<u32> = world.stream.entries.iter().copied().flatten().collect();
            prop_assert!(stream.starts_with(&world.written), "{:?} of {stream:?}", world.written);
            prop_assert_eq!(world.replica.head().0, world.written.len() as u64);
        }
        // Then the network is good: connect, ask, and take what comes.
        world.hear(Input::Lost);
        world.step(&Event::Ask);
        let answer = world.answers.pop().unwrap();
        world.hear(answer);
        world.fill_flow();
        while !world.flow.is_empty() {
            world.step(&Event::Deliver(0));
        }
        prop_assert_eq!(world.written.len(), world.stream.entries.len());
    }

    #[test]
    fn a_stream_with_another_past_is_never_followed(
        ours in prop::collection::vec(0_u32..3, 1..6),
        theirs in prop::collection::vec(0_u32..3, 0..8),
    ) {
        let mut replica = replica(&ours);
        let effects = ask(&mut replica, &Stream::new(theirs.clone()), 1);
        // One compares the entry at the head: ids are unique, so that the same one means the same past.
        let followed = theirs.get(ours.len() - 1) == ours.last();
        prop_assert_eq!(followed, effects.contains(&Effect::Consume(Seq(ours.len() as u64))), "{:?}", effects);
        prop_assert_eq!(!followed, replica.refusal().is_some());
    }
}

#[test]
fn what_was_asked_before_a_connection_was_lost_starts_nothing_after_it() {
    let mut replica = replica(&[]);
    let before = Stream::new([10]);
    let late = before.answer(replica.question(), 1);
    ask(&mut replica, &before, 2);
    replica.hear(Input::Entry(Seq(1), 10));
    replica.hear(Input::Lost);
    assert_eq!(replica.hear(late), [], "the stream may be another by now");
    // Set back and grown again: an entry at 2 that does not follow ours.
    let after = Stream::new([20, 21]);
    assert_eq!(ask(&mut replica, &after, 3), [Effect::Refuse(Refusal::Differs(Seq(1)))]);
}
