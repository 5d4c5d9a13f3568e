//! Snapshots of the log in an object store beside the stream, so that the stream need not keep what matters no more and who joins late
//! need not read it. A snapshot counts for nothing until the log that takes it has proven it whole.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_nats::jetstream::{
    ErrorCode,
    context::GetStreamErrorKind,
    object_store::{self, ObjectMetadata, ObjectStore},
    stream::StorageType,
};
use authz_core::signal::Seq;

use super::{Shared, follower::StreamId, session::Session, stream::told};
use crate::signals::{Log, LogError, upkeep::STAY};

/// A snapshot in the store.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    /// Of which stream it is.
    stream: StreamId,
    /// Where it ends.
    seq: Seq,
}

impl Kept {
    /// Whether whoever has it can follow `stream` from `first` on.
    pub(super) fn reaches(self, stream: StreamId, first: Seq) -> bool {
        self.stream == stream && self.seq.next() >= first
    }
}

/// Makes snapshots and cuts the stream off when that is worth it, for as long as it is polled.
pub(super) async fn keep(shared: Arc<Shared>) {
    loop {
        // By chance, so that the others of the fleet find the work done.
        tokio::time::sleep(shared.config.check_every.mul_f64(ROUNDS * (0.5 + fastrand::f64()))).await;
        let session = shared.session.borrow().clone();
        if let Some(session) = session.filter(|_| shared.state.borrow().caught_up)
            && let Err(why) = shared.shorten(&session).await
        {
            tracing::warn!(why, "no snapshot of the log of signals could be made");
        }
    }
}

impl Shared {
    async fn shorten(&self, session: &Session) -> Result<(), String> {
        let extent = session.extent().await?;
        let in_stream = (extent.last.0 + 1).saturating_sub(extent.first.0);
        let stored = self.log.stored().map_err(|error| error.to_string())?;
        let worth = in_stream > WORTH && in_stream / 2 > stored;
        let covered = extent.first == Seq(1)
            || session.snapshot().await?.is_some_and(|kept| kept.reaches(extent.stream, extent.first));
        if covered && !worth {
            return Ok(());
        }
        let file = Scratch::beside(&self.log, ".snapshot.out");
        let (log, path) = (Arc::clone(&self.log), file.0.clone());
        let written = tokio::task::spawn_blocking(move || export(&log, &path)).await;
        let seq = written.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        session.keep(&file.0, Kept { stream: extent.stream, seq }, self.config.replicas).await?;
        tracing::info!(seq = seq.0, "made a snapshot of the log of signals");
        let first = Seq(seq.0.saturating_sub(STAY));
        if worth && first > extent.first {
            session.purge_before(first).await?;
            tracing::info!(first = first.0, "cut off the stream of signals before what the snapshot has");
        }
        Ok(())
    }
}

/// Brings `log` to where it can follow the stream, if the stream no longer has what comes next and a snapshot does.
pub(super) async fn load_if_behind(session: &Session, log: &Log) -> Result<(), Unloaded> {
    let extent = session.extent().await?;
    let is_other = log.stream()?.is_some_and(|ours| StreamId(ours) != extent.stream);
    if is_other || log.head().next() >= extent.first {
        return Ok(());
    }
    if !session.snapshot().await?.is_some_and(|kept| kept.reaches(extent.stream, extent.first)) {
        return Ok(());
    }
    let file = Scratch::beside(log, ".snapshot.in");
    session.fetch(&file.0).await?;
    let read = fs::File::open(&file.0).map_err(|error| log.unusable(error))?;
    let head = log.import(io::BufReader::new(read))?;
    tracing::info!(head = head.0, "loaded a snapshot of the log of signals");
    Ok(log.bind(extent.stream.0)?)
}

/// Why a snapshot could not be loaded.
pub(super) enum Unloaded {
    /// The log does not take it.
    Log(LogError),
    /// It could not be had.
    Stream(String),
}

impl From<LogError> for Unloaded {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<String> for Unloaded {
    fn from(why: String) -> Self {
        Self::Stream(why)
    }
}

impl Session {
    /// The snapshot there is.
    pub(super) async fn snapshot(&self) -> Result<Option<Kept>, String> {
        let Some(store) = self.store().await? else { return Ok(None) };
        match store.info(OBJECT).await {
            Ok(info) => Ok(read(&info.metadata).filter(|_| !info.deleted)),
            Err(error) if error.kind() == object_store::InfoErrorKind::NotFound => Ok(None),
            Err(error) => Err(told(&error)),
        }
    }

    /// Writes it to `path`; its digest is checked on the way.
    async fn fetch(&self, path: &Path) -> Result<(), String> {
        let store = self.store().await?.ok_or("the snapshot is gone")?;
        let mut object = store.get(OBJECT).await.map_err(|error| told(&error))?;
        let mut file = tokio::fs::File::create(path).await.map_err(|error| error.to_string())?;
        copied(tokio::io::copy(&mut object, &mut file)).await?;
        file.sync_all().await.map_err(|error| error.to_string())
    }

    /// Puts the file at `path` in place of the snapshot, and reads it back: it must be there before anything leaves the stream.
    async fn keep(&self, path: &Path, kept: Kept, replicas: u8) -> Result<(), String> {
        let store = match self.store().await? {
            Some(store) => store,
            None => self.make_store(replicas).await?,
        };
        let mut file = tokio::fs::File::open(path).await.map_err(|error| error.to_string())?;
        let metadata = ObjectMetadata { name: OBJECT.to_owned(), metadata: write(kept), ..ObjectMetadata::default() };
        let put = store.put(metadata, &mut file).await.map_err(|error| told(&error))?;
        let mut object = store.get(OBJECT).await.map_err(|error| told(&error))?;
        if object.info().nuid != put.nuid {
            return Err("another sidecar has just made one".to_owned());
        }
        copied(tokio::io::copy(&mut object, &mut tokio::io::sink())).await
    }

    async fn purge_before(&self, seq: Seq) -> Result<(), String> {
        self.stream.purge().sequence(seq.0).await.map(drop).map_err(|error| told(&error))
    }

    async fn store(&self) -> Result<Option<ObjectStore>, String> {
        let bucket = self.bucket();
        match self.context.get_stream(format!("OBJ_{bucket}")).await.map_err(|error| (error.kind(), error)) {
            Ok(_) => self.context.get_object_store(bucket).await.map(Some).map_err(|error| told(&error)),
            Err((GetStreamErrorKind::JetStream(error), _)) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                Ok(None)
            }
            Err((_, error)) => Err(told(&error)),
        }
    }

    async fn make_store(&self, replicas: u8) -> Result<ObjectStore, String> {
        let config = object_store::Config {
            bucket: self.bucket(),
            description: Some("Snapshots of Countersign's signals".to_owned()),
            storage: StorageType::File,
            num_replicas: replicas.into(),
            ..object_store::Config::default()
        };
        self.context.create_object_store(config).await.map_err(|error| told(&error))
    }

    fn bucket(&self) -> String {
        format!("{}-snapshots", self.name)
    }
}

async fn copied(copy: impl Future<Output = io::Result<u64>>) -> Result<(), String> {
    let copied = tokio::time::timeout(PATIENCE, copy).await;
    copied.map_err(|_| "the snapshot does not come".to_owned())?.map(drop).map_err(|error| error.to_string())
}

fn export(log: &Log, path: &Path) -> Result<Seq, LogError> {
    let file = fs::File::create(path).map_err(|error| log.unusable(error))?;
    log.export(io::BufWriter::new(file))
}

fn write(Kept { stream, seq }: Kept) -> HashMap<String, String> {
    [("stream", stream.0), ("seq", seq.0)].map(|(name, value)| (name.to_owned(), value.to_string())).into()
}

fn read(metadata: &HashMap<String, String>) -> Option<Kept> {
    let number = |name: &str| metadata.get(name)?.parse().ok();
    Some(Kept { stream: StreamId(number("stream")?), seq: Seq(number("seq")?) })
}

/// A file beside the log that goes when this does.
struct Scratch(PathBuf);

impl Scratch {
    fn beside(log: &Log, suffix: &str) -> Self {
        let mut name = log.path().as_os_str().to_owned();
        name.push(suffix);
        Self(name.into())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // One that was never made, or stays, does no harm.
        let _ = fs::remove_file(&self.0);
    }
}

/// Between two looks at the stream, in questions to it.
const ROUNDS: f64 = 60.0;
/// A stream with fewer entries is read from its start soon enough.
const WORTH: u64 = 4 * STAY;
const PATIENCE: Duration = Duration::from_mins(2);
const OBJECT: &str = "signals";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_helps_only_with_its_own_stream_and_if_nothing_is_missing_behind_it() {
        let kept = Kept { stream: StreamId(7), seq: Seq(10) };
        assert_eq!(read(&write(kept)), Some(kept));
        for (stream, first, expected) in [(7, 11, true), (7, 5, true), (7, 12, false), (8, 5, false)] {
            assert_eq!(kept.reaches(StreamId(stream), Seq(first)), expected, "{stream} {first}");
        }
        assert_eq!(read(&HashMap::from([("seq".to_owned(), "x".to_owned())])), None);
    }
}
