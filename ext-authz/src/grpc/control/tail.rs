//! The stream behind `Tail`: from the log where memory does not reach, then from memory; no entry twice, none left out.

use std::sync::Arc;

use authz_core::signal::{Seq, Signal};
use tokio::sync::mpsc;
use tonic::Status;

use super::status;
use crate::{
    signals::{SignalPlane, Tail, TailEnd, convert},
    wire::control::Signal as WireSignal,
};

/// Why a stream is over.
enum End {
    ReaderLeft,
    Failed(Status),
}

/// Sends everything after `cursor` until the reader leaves or the sidecar stops.
pub(super) async fn follow(plane: &SignalPlane, mut cursor: Seq, out: mpsc::Sender<Result<WireSignal, Status>>) {
    let end = loop {
        let step = match plane.subscribe_from(cursor) {
            Ok(tail) => from_memory(tail, &out).await,
            Err(_) => from_log(plane, cursor, &out).await,
        };
        match step {
            Ok(reached) => cursor = reached,
            Err(end) => break end,
        }
    };
    if let End::Failed(status) = end {
        // If the reader is gone too, nobody misses it.
        let _ = out.send(Err(status)).await;
    }
}

/// Goes on until the reader is too slow for what memory holds; returns where.
async fn from_memory(mut tail: Tail, out: &mpsc::Sender<Result<WireSignal, Status>>) -> Result<Seq, End> {
    loop {
        let entries = tokio::select! {
            entries = tail.next() => entries,
            () = out.closed() => return Err(End::ReaderLeft),
        };
        match entries {
            Ok(entries) => {
                for entry in entries {
                    send(out, entry.seq, &entry.signal).await?;
                }
            }
            Err(TailEnd::NotAtHand(cursor)) => return Ok(cursor),
            Err(TailEnd::Closed) => return Err(End::Failed(status::stopping())),
        }
    }
}

async fn from_log(plane: &SignalPlane, after: Seq, out: &mpsc::Sender<Result<WireSignal, Status>>) -> Result<Seq, End> {
    let (log, head) = (Arc::clone(plane.log()), plane.head());
    let read = tokio::task::spawn_blocking(move || log.read_after(after, CHUNK)).await;
    let entries = read
        .map_err(|error| End::Failed(Status::internal(error.to_string())))?
        .map_err(|error| End::Failed(status::of_log(&error)))?;
    // Nothing up to the head: compaction removed all of it.
    let reached = entries.last().map(|(seq, _)| *seq).or_else(|| (head > after).then_some(head));
    for (seq, signal) in &entries {
        send(out, *seq, signal).await?;
    }
    // Memory lacks only what the log has.
    reached.ok_or_else(|| End::Failed(Status::internal(format!("the log ends at {after}, memory goes on behind it"))))
}

async fn send(out: &mpsc::Sender<Result<WireSignal, Status>>, seq: Seq, signal: &Signal) -> Result<(), End> {
    out.send(Ok(convert::to_wire(seq, signal))).await.map_err(|_| End::ReaderLeft)
}

/// Entries read from the disk at a time.
const CHUNK: usize = 512;
