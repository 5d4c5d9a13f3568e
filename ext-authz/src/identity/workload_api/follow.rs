//! Keeps one stream of the Workload API open, for ever and without haste. What messages mean is not its business.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::Status;

use super::{Failure, schedule::Schedule};

/// What happens on a stream.
#[derive(Debug)]
pub(crate) enum News<M> {
    /// The stream is over, or could not be opened.
    Ended {
        /// Why.
        failure: Failure,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// All that the agent has to say now.
    Message(M),
}

/// Opens a stream with `open`, and again whenever it ends; `tell` hears all of it. Ends only by being dropped.
pub(crate) async fn follow<M, S, O>(
    mut open: impl FnMut() -> O,
    mut random: impl FnMut() -> u8,
    mut tell: impl FnMut(News<M>),
) where
    S: Stream<Item = Result<M, Status>> + Unpin,
    O: Future<Output = Result<S, Failure>>,
{
    let mut schedule = Schedule::default();
    loop {
        let begun = Instant::now();
        let mut delivered = false;
        let failure = listen(open(), begun, |message| {
            delivered = true;
            tell(News::Message(message));
        });
        let failure = failure.await;
        let retry_in = schedule.after(&failure, delivered.then(|| begun.elapsed()), random());
        tell(News::Ended { failure, retry_in });
        sleep(retry_in).await;
    }
}

/// Hears one stream to its end.
async fn listen<M, S>(
    opening: impl Future<Output = Result<S, Failure>>,
    begun: Instant,
    mut take: impl FnMut(M),
) -> Failure
where
    S: Stream<Item = Result<M, Status>> + Unpin,
{
    let first = async {
        let mut stream = opening.await?;
        let message = stream.next().await;
        Ok((stream, message))
    };
    let (mut stream, mut next) = match timeout_at(begun + FIRST_WITHIN, first).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(failure)) => return failure,
        Err(_) => return Failure::silent(),
    };
    // From here on silence is what agents do while nothing changes.
    loop {
        match next {
            Some(Ok(message)) => take(message),
            Some(Err(status)) => return Failure::of(&status),
            None => return Failure::closed(),
        }
        next = stream.next().await;
    }
}

/// Within this the first message must be there: agents send it without delay (Workload API §4.3).
const FIRST_WITHIN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
