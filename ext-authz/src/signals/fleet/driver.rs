//! Connects, follows, starts over: carries out what the follower says and hears for it. It decides nothing about histories.

use std::{sync::Arc, time::Duration};

use authz_core::signal::{Seq, Signal};
use futures_util::future::{BoxFuture, FutureExt, OptionFuture};
use tokio::{sync::oneshot, time::MissedTickBehavior};

use super::{
    Entry, Shared,
    follower::{Answer, Effect, Follower, Input, StreamId},
    session::{Flow, Session, Unreached},
};
use crate::signals::{LogError, plane::Order};

type Asking = BoxFuture<'static, Result<Answer<Entry, std::time::Instant>, String>>;

/// Follows the stream for as long as it is polled.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut failures = 0;
    loop {
        match shared.open().await {
            Ok(session) => {
                failures = 0;
                let why = Following::new(Arc::clone(&shared), session).run().await;
                shared.lose(&why);
            }
            Err(error) => {
                failures += 1;
                shared.fail(&error);
            }
        }
        tokio::time::sleep(back_off(failures)).await;
    }
}

/// Doubles from about 50 ms to about 2 s; by chance, so that a fleet does not come back all at once.
fn back_off(failures: u32) -> Duration {
    let longest = Duration::from_millis(50).saturating_mul(1 << failures.min(6)).min(Duration::from_secs(2));
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// One session, followed.
struct Following {
    shared: Arc<Shared>,
    session: Arc<Session>,
    follower: Follower<Entry, std::time::Instant>,
    flow: Option<Flow>,
    // What the follower counts as written and is not yet.
    unwritten: Vec<(Seq, Signal)>,
    unanswered: u32,
    // Where we were at the last answer, if there was more by then.
    lagged_at: Option<Seq>,
}

/// What woke us.
enum Woken {
    Answered(Result<Answer<Entry, std::time::Instant>, String>),
    Came(Result<Vec<(Seq, Option<Entry>)>, String>),
    Ask,
    Lost,
}

impl Following {
    fn new(shared: Arc<Shared>, session: Session) -> Self {
        let follower = Follower::new(Seq(0), None, None);
        let (flow, unwritten) = (None, Vec::new());
        Self { shared, session: Arc::new(session), follower, flow, unwritten, unanswered: 0, lagged_at: None }
    }

    /// Follows until it can't go on; says why.
    async fn run(&mut self) -> String {
        match self.follow().await {
            Ok(why) => why,
            Err(error) => error.to_string(),
        }
    }

    async fn follow(&mut self) -> Result<String, LogError> {
        self.follower = self.shared.replica().await?;
        let mut ticks = tokio::time::interval(self.shared.config.check_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asking: Option<Asking> = None;
        loop {
            let session = Arc::clone(&self.session);
            let woken = tokio::select! {
                () = session.lost() => Woken::Lost,
                Some(answer) = OptionFuture::from(asking.as_mut()) => Woken::Answered(answer),
                Some(came) = OptionFuture::from(self.flow.as_mut().map(Flow::next)) => Woken::Came(came),
                _ = ticks.tick(), if asking.is_none() => Woken::Ask,
            };
            match woken {
                Woken::Lost => return Ok("the connection to the NATS server was lost".to_owned()),
                Woken::Ask => {
                    let (session, question) = (Arc::clone(&self.session), self.follower.question());
                    asking = Some(async move { session.ask(question).await }.boxed());
                }
                Woken::Answered(answer) => {
                    asking = None;
                    if let Some(why) = self.hear_answer(answer).await? {
                        return Ok(why);
                    }
                }
                Woken::Came(came) => self.hear_entries(came).await?,
            }
        }
    }

    /// Says why it can't go on, if it can't.
    async fn hear_answer(
        &mut self,
        answer: Result<Answer<Entry, std::time::Instant>, String>,
    ) -> Result<Option<String>, LogError> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => {
                tracing::warn!(why, "the stream of signals does not answer");
                self.unanswered += 1;
                // Another server may be better connected to the others.
                return Ok((self.unanswered >= MOST_UNANSWERED).then_some(why));
            }
        };
        self.unanswered = 0;
        let (head, last) = (answer.question.head, answer.last);
        // There was more then and there is nothing new since: whatever should bring it does not.
        if last > head && self.lagged_at == Some(head) && self.follower.head() == head {
            self.lagged_at = None;
            self.flow = None;
            self.hear(Input::Lost).await?;
            // What was asked before counts no more: the next question begins a flow.
            return Ok(None);
        }
        self.lagged_at = (last > head).then_some(head);
        self.shared.see_end(last);
        self.hear(Input::Answer(answer)).await?;
        self.flush().await?;
        self.shared.offer(self.follower.refusal().is_none().then(|| Arc::clone(&self.session)));
        Ok(None)
    }

    async fn hear_entries(&mut self, came: Result<Vec<(Seq, Option<Entry>)>, String>) -> Result<(), LogError> {
        match came {
            Ok(batch) => {
                for (seq, entry) in batch {
                    self.hear(entry.map_or(Input::Unreadable(seq), |entry| Input::Entry(seq, entry))).await?;
                    if self.flow.is_none() {
                        break;
                    }
                }
                self.flush().await
            }
            Err(why) => {
                tracing::warn!(why, "entries of the stream stopped coming");
                self.flow = None;
                self.hear(Input::Lost).await
            }
        }
    }

    async fn hear(&mut self, input: Input<Entry, std::time::Instant>) -> Result<(), LogError> {
        for effect in self.follower.hear(input) {
            match effect {
                Effect::Write(seq, entry) => self.unwritten.push((seq, Arc::unwrap_or_clone(entry))),
                other => {
                    self.flush().await?;
                    self.carry_out(other).await?;
                }
            }
        }
        Ok(())
    }

    async fn carry_out(&mut self, effect: Effect<Entry, std::time::Instant>) -> Result<(), LogError> {
        match effect {
            Effect::Bind(stream) => self.shared.bind(stream).await?,
            Effect::Confirm(asked) => self.shared.confirm(asked),
            Effect::Consume(after) => self.consume(after).await,
            Effect::Load(at) => {
                let kept = self.session.snapshot().await.unwrap_or_default();
                let stream = self.shared.log.stream()?.map_or(StreamId(0), StreamId);
                if kept.is_some_and(|kept| kept.reaches(stream, at.next())) {
                    self.shared.want_restart();
                }
                for effect in self.follower.hear(Input::NoSnapshot) {
                    if let Effect::Refuse(refusal) = effect {
                        self.refuse(refusal);
                    }
                }
            }
            Effect::Refuse(refusal) => self.refuse(refusal),
            Effect::Write(seq, entry) => self.unwritten.push((seq, Arc::unwrap_or_clone(entry))),
        }
        Ok(())
    }

    fn refuse(&mut self, refusal: super::follower::Refusal) {
        self.flow = None;
        self.shared.refuse(refusal.as_str(), refusal.into());
    }

    async fn consume(&mut self, after: Seq) {
        self.flow = None;
        match self.session.consume(after).await {
            Ok(flow) => self.flow = Some(flow),
            Err(why) => {
                tracing::warn!(why, "entries of the stream can't be had");
                // The next answer tries again.
                let _nothing = self.follower.hear(Input::Lost);
            }
        }
    }

    /// Has everything written and put in force.
    async fn flush(&mut self) -> Result<(), LogError> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let (done, written) = oneshot::channel();
        let order = Order::Replicate(std::mem::take(&mut self.unwritten), done);
        self.shared.order(order).await;
        // No answer means that the writer is gone, and then so are we.
        written.await.unwrap_or(Ok(()))?;
        self.shared.reach(self.follower.head());
        Ok(())
    }
}

impl Shared {
    async fn open(&self) -> Result<Session, Unreached> {
        // A log that can't be read is trouble enough to make nothing.
        let is_replica = self.log.stream().map_or(true, |stream| stream.is_some());
        Session::open(&self.config, is_replica).await
    }

    fn fail(&self, error: &Unreached) {
        self.metrics.fleet.connects.with_label_values(&["failed"]).inc();
        match error {
            Unreached::Away(why) => self.part(why),
            Unreached::Unfit(why) => self.refuse("unfit", why.clone()),
        }
    }

    fn lose(&self, why: &str) {
        self.metrics.fleet.connects.with_label_values(&["lost"]).inc();
        self.part(why);
    }
}

/// Questions without an answer after which another server is tried.
const MOST_UNANSWERED: u32 = 2;
