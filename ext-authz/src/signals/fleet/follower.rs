//! What a replica does with what it hears of the stream: every entry once, in the stream's order, and no other history. It does no IO and reads no clock.

use authz_core::signal::Seq;

/// One replica's side of following the stream; everything it knows is in here, and what it wants done it returns.
///
/// `E` is an entry, compared with `==` to tell histories apart; `T` is a moment. Effects must be carried out in their order and before
/// the next input: after [`Effect::Write`] the replica counts the entry as written. Inputs that are lost, repeated or reordered do
/// no harm, as long as no entry of a flow is handed in after [`Input::Lost`] or the next [`Effect::Consume`] ended that flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Follower<E, T> {
    // INVARIANT: the head never goes down, and the tip is the entry there (none for an empty replica).
    head: Seq,
    tip: Option<E>,
    stream: Option<StreamId>,
    heard: Option<T>,
    // How often the connection was gone: what was asked on another one may be about another past.
    round: u32,
    standing: Standing<T>,
}

/// Which stream it is: another one of the same name has another.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(pub u64);

/// What a replica asks the stream, as it stood when it asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question<E> {
    /// Its last position.
    pub head: Seq,
    tip: Option<E>,
    round: u32,
}

/// The stream's answer. `found` and `next` must be read after `first` and `last`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Answer<E, T> {
    /// What was asked.
    pub question: Question<E>,
    /// When it was asked.
    pub asked: T,
    /// Which stream answers.
    pub stream: StreamId,
    /// Its first position that was not purged; one more than `last` if it is empty.
    pub first: Seq,
    /// Its last position.
    pub last: Seq,
    /// What it holds at the head of the question.
    pub found: Found<E>,
    /// What it holds right after that head.
    pub next: Found<E>,
}

/// What a stream holds at one position.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Found<E> {
    /// An entry.
    Entry(E),
    /// Nothing, or nobody looked because the answer's positions exclude it.
    Nothing,
    /// Something that is no entry, or one of a newer version.
    Unreadable,
}

/// What a replica hears.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input<E, T> {
    /// How the stream stands: asked for after each connect, and now and then.
    Answer(Answer<E, T>),
    /// An entry of the stream.
    Entry(Seq, E),
    /// A snapshot was written in place of the replica; `tip` is the entry at its position.
    Loaded(Seq, E),
    /// The connection is gone, or the flow of entries.
    Lost,
    /// There is no snapshot that would help.
    NoSnapshot,
    /// Something at this position that is no entry, or one of a newer version.
    Unreadable(Seq),
}

/// What has to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect<E, T> {
    /// Remember durably that this is our stream.
    Bind(StreamId),
    /// All that was in the stream at this moment is in force here.
    Confirm(T),
    /// Let entries after this position flow, in place of any flow before.
    Consume(Seq),
    /// Load a snapshot that ends at this position or later, then tell.
    Load(Seq),
    /// Stop the flow and alarm: this is not the history we know. What is in force stays so.
    Refuse(Refusal),
    /// Make the entry durable at this position, then put it in force.
    Write(Seq, E),
}

/// Why a stream is not followed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// It ends before what we have seen of it.
    #[error("it ends at {last}, and this sidecar has seen it at {head}: entries were lost or rolled back")]
    Behind {
        /// Its end.
        last: Seq,
        /// Ours.
        head: Seq,
    },
    /// It holds something else where our last entry is.
    #[error("it holds another signal at {0} than this sidecar has there: its history was replaced")]
    Differs(Seq),
    /// An entry was taken out of it.
    #[error("signal {0} was deleted from it")]
    Hole(Seq),
    /// What comes next was purged, and no snapshot has it.
    #[error("it begins at {first} and has no snapshot, this sidecar needs {next}")]
    Purged {
        /// Its first entry.
        first: Seq,
        /// What we need.
        next: Seq,
    },
    /// It is not the stream that this replica is of.
    #[error("it was created anew since this sidecar joined it")]
    Replaced,
    /// There is something in it that we don't understand.
    #[error("what stands at {0} is no signal that this version can read")]
    Unreadable(Seq),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Standing<T> {
    /// Nothing is known of the stream now.
    Apart,
    /// It is ours; `due` is to be confirmed once we are there.
    Following { due: Option<(T, Seq)> },
    /// A snapshot is to come, for a stream that begins at this position.
    Loading(Seq),
    /// It is not ours.
    Refusing(Refusal),
}

impl<E: Clone + PartialEq, T: Copy + Ord> Follower<E, T> {
    /// A replica that ends at `head` with the entry `tip`, and is one of `stream` if it ever followed one.
    pub fn new(head: Seq, tip: Option<E>, stream: Option<StreamId>) -> Self {
        Self { head, tip, stream, heard: None, round: 0, standing: Standing::Apart }
    }

    /// The last position written.
    pub fn head(&self) -> Seq {
        self.head
    }

    /// Why the stream is not followed, if it is refused.
    pub fn refusal(&self) -> Option<Refusal> {
        match self.standing {
            Standing::Refusing(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// What to ask the stream now.
    pub fn question(&self) -> Question<E> {
        Question { head: self.head, tip: self.tip.clone(), round: self.round }
    }

    /// Takes in what was heard and says what to do.
    pub fn hear(&mut self, input: Input<E, T>) -> Vec<Effect<E, T>> {
        match input {
            Input::Answer(answer) => self.judge(&answer),
            Input::Entry(seq, entry) => self.take(seq, entry),
            Input::Loaded(seq, tip) => self.jump(seq, tip),
            Input::Lost => {
                self.round = self.round.wrapping_add(1);
                // Who is refused stays so in everybody's eyes until the stream proves otherwise.
                if self.refusal().is_none() {
                    self.standing = Standing::Apart;
                }
                Vec::new()
            }
            Input::NoSnapshot | Input::Unreadable(_) => self.stop_short(&input),
        }
    }

    fn judge(&mut self, answer: &Answer<E, T>) -> Vec<Effect<E, T>> {
        // INVARIANT: a flow begins only on what was asked since the last one ended. The stream may have been set back in
        // between; what then stands behind our head would not follow what we have there.
        if answer.question.round != self.round || self.heard.is_some_and(|heard| answer.asked < heard) {
            return Vec::new();
        }
        self.heard = Some(answer.asked);
        if let Some(refusal) = self.refusal_of(answer) {
            return self.refuse(refusal);
        }
        let mut effects = Vec::new();
        if self.stream != Some(answer.stream) {
            self.stream = Some(answer.stream);
            effects.push(Effect::Bind(answer.stream));
        }
        if answer.first > self.head.next() {
            self.standing = Standing::Loading(answer.first);
            effects.push(Effect::Load(Seq(answer.first.0.saturating_sub(1))));
            return effects;
        }
        let due = match std::mem::replace(&mut self.standing, Standing::Apart) {
            Standing::Following { due } => due,
            Standing::Apart | Standing::Loading(_) | Standing::Refusing(_) => {
                effects.push(Effect::Consume(self.head));
                None
            }
        };
        // An older question that waits comes first: with newer ones in its place none would ever be due under load.
        self.standing = Standing::Following { due: due.or(Some((answer.asked, answer.last))) };
        effects.extend(self.confirm());
        effects
    }

    fn refusal_of(&self, answer: &Answer<E, T>) -> Option<Refusal> {
        let Answer { question: Question { head, tip, .. }, stream, first, last, found, next, .. } = answer;
        let (head, last) = (*head, *last);
        if self.stream.is_some_and(|ours| ours != *stream) {
            return Some(Refusal::Replaced);
        }
        if last < head {
            return Some(Refusal::Behind { last, head });
        }
        // Without what was purged nothing can be compared; then all that follows is what we need.
        let holds = |at: Seq| at >= *first && at <= last && at > Seq(0);
        let differs = match (found, tip) {
            _ if !holds(head) => false,
            (Found::Entry(found), Some(tip)) => found != tip,
            (Found::Entry(_), None) => false,
            (Found::Nothing | Found::Unreadable, _) => true,
        };
        if differs {
            return Some(Refusal::Differs(head));
        }
        match next {
            Found::Nothing if holds(head.next()) => Some(Refusal::Hole(head.next())),
            Found::Unreadable => Some(Refusal::Unreadable(head.next())),
            Found::Nothing | Found::Entry(_) => None,
        }
    }

    fn take(&mut self, seq: Seq, entry: E) -> Vec<Effect<E, T>> {
        if !matches!(self.standing, Standing::Following { .. }) || seq < self.head {
            return Vec::new();
        }
        if seq == self.head {
            let same = self.tip.as_ref().is_none_or(|tip| *tip == entry);
            return if same { Vec::new() } else { self.refuse(Refusal::Differs(seq)) };
        }
        if seq > self.head.next() {
            return vec![Effect::Consume(self.head)];
        }
        self.head = seq;
        self.tip = Some(entry.clone());
        let mut effects = vec![Effect::Write(seq, entry)];
        effects.extend(self.confirm());
        effects
    }

    fn jump(&mut self, seq: Seq, tip: E) -> Vec<Effect<E, T>> {
        if matches!(self.standing, Standing::Loading(_)) {
            if seq > self.head {
                (self.head, self.tip) = (seq, Some(tip));
            }
            // The next answer says whether it was enough.
            self.standing = Standing::Apart;
        }
        Vec::new()
    }

    fn stop_short(&mut self, input: &Input<E, T>) -> Vec<Effect<E, T>> {
        match (input, &self.standing) {
            (Input::NoSnapshot, Standing::Loading(first)) => {
                self.refuse(Refusal::Purged { first: *first, next: self.head.next() })
            }
            (Input::Unreadable(seq), Standing::Following { .. }) if *seq == self.head.next() => {
                self.refuse(Refusal::Unreadable(*seq))
            }
            (Input::Unreadable(seq), Standing::Following { .. }) if *seq > self.head => {
                vec![Effect::Consume(self.head)]
            }
            _ => Vec::new(),
        }
    }

    fn confirm(&mut self) -> Option<Effect<E, T>> {
        match &mut self.standing {
            Standing::Following { due } => {
                due.take_if(|(_, last)| *last <= self.head).map(|(asked, _)| Effect::Confirm(asked))
            }
            _ => None,
        }
    }

    fn refuse(&mut self, refusal: Refusal) -> Vec<Effect<E, T>> {
        self.standing = Standing::Refusing(refusal);
        vec![Effect::Refuse(refusal)]
    }
}

#[cfg(test)]
mod tests;
