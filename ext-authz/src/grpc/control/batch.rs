//! The streams behind `SubmitBatch`: signals in, results out in the same order; what is in between is bounded.

use std::sync::Arc;

use authz_core::signal::Signal;
use futures_util::FutureExt;
use prost::Message;
use tokio::sync::mpsc;
use tonic::{Code, Status, Streaming};

use super::status;
use crate::{
    clock,
    control::{Tally, UseResult},
    policy::control::{Asked, ControlAction},
    signals::{SignalPlane, SubmitError, convert},
    wire::control::{Refusal, SubmitRequest, SubmitResult, submit_result},
};

/// Takes signals until the sender has no more, or nobody reads the results.
pub(super) async fn run(
    plane: Arc<SignalPlane>,
    mut tally: Tally,
    mut requests: Streaming<SubmitRequest>,
    out: mpsc::Sender<Result<SubmitResult, Status>>,
) {
    let mut position = 0_u64;
    let mut end = None;
    while end.is_none() {
        let chunk;
        (chunk, end) = next_chunk(&mut requests).await;
        // Judging many signals takes its time, in which others are to be served.
        let judging = tokio::task::spawn_blocking(move || {
            let checked: Vec<_> = chunk.into_iter().map(|request| check(&mut tally, request)).collect();
            (tally, checked)
        });
        let Ok((judged, checked)) = judging.await else { return };
        tally = judged;
        for result in submit(&plane, &mut tally, checked).await {
            position = position.saturating_add(1);
            if out.send(Ok(SubmitResult { position, result: Some(result) })).await.is_err() {
                return;
            }
        }
    }
    if let Some(End::Fault(status)) = end {
        // If the reader is gone too, nobody misses it.
        let _ = out.send(Err(status)).await;
    }
}

/// Why nothing more comes: after a fault the stream must not be asked again, what follows is torn out of its middle.
enum End {
    Done,
    Fault(Status),
}

/// The next signal and what has come behind it already, and the end if that has come.
async fn next_chunk(requests: &mut Streaming<SubmitRequest>) -> (Vec<SubmitRequest>, Option<End>) {
    let (mut chunk, mut bytes) = (Vec::new(), 0_usize);
    let mut next = Some(requests.message().await);
    while let Some(message) = next.take() {
        match message {
            Ok(Some(request)) => {
                bytes = bytes.saturating_add(request.encoded_len());
                chunk.push(request);
            }
            Ok(None) => return (chunk, Some(End::Done)),
            Err(status) => return (chunk, Some(End::Fault(status))),
        }
        if chunk.len() < MAX_CHUNK && bytes < MAX_CHUNK_BYTES {
            next = requests.message().now_or_never();
        }
    }
    (chunk, None)
}

fn check(tally: &mut Tally, request: SubmitRequest) -> Result<Signal, Refusal> {
    let position = tally.count_next();
    let signal = convert::from_request(request, &tally.who().to_string(), clock::now()).map_err(|error| {
        tally.misunderstood(error.to_string());
        refusal(&status::of_invalid(error))
    })?;
    match tally.admit(&Asked::Signal { signal: &signal, position }) {
        Ok(()) => Ok(signal),
        Err(error) => Err(refusal(&status::of_not_permitted(error))),
    }
}

/// Puts in force what may be, and says what became of each.
async fn submit(
    plane: &SignalPlane,
    tally: &mut Tally,
    checked: Vec<Result<Signal, Refusal>>,
) -> Vec<submit_result::Result> {
    let permitted = checked.iter().filter_map(|checked| checked.as_ref().ok()).cloned().collect();
    let mut submitted = plane.submit_all(permitted).await.into_iter();
    let mut settle = |checked: Result<Signal, Refusal>| {
        let signal = match checked {
            Ok(signal) => signal,
            Err(refusal) => return submit_result::Result::Refused(refusal),
        };
        let action = ControlAction::of(&signal.action).as_str();
        match submitted.next().unwrap_or(Err(SubmitError::Stopped)) {
            Ok(accepted) => {
                tally.settle(action, UseResult::Allowed);
                submit_result::Result::Accepted(super::to_wire(&accepted))
            }
            Err(error) => {
                tally.settle(action, UseResult::Failed);
                submit_result::Result::Refused(refusal(&status::of_refused(error)))
            }
        }
    };
    checked.into_iter().map(&mut settle).collect()
}

fn refusal(status: &Status) -> Refusal {
    let code = u32::try_from(i32::from(status.code())).unwrap_or(i32::from(Code::Unknown).unsigned_abs());
    Refusal { code, message: status.message().to_owned() }
}

/// Most signals that are under way for one batch, and so share a flush.
const MAX_CHUNK: usize = 512;
/// And their size in bytes, but for the last one.
const MAX_CHUNK_BYTES: usize = 1 << 20;
