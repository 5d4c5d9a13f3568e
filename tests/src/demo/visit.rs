//! One request through the chain, and what each hop wrote of it in its access log; it judges only when asked.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::Value;

use super::caller::{Caller, Unanswered};
use super::hop::Hop;
use super::patience::until;
use super::seen::Seen;
use crate::client::Reply;

/// A request and its answer.
pub struct Visit {
    /// The answer, as the client sees it.
    pub reply: Result<Reply, Unanswered>,
    /// How long it took.
    pub took: Duration,
    /// When the answer was there.
    pub at: Instant,
    /// What each hop that it reached decided, first hop first.
    pub notes: Vec<Note>,
}

/// A decision as the access log has it.
#[derive(Clone)]
pub struct Note {
    /// The hop.
    pub hop: &'static str,
    /// `allow` or `deny`.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// What a denied client may quote.
    pub decision_id: String,
    /// `filter` (from memory, or alone) or `sidecar`.
    pub source: String,
}

impl Visit {
    /// Sends `GET path` as `caller`; `hops` are those on its way.
    pub async fn pay(caller: &mut Caller, hops: &[&Hop], path: &str) -> Self {
        let before: Vec<usize> = hops.iter().map(|hop| hop.envoy.access_log().len()).collect();
        let (reply, took) = match caller.get(path).await {
            Ok((reply, took)) => (Ok(reply), took),
            Err(error) => (Err(error), Duration::ZERO),
        };
        let at = Instant::now();
        let mut notes: Vec<Note> = Vec::new();
        if reply.is_ok() {
            for (hop, before) in hops.iter().zip(before) {
                let Some(note) = Note::of(hop, before, path).await else { break };
                let goes_on = note.allows();
                notes.push(note);
                if !goes_on {
                    break;
                }
            }
        }
        Self { reply, took, at, notes }
    }

    /// The status, if there was an answer.
    pub fn status(&self) -> Option<StatusCode> {
        self.reply.as_ref().ok().map(|reply| reply.status)
    }

    /// The hop that denied it, if one did.
    pub fn denial(&self) -> Option<&Note> {
        self.notes.last().filter(|note| !note.allows())
    }

    /// Whether every hop answered from its filter's memory.
    pub fn is_from_memory(&self) -> bool {
        self.notes.iter().all(|note| note.source == "filter")
    }

    /// In a few words: the status, and who denied it why.
    pub fn words(&self) -> String {
        match (&self.reply, self.denial()) {
            (Err(error), _) => error.to_string(),
            (Ok(reply), None) => reply.status.as_u16().to_string(),
            (Ok(reply), Some(note)) => format!("{} by {}: {}", reply.status.as_u16(), note.hop, note.reason),
        }
    }

    /// As a row, with `more` behind its words.
    fn seen(&self, more: &str) -> Seen {
        Seen::new(self.took, format!("{}{more}", self.words()))
    }

    /// As a row that is as it should be if it was allowed by `hops` hops.
    pub fn allowed(&self, hops: usize, more: &str) -> Seen {
        let ok = self.status() == Some(StatusCode::OK);
        self.seen(if ok { more } else { "" })
            .check(ok, "the status should be 200")
            .check(self.notes.len() == hops, format!("{hops} access logs should have it, {} do", self.notes.len()))
    }

    /// As a row that is as it should be if `hop` denied it for `reason`.
    pub fn denied(&self, hop: &str, reason: &str, more: &str) -> Seen {
        let by_hop = self.denial().is_some_and(|note| note.hop == hop && note.reason == reason);
        self.seen(if by_hop { more } else { "" })
            .check(by_hop, format!("{hop} should have denied it for the reason {reason}"))
    }
}

impl Note {
    /// What the first entry for `path` behind the first `before` says.
    pub async fn of(hop: &Hop, before: usize, path: &str) -> Option<Self> {
        let entry = until(async || hop.envoy.access_log().into_iter().skip(before).find(|entry| entry["path"] == path));
        Self::in_entry(hop.name, &entry.await?)
    }

    fn in_entry(hop: &'static str, entry: &Value) -> Option<Self> {
        // A filter leaves no note of what it allows from memory: it would cost each hit a call.
        if entry["decision"].is_null() && entry["upstream"].is_string() {
            let [verdict, reason, source] = ["allow", "permit", "filter"].map(str::to_owned);
            return Some(Self { hop, verdict, reason, decision_id: String::new(), source });
        }
        let decision: Value = serde_json::from_str(entry["decision"].as_str()?).ok()?;
        let field = |name: &str| decision[name].as_str().unwrap_or_default().to_owned();
        let [verdict, reason, decision_id, source] = ["verdict", "reason", "decision_id", "source"].map(field);
        Some(Self { hop, verdict, reason, decision_id, source })
    }

    fn allows(&self) -> bool {
        self.verdict == "allow"
    }
}
