//! Who the sidecars of a fleet are, and how far each has a position in force: they tell each other beside the stream. It puts nothing
//! in force, and nothing that is said here is in the log.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_nats::{Client, Message, Subscriber};
use authz_core::signal::Seq;
use futures_util::StreamExt;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::timeout_at};

use super::session::Session;
use crate::{clock, wire::control::SidecarEnforcement};

/// What a sidecar says of itself, every second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The sidecar over its restarts.
    pub instance: String,
    /// This run of it.
    pub run: String,
    /// Its service.
    pub service: String,
    /// For how long it, or a filter of it, may go on without hearing of the log; absent: it has no bound.
    pub bound_ms: Option<u64>,
}

/// How far a position is in force here.
pub type OwnEnforcement = Arc<dyn Fn(Seq) -> SidecarEnforcement + Send + Sync>;

/// The other sidecars, and us among them.
pub struct Members {
    me: Presence,
    own: OwnEnforcement,
    session: watch::Receiver<Option<Arc<Session>>>,
    prefix: String,
    known: Mutex<HashMap<String, Known>>,
}

struct Known {
    presence: Presence,
    heard: Instant,
}

impl Members {
    pub(super) fn new(
        me: Presence,
        own: OwnEnforcement,
        session: watch::Receiver<Option<Arc<Session>>>,
        subject: &str,
    ) -> Self {
        Self { me, own, session, prefix: format!("{subject}.fleet"), known: Mutex::default() }
    }

    /// Says who we are and answers those who ask, over every connection there is, for as long as it is polled.
    pub async fn run(&self) {
        let mut session = self.session.clone();
        loop {
            let current = match session.wait_for(Option::is_some).await {
                Ok(current) => current.clone(),
                // The plane is gone.
                Err(_) => return,
            };
            let Some(current) = current else { continue };
            if let Err(error) = self.attend(&current).await {
                tracing::warn!(%error, "other sidecars of the fleet can't be spoken to");
            }
            tokio::time::sleep(HEARTBEAT).await;
        }
    }

    /// How far `seq` is in force in each of the others. Those that do not answer within a second are told as they were last heard.
    pub async fn ask(&self, seq: Seq) -> Vec<SidecarEnforcement> {
        let session = self.session.borrow().clone();
        let answers = match session {
            Some(session) => self.gather(session.client(), seq).await,
            None => Vec::new(),
        };
        // Our own word comes back to us; if it does not, nothing that was not heard proves anything.
        let heard_ourselves = answers.iter().any(|answer| answer.instance == self.me.run);
        let mut all: Vec<SidecarEnforcement> =
            answers.into_iter().filter(|answer| answer.instance != self.me.run).collect();
        let answered: HashSet<String> = all.iter().map(|answer| answer.instance.clone()).collect();
        all.extend(self.silent(&answered));
        if !heard_ourselves {
            all.push(SidecarEnforcement { service: UNHEARD.to_owned(), ..SidecarEnforcement::default() });
        }
        all.sort_by(|one, other| (&one.service, &one.instance).cmp(&(&other.service, &other.instance)));
        all
    }

    async fn attend(&self, session: &Session) -> Result<(), async_nats::Error> {
        let client = session.client();
        let mut presences = client.subscribe(self.subject("presence")).await?;
        let mut questions = client.subscribe(self.subject("ask")).await?;
        let mut beat = tokio::time::interval(HEARTBEAT);
        loop {
            tokio::select! {
                () = session.lost() => return Ok(()),
                _ = beat.tick() => {
                    let presence = serde_json::to_vec(&self.me)?;
                    client.publish(self.subject("presence"), presence.into()).await?;
                }
                Some(message) = presences.next() => self.hear(&message),
                Some(message) = questions.next() => self.answer(client, message).await?,
                else => return Ok(()),
            }
        }
    }

    fn hear(&self, message: &Message) {
        let Ok(presence) = serde_json::from_slice::<Presence>(&message.payload) else { return };
        if presence.run != self.me.run {
            self.note(presence);
        }
    }

    /// A run that was not known takes the place of earlier runs of its sidecar: two can't hold one log.
    fn note(&self, presence: Presence) {
        let mut known = self.known();
        if !known.contains_key(&presence.run) {
            known.retain(|_, it| it.presence.instance != presence.instance);
        }
        if known.len() < MOST_MEMBERS || known.contains_key(&presence.run) {
            known.insert(presence.run.clone(), Known { presence, heard: Instant::now() });
        }
    }

    async fn answer(&self, client: &Client, question: Message) -> Result<(), async_nats::Error> {
        let (Some(reply), Some(seq)) = (question.reply, number(&question.payload)) else { return Ok(()) };
        let own = (self.own)(seq);
        let Presence { run, service, .. } = self.me.clone();
        let answer = SidecarEnforcement { instance: run, service, reachable: true, ..own };
        client.publish(reply, answer.encode_to_vec().into()).await?;
        Ok(())
    }

    /// Answers of all that are known, and of others that come meanwhile.
    async fn gather(&self, client: &Client, seq: Seq) -> Vec<SidecarEnforcement> {
        let until = tokio::time::Instant::now() + PATIENCE;
        let inbox = client.new_inbox();
        let mut open: HashSet<String> = self.known().keys().cloned().chain([self.me.run.clone()]).collect();
        let mut answers = Vec::new();
        let Ok(mut replies) = client.subscribe(inbox.clone()).await else { return answers };
        let asked = client.publish_with_reply(self.subject("ask"), inbox, seq.0.to_string().into()).await;
        while asked.is_ok() && !open.is_empty() {
            let Ok(Some(answer)) = timeout_at(until, next(&mut replies)).await else { break };
            open.remove(&answer.instance);
            answers.push(answer);
        }
        answers
    }

    /// Those of whom nothing was heard now, until their bound is over: from then on they deny.
    fn silent(&self, answered: &HashSet<String>) -> Vec<SidecarEnforcement> {
        let mut known = self.known();
        let is_over = |it: &Known| bound(it).is_some_and(|bound| it.heard.elapsed() > bound);
        known.retain(|_, it| !is_over(it));
        let silent = known.values().filter(|it| !answered.contains(&it.presence.run));
        silent
            .map(|it| SidecarEnforcement {
                instance: it.presence.run.clone(),
                service: it.presence.service.clone(),
                bound_until_ms: bound(it).map_or(0, |bound| {
                    let left = bound.saturating_sub(it.heard.elapsed());
                    clock::now().saturating_add_millis(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)).as_millis()
                }),
                ..SidecarEnforcement::default()
            })
            .collect()
    }

    fn subject(&self, last: &str) -> String {
        format!("{}.{last}", self.prefix)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        // Every change is complete before anything that could panic.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It may have heard of the log once more after it was last heard itself.
fn bound(known: &Known) -> Option<Duration> {
    known.presence.bound_ms.map(|bound| Duration::from_millis(bound).saturating_add(HEARTBEAT * 2))
}

fn number(payload: &[u8]) -> Option<Seq> {
    std::str::from_utf8(payload).ok()?.parse().ok().map(Seq)
}

async fn next(replies: &mut Subscriber) -> Option<SidecarEnforcement> {
    loop {
        let message = replies.next().await?;
        if let Ok(answer) = SidecarEnforcement::decode(message.payload) {
            return Some(answer);
        }
    }
}

/// How often a sidecar says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long answers are waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// More than any fleet has; beyond, somebody makes them up.
const MOST_MEMBERS: usize = 10_000;
/// Stands for all sidecars, while the servers do not carry what they say to each other.
const UNHEARD: &str =
    "of the fleet, which can't be asked: see whether this sidecar may publish and subscribe to SUBJECT.fleet.>";

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(instance: &str, run: &str, bound_ms: Option<u64>) -> Presence {
        Presence { instance: instance.into(), run: run.into(), service: "orders".into(), bound_ms }
    }

    /// One without any connection.
    fn members() -> Members {
        let own: OwnEnforcement = Arc::new(|_| SidecarEnforcement::default());
        Members::new(presence("me", "me-1", None), own, watch::channel(None).1, "s")
    }

    #[tokio::test]
    async fn who_hears_nobody_proves_nothing() {
        let all = members().ask(Seq(1)).await;
        assert_eq!(all.len(), 1);
        assert!(!all[0].reachable && !all[0].complete && all[0].service.contains("can't be asked"), "{all:?}");
    }

    #[tokio::test]
    async fn who_is_silent_is_told_with_the_end_of_its_bound_until_that_is_over() {
        let members = members();
        members.note(presence("a", "a-1", Some(60_000)));
        members.note(presence("b", "b-1", None));
        members.note(presence("c", "c-1", Some(0)));
        members.known().get_mut("c-1").unwrap().heard -= HEARTBEAT * 3;
        let now = clock::now().as_millis();
        let all = members.ask(Seq(1)).await;
        let bounds: Vec<(&str, u64)> = all.iter().map(|one| (one.instance.as_str(), one.bound_until_ms)).collect();
        assert_eq!(bounds.len(), 3, "the one whose bound is over denies, and nobody answers: {all:?}");
        let bound = |name: &str| bounds.iter().find(|(instance, _)| *instance == name).unwrap().1;
        assert_eq!(bound("b-1"), 0);
        assert!((now + 60_000..now + 72_000).contains(&bound("a-1")), "{all:?}");
        assert!(all.iter().all(|one| !one.complete));
    }

    #[test]
    fn a_new_run_takes_the_place_of_the_old_one() {
        let members = members();
        members.note(presence("a", "a-1", None));
        members.note(presence("b", "b-1", None));
        members.note(presence("a", "a-2", None));
        let runs = |members: &Members| {
            let mut runs: Vec<String> = members.known().keys().cloned().collect();
            runs.sort_unstable();
            runs
        };
        assert_eq!(runs(&members), ["a-2", "b-1"]);
    }
}
