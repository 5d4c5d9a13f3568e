//! What is on its way to one filter: a bounded queue between its watch and its connection, which can be emptied although nobody
//! reads. It encodes nothing and knows no protocol.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures_util::Stream;
use tokio::sync::Notify;
use tonic::Status;

use crate::{filters::session::MAX_INVALIDATIONS, wire::link::Update};

/// The end that is written to. Its drop ends the stream after what waits.
pub struct Outbox(Arc<Shared>);

/// The end that the connection reads from.
pub struct Outgoing(Arc<Shared>);

/// The reader is gone.
#[derive(Copy, Clone, Debug)]
pub struct Gone;

struct Shared {
    queue: Mutex<Queue>,
    // Rings when there is room, or the reader is gone.
    moved: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Update>,
    weight: usize,
    end: Option<End>,
    reader: Option<Waker>,
    is_gone: bool,
}

enum End {
    Error(Status),
    Silence,
}

/// What may wait, in invalidations: 200 bytes each, or so.
const ROOM: usize = 4 * MAX_INVALIDATIONS;

/// An empty queue.
pub fn outbox() -> (Outbox, Outgoing) {
    let shared = Arc::new(Shared { queue: Mutex::default(), moved: Notify::new() });
    (Outbox(Arc::clone(&shared)), Outgoing(shared))
}

impl Outbox {
    /// Adds a message once there is room for it. Nothing is lost or sent if the wait is given up.
    pub async fn push(&self, update: Update) -> Result<(), Gone> {
        let mut update = Some(update);
        loop {
            // One writer: a ring before the wait is kept for it.
            let moved = self.0.moved.notified();
            {
                let mut queue = self.0.lock();
                if queue.is_gone {
                    return Err(Gone);
                }
                update = queue.offer(update);
                if update.is_none() {
                    return Ok(());
                }
            }
            moved.await;
        }
    }

    /// Ends the stream with `status` after what waits.
    pub fn refuse(self, status: Status) {
        self.0.lock().finish(End::Error(status));
    }

    /// Drops what waits and ends the stream with `status`, should the reader ever get so far.
    pub fn cut(self, status: Status) {
        let mut queue = self.0.lock();
        queue.waiting = VecDeque::new();
        queue.finish(End::Error(status));
    }

    /// Waits until the reader is gone.
    pub async fn closed(&self) {
        loop {
            let moved = self.0.moved.notified();
            if self.0.lock().is_gone {
                return;
            }
            moved.await;
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.0.lock().finish(End::Silence);
    }
}

impl Stream for Outgoing {
    type Item = Result<Update, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut queue = self.0.lock();
        if let Some(update) = queue.waiting.pop_front() {
            queue.weight = queue.weight.saturating_sub(weight(&update));
            drop(queue);
            self.0.moved.notify_one();
            return Poll::Ready(Some(Ok(update)));
        }
        match queue.end.replace(End::Silence) {
            Some(End::Error(status)) => Poll::Ready(Some(Err(status))),
            Some(End::Silence) => Poll::Ready(None),
            None => {
                queue.end = None;
                queue.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.is_gone = true;
        queue.waiting = VecDeque::new();
        drop(queue);
        self.0.moved.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Every change is complete before anything that could panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Takes the message, or gives it back if there is no room for it now; one alone always has room.
    fn offer(&mut self, update: Option<Update>) -> Option<Update> {
        let weight = update.as_ref().map_or(0, weight);
        if self.weight > 0 && self.weight.saturating_add(weight) > ROOM {
            return update;
        }
        self.weight = self.weight.saturating_add(weight);
        self.waiting.extend(update);
        self.wake();
        None
    }

    fn finish(&mut self, end: End) {
        if self.end.is_none() {
            self.end = Some(end);
            self.wake();
        }
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

fn weight(update: &Update) -> usize {
    update.invalidations.len().saturating_add(8)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::StreamExt;
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn update(seq: u64) -> Update {
        Update { seq, ..Update::default() }
    }

    /// Writes until there is no more room; returns how many messages waited then.
    async fn fill(outbox: &Outbox) -> u64 {
        let mut seq = 0;
        while timeout(Duration::from_millis(50), outbox.push(update(seq))).await.is_ok() {
            seq += 1;
        }
        seq
    }

    #[tokio::test]
    async fn messages_come_in_order_and_the_end_after_them() {
        let (outbox, outgoing) = outbox();
        for seq in 0..3 {
            outbox.push(update(seq)).await.unwrap();
        }
        outbox.refuse(Status::aborted("enough"));
        let read: Vec<_> = outgoing.map(|it| it.map(|it| it.seq).map_err(|it| it.code())).collect().await;
        assert_eq!(read, [Ok(0), Ok(1), Ok(2), Err(tonic::Code::Aborted)]);
    }

    #[tokio::test]
    async fn a_writer_waits_for_room_and_goes_on_when_there_is_some() {
        let (outbox, mut outgoing) = outbox();
        let filled = fill(&outbox).await;
        assert!(filled > 10 && filled < 10_000, "{filled}");
        let more = tokio::spawn(async move {
            let pushed = outbox.push(update(filled)).await;
            (outbox, pushed)
        });
        assert_eq!(outgoing.next().await.unwrap().unwrap().seq, 0);
        let (outbox, pushed) = timeout(LONG, more).await.unwrap().unwrap();
        pushed.unwrap();
        drop(outbox);
        assert_eq!(outgoing.count().await, usize::try_from(filled).unwrap());
    }

    #[tokio::test]
    async fn a_cut_frees_what_waits_though_nobody_reads() {
        let (outbox, outgoing) = outbox();
        fill(&outbox).await;
        let shared = Arc::clone(&outbox.0);
        outbox.cut(Status::resource_exhausted("too slow"));
        assert_eq!(shared.lock().waiting.capacity(), 0);
        let read: Vec<_> = outgoing.map(|it| it.map_err(|it| it.code())).collect().await;
        assert_eq!(read, [Err(tonic::Code::ResourceExhausted)]);
    }

    #[tokio::test]
    async fn a_reader_that_goes_is_noticed_by_a_writer_that_waits() {
        let (outbox, outgoing) = outbox();
        fill(&outbox).await;
        let waiting = tokio::spawn(async move { (outbox.push(update(0)).await.is_err(), outbox.closed().await) });
        drop(outgoing);
        assert!(timeout(LONG, waiting).await.unwrap().unwrap().0);
    }
}
