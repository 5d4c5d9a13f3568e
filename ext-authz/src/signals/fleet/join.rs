//! Brings the signals of a log into the stream before the log becomes its replica, so that joining a fleet un-revokes nothing.
//!
//! Into an empty stream they go at their own positions, checked by the server, so that several sidecars can do it at once, and anybody
//! can go on after a crash. Into a stream with another past they go by ID and with the time at which they were accepted,
//! so that a restore of long ago lifts nothing newer; the log is then rewritten in the stream's order.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use authz_core::signal::{Seq, Signal};
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::{
    follower::Found,
    session::{Session, Unpublished, Unreached},
};
use crate::{
    config::NatsConfig,
    signals::{Log, LogError},
};

/// Why a log can't become the replica of a stream.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The log itself.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The stream.
    #[error(
        "signals.log holds {head} signals that must enter the stream {stream} first, and that fails: {why}; mend that, then start again"
    )]
    Stream {
        /// Its name.
        stream: String,
        /// The end of our log.
        head: Seq,
        /// What goes wrong.
        why: String,
    },
}

/// Makes `log` fit to follow the stream. A replica stays as it is, unless it is to be imported; a log of its own is imported.
pub async fn join(log: &Log, config: &NatsConfig) -> Result<(), JoinError> {
    if log.head() == Seq(0) || (log.stream()?.is_some() && !config.import) {
        return Ok(());
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt(log, config).await {
            Ok(()) => return Ok(()),
            Err(Trouble::Log(error)) => return Err(error.into()),
            Err(Trouble::Away(why)) if Instant::now() < deadline => {
                tracing::warn!(why, stream = %config.stream, "the signals of this log can't enter the stream yet");
                tokio::time::sleep(RETRY_AFTER).await;
            }
            Err(Trouble::Away(why) | Trouble::Unfit(why)) => {
                return Err(JoinError::Stream { stream: config.stream.clone(), head: log.head(), why });
            }
        }
    }
}

enum Trouble {
    Away(String),
    Log(LogError),
    Unfit(String),
}

impl From<LogError> for Trouble {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Self::Away(why)
    }
}

impl From<Unreached> for Trouble {
    fn from(error: Unreached) -> Self {
        match error {
            Unreached::Away(why) => Self::Away(why),
            Unreached::Unfit(why) => Self::Unfit(why.to_string()),
        }
    }
}

async fn attempt(log: &Log, config: &NatsConfig) -> Result<(), Trouble> {
    let session = Session::open(config, false).await?;
    if continues(&session, log).await? {
        tracing::info!(head = log.head().0, stream = %config.stream, "the log is the beginning of the stream");
    } else {
        merge(&session, log).await?;
        rewrite(&session, log).await?;
        tracing::info!(head = log.head().0, stream = %config.stream, "the signals of this log are in the stream, in its order");
    }
    log.bind(session.extent().await?.stream.0)?;
    Ok(())
}

/// Publishes the rest of the log if the stream is its beginning; whether the log is the beginning of the stream then.
async fn continues(session: &Session, log: &Log) -> Result<bool, Trouble> {
    let (base, head) = (log.base()?, log.head());
    loop {
        let end = session.extent().await?.last;
        let common = end.min(head);
        if common < base || !stands_alike(session, log, common).await? {
            return Ok(false);
        }
        if end >= head {
            return Ok(true);
        }
        let part = log.read_after(end, MOST_AT_ONCE)?;
        let consecutive = part.iter().zip(end.0 + 1..).all(|((seq, _), expected)| seq.0 == expected);
        if !consecutive || part.is_empty() {
            return Ok(false);
        }
        let sent = part.iter().map(|(seq, signal)| session.publish(signal, Some(Seq(seq.0.saturating_sub(1)))));
        for result in stream::iter(sent).buffered(MOST_AT_ONCE).collect::<Vec<_>>().await {
            match result {
                // Another sidecar does the same, or somebody signals: look again.
                Ok(_) | Err(Unpublished::Taken) => {}
                Err(Unpublished::Failed(why)) => return Err(why.into()),
            }
        }
    }
}

async fn stands_alike(session: &Session, log: &Log, seq: Seq) -> Result<bool, Trouble> {
    if seq == Seq(0) {
        return Ok(true);
    }
    let ours = log.read_after(Seq(seq.0.saturating_sub(1)), 1)?.into_iter().find(|(at, _)| *at == seq);
    let theirs = session.look_at(seq).await?;
    Ok(ours.is_some_and(|(_, ours)| theirs == Found::Entry(Arc::new(ours))))
}

/// Publishes what the stream does not have, as something that happened when it was accepted.
async fn merge(session: &Session, log: &Log) -> Result<(), Trouble> {
    let mut after = Seq(0);
    loop {
        let part = log.read_after(after, MOST_AT_ONCE)?;
        let Some((last, _)) = part.last() else { return Ok(()) };
        after = *last;
        let dated =
            part.into_iter().map(|(_, signal)| Signal { event_at: signal.event_at.or(Some(signal.at)), ..signal });
        let dated: Vec<_> = dated.collect();
        let sent = dated.iter().map(|signal| session.publish(signal, None));
        for result in stream::iter(sent).buffered(MOST_AT_ONCE).collect::<Vec<_>>().await {
            match result {
                Ok(_) | Err(Unpublished::Taken) => {}
                Err(Unpublished::Failed(why)) => return Err(why.into()),
            }
        }
    }
}

/// Writes the log anew in the stream's order, beside it first, then in its place.
async fn rewrite(session: &Session, log: &Log) -> Result<(), Trouble> {
    let aside = Aside::beside(log);
    aside.remove();
    let copy = Log::open(&aside.log)?;
    let end = session.extent().await?.last;
    let mut flow = session.consume(Seq(0)).await?;
    while copy.head() < end {
        let came = tokio::time::timeout(PATIENCE, flow.next()).await.map_err(|_| "no entry comes".to_owned())??;
        let mut entries = Vec::with_capacity(came.len());
        for (seq, signal) in came {
            let signal = signal.ok_or_else(|| Trouble::Unfit(format!("what stands at {seq} is no signal")))?;
            entries.push((seq, Arc::unwrap_or_clone(signal)));
        }
        copy.append_at(entries)?;
    }
    let trouble = |error: io::Error| Trouble::Log(log.unusable(error));
    let file = fs::File::create(&aside.snapshot).map_err(trouble)?;
    copy.export(io::BufWriter::new(file))?;
    let file = fs::File::open(&aside.snapshot).map_err(trouble)?;
    log.supplant(io::BufReader::new(file))?;
    drop(copy);
    aside.remove();
    Ok(())
}

/// Files beside the log, which are of no use to anybody else.
struct Aside {
    log: PathBuf,
    snapshot: PathBuf,
}

impl Aside {
    fn beside(log: &Log) -> Self {
        let named = |suffix: &str| {
            let mut name = log.path().as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        Self { log: named(".joining"), snapshot: named(".joining.snapshot") }
    }

    fn remove(&self) {
        let mut witness = self.log.as_os_str().to_owned();
        witness.push(".head");
        for path in [self.log.as_path(), self.snapshot.as_path(), witness.as_ref()] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, path = %path.display(), "can't be removed");
                }
                _ => {}
            }
        }
    }
}

/// How long to wait for servers that are still starting.
const PATIENCE: Duration = Duration::from_secs(30);
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Signals that are under way together.
const MOST_AT_ONCE: usize = 256;
