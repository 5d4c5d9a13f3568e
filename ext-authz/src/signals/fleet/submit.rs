//! The way of a signal into the stream and back: published once by ID, then durable and in force here, then answered.

use std::{sync::Arc, time::Duration};

use authz_core::signal::{Outcome, Seq, Signal};
use tokio::time::Instant;

use super::{
    Entry, Shared,
    follower::Found,
    session::{Session, Unpublished},
};
use crate::signals::{Accepted, LogError, SubmitError, log::Appended};

/// Where a signal stands in the stream.
pub(super) struct Placed {
    seq: Seq,
    /// The signal that had its ID before, if it is not this very one.
    first: Option<Entry>,
}

impl Shared {
    /// Makes `signal` durable in the stream and here, and puts it in force here.
    pub(super) async fn submit(&self, signal: Signal) -> Result<Accepted, SubmitError> {
        let deadline = Instant::now() + self.config.timeout;
        let signal = Arc::new(signal);
        if let Some(known) = self.known(&signal, deadline).await? {
            return known;
        }
        loop {
            let placed = self.place(&signal, deadline).await?;
            if let Some(accepted) = self.settle(&signal, placed, deadline).await? {
                return Ok(accepted);
            }
        }
    }

    /// The same for many, whose order is kept where it matters: among signals about one scope.
    pub(super) async fn submit_all(&self, signals: Vec<Signal>) -> Vec<Result<Accepted, SubmitError>> {
        use futures_util::StreamExt;

        let mut results = Vec::with_capacity(signals.len());
        for run in runs(signals) {
            let placed = run.into_iter().map(|signal| self.submit(signal));
            results.extend(futures_util::stream::iter(placed).buffered(MOST_AT_ONCE).collect::<Vec<_>>().await);
        }
        results
    }

    /// What our replica says of it, if it has it.
    async fn known(
        &self,
        signal: &Arc<Signal>,
        deadline: Instant,
    ) -> Result<Option<Result<Accepted, SubmitError>>, SubmitError> {
        if let Some(why) = self.state.borrow().refused.clone() {
            return Err(self.unavailable(format!("the stream is refused: {why}")));
        }
        let Some(known) = self.look_up(signal).await? else { return Ok(None) };
        if let Ok(known) = &known {
            // It may have come to the disk just now, and is in force a moment later.
            self.in_force(known.seq, deadline).await?;
        }
        Ok(Some(known.map(|it| accepted(it, true)).map_err(SubmitError::from)))
    }

    /// Publishes until the stream has it, or has something else of that ID.
    async fn place(&self, signal: &Arc<Signal>, deadline: Instant) -> Result<Placed, SubmitError> {
        let mut tried = false;
        let mut why = String::new();
        loop {
            let Some(session) = self.session(deadline).await else {
                return Err(self.unavailable(self.why_not(why)));
            };
            match within(deadline, session.publish(signal, None)).await {
                Some(Ok(seq)) => return Ok(Placed { seq, first: None }),
                Some(Err(Unpublished::Taken)) => match self.taken(&session, signal, tried).await {
                    Ok(Some(placed)) => return placed,
                    Ok(None) => {}
                    Err(error) => why = error,
                },
                Some(Err(Unpublished::Failed(error))) => why = error,
                None => return Err(self.unavailable(self.why_not(why))),
            }
            tried = true;
            self.metrics.fleet_publish_retries.inc();
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    /// What has its ID: the signal itself, if an acknowledgement was lost, or one that was sent before.
    async fn taken(
        &self,
        session: &Session,
        signal: &Arc<Signal>,
        tried: bool,
    ) -> Result<Option<Result<Placed, SubmitError>>, String> {
        let Some((seq, found)) = session.look_for(&signal.id).await? else { return Ok(None) };
        let Found::Entry(first) = found else {
            return Ok(Some(Err(self.unavailable(format!("what has its id in the stream, at {seq}, can't be read")))));
        };
        if *first == **signal && tried {
            return Ok(Some(Ok(Placed { seq, first: None })));
        }
        let appended = Appended { seq, signal: Signal::clone(&first), known: true };
        if (Signal { at: first.at, ..Signal::clone(signal) }) != *first {
            return Ok(Some(Err(LogError::conflict(&appended).into())));
        }
        Ok(Some(Ok(Placed { seq, first: Some(first) })))
    }

    /// Waits until it is in force here; nothing, if the stream has lost it again.
    async fn settle(
        &self,
        signal: &Arc<Signal>,
        Placed { seq, first }: Placed,
        deadline: Instant,
    ) -> Result<Option<Accepted>, SubmitError> {
        self.in_force(seq, deadline).await?;
        if let Some(first) = first {
            return Ok(Some(Accepted { seq, signal: first, known: true, outcome: Outcome::Unchanged }));
        }
        let Some(found) = self.look_up(signal).await? else { return Ok(None) };
        let found = found?;
        let outcome = self.ring.outcome(found.seq).unwrap_or(Outcome::Unchanged);
        let known = found.signal.at != signal.at;
        Ok(Some(Accepted { outcome, ..accepted(found, known) }))
    }

    async fn in_force(&self, seq: Seq, deadline: Instant) -> Result<(), SubmitError> {
        let mut written = self.written.subscribe();
        match within(deadline, written.wait_for(|head| *head >= seq)).await {
            Some(Ok(_)) => Ok(()),
            _ => Err(self.unavailable(self.why_not(format!("it stands at {seq} and is not yet in force here")))),
        }
    }

    async fn look_up(&self, signal: &Arc<Signal>) -> Result<Option<Result<Appended, LogError>>, SubmitError> {
        let (log, signal) = (Arc::clone(&self.log), Arc::clone(signal));
        let known = tokio::task::spawn_blocking(move || log.known(&signal)).await;
        Ok(known.map_err(|_| SubmitError::Stopped)??)
    }

    async fn session(&self, deadline: Instant) -> Option<Arc<Session>> {
        let mut session = self.session.subscribe();
        let found = within(deadline, session.wait_for(Option::is_some)).await?;
        found.ok()?.clone()
    }

    fn why_not(&self, why: String) -> String {
        let state = self.state.borrow();
        match (&state.refused, &state.trouble) {
            (Some(refused), _) => format!("the stream is refused: {refused}"),
            (None, Some(trouble)) => trouble.clone(),
            (None, None) if why.is_empty() => "the servers do not answer in time".to_owned(),
            (None, None) => why,
        }
    }

    fn unavailable(&self, why: String) -> SubmitError {
        SubmitError::Unavailable { stream: self.config.stream.as_str().into(), why: why.into() }
    }
}

async fn within<T>(deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout_at(deadline, work).await.ok()
}

fn accepted(Appended { seq, signal, .. }: Appended, known: bool) -> Accepted {
    Accepted { seq, signal: Arc::new(signal), known, outcome: Outcome::Unchanged }
}

/// Cuts a batch so that no part speaks of a scope twice.
fn runs(signals: Vec<Signal>) -> Vec<Vec<Signal>> {
    let mut runs: Vec<Vec<Signal>> = vec![Vec::new()];
    let mut scopes = std::collections::HashSet::new();
    for signal in signals {
        if !scopes.insert(signal.scope.clone()) {
            scopes.clear();
            scopes.insert(signal.scope.clone());
            runs.push(Vec::new());
        }
        if let Some(run) = runs.last_mut() {
            run.push(signal);
        }
    }
    runs
}

const RETRY_AFTER: Duration = Duration::from_millis(50);
/// Signals of a batch that are under way together.
const MOST_AT_ONCE: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::fleet::tests::signal_about;

    #[test]
    fn a_batch_is_cut_where_a_scope_comes_again_and_keeps_its_order() {
        let batch = ["a", "b", "a", "c", "a", "a"].iter().enumerate();
        let batch: Vec<_> =
            batch.map(|(at, device)| signal_about(&at.to_string(), &format!("device:{device}"))).collect();
        let ids = |run: &Vec<Signal>| run.iter().map(|it| it.id.to_string()).collect::<String>();
        assert_eq!(runs(batch).iter().map(ids).collect::<Vec<_>>(), ["01", "23", "4", "5"]);
    }
}
