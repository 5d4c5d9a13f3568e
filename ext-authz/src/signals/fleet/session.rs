//! One connection to the stream, from its making to its loss: questions, entries and publications go through here. It decides nothing.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_nats::{
    Client, Event,
    jetstream::{
        self, ErrorCode,
        consumer::{DeliverPolicy, pull},
        context::{ContextBuilder, PublishErrorKind},
        message::PublishMessage,
        stream::{LastRawMessageErrorKind, Stream},
    },
};
use authz_core::signal::{Seq, Signal};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;

use super::{
    Entry, Refused, entry,
    follower::{Answer, Found, Question, StreamId},
    login,
    stream::{self, told},
};
use crate::config::NatsConfig;

/// A connection to a stream that is fit.
pub(super) struct Session {
    client: Client,
    pub(super) context: jetstream::Context,
    pub(super) stream: Stream<()>,
    pub(super) name: String,
    prefix: String,
    lost: watch::Receiver<bool>,
    complaint: Complaint,
}

/// Entries as they come in, in the stream's order.
pub(super) struct Flow(pull::Ordered);

/// From where to where a stream reaches.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Extent {
    /// Which stream it is.
    pub(super) stream: StreamId,
    /// Its first position that was not purged; one more than `last` if it is empty.
    pub(super) first: Seq,
    /// Its last position.
    pub(super) last: Seq,
}

/// Why there is no connection.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Unreached {
    /// Nobody answers; that passes.
    #[error("{0}")]
    Away(String),
    /// Somebody has to change something.
    #[error(transparent)]
    Unfit(#[from] Refused),
}

/// Why a publication brought no position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Unpublished {
    /// It may be in the stream or not.
    Failed(String),
    /// Something stands where it wants to be.
    Taken,
}

/// The last thing the server complained about.
type Complaint = Arc<Mutex<Option<String>>>;

impl Session {
    /// Connects to one of the servers and makes sure of the stream, which is not made anew if it `has_been` there.
    pub(super) async fn open(config: &NatsConfig, has_been: bool) -> Result<Self, Unreached> {
        let (ended, lost) = watch::channel(false);
        let complaint = Complaint::default();
        let heard = Arc::clone(&complaint);
        let options = login::options(config)?.event_callback(move |event| {
            note(&event, &ended, &heard);
            std::future::ready(())
        });
        let client = options.connect(&config.servers[..]).await.map_err(|error| {
            let servers: Vec<&str> = config.servers.iter().map(async_nats::ServerAddr::as_url_str).collect();
            Unreached::Away(format!("none of {} can be reached: {}", servers.join(", "), told(&error)))
        })?;
        let context = ContextBuilder::new()
            .timeout(REQUEST_TIMEOUT)
            .ack_timeout(ACK_TIMEOUT)
            .max_ack_inflight(MOST_IN_FLIGHT)
            .backpressure_on_inflight(true)
            .build(client.clone());
        stream::ensure(&context, config, has_been).await?;
        let stream = context.get_stream_no_info(&config.stream).await;
        let stream = stream.map_err(|error| Unreached::Away(told(&error)))?;
        let (name, prefix) = (config.stream.clone(), config.subject.clone());
        Ok(Self { client, context, stream, name, prefix, lost, complaint })
    }

    /// For what is said beside the stream.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Waits until the connection is lost.
    pub(super) async fn lost(&self) {
        // A sender that is gone means that the client is.
        let _ = self.lost.clone().wait_for(|lost| *lost).await;
    }

    /// What the server last complained about, such as a right that is missing.
    pub(super) fn complaint(&self) -> Option<String> {
        self.complaint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the stream how it stands.
    pub(super) async fn ask(&self, question: Question<Entry>) -> Result<Answer<Entry, Instant>, String> {
        let asked = Instant::now();
        let Extent { stream, first, last } = self.extent().await?;
        let (at, next) = (question.head, question.head.next());
        let holds = |seq: Seq| seq > Seq(0) && first <= seq && seq <= last;
        let found = if holds(at) { self.look_at(at).await? } else { Found::Nothing };
        let next = if holds(next) { self.look_at(next).await? } else { Found::Nothing };
        Ok(Answer { question, asked, stream, first, last, found, next })
    }

    /// From where to where the stream reaches.
    pub(super) async fn extent(&self) -> Result<Extent, String> {
        let info = self.stream.get_info().await.map_err(|error| told(&error))?;
        let last = Seq(info.state.last_sequence);
        let first = if info.state.messages == 0 { last.next() } else { Seq(info.state.first_sequence.max(1)) };
        let stream = StreamId(u64::try_from(info.created.unix_timestamp_nanos()).unwrap_or(0));
        Ok(Extent { stream, first, last })
    }

    /// What stands at `seq`.
    pub(super) async fn look_at(&self, seq: Seq) -> Result<Found<Entry>, String> {
        match self.stream.get_raw_message(seq.0).await {
            Ok(message) => Ok(read(seq, &message.payload)),
            Err(error) => nothing_or(&error),
        }
    }

    /// The last signal of this ID, with its position.
    pub(super) async fn look_for(&self, id: &str) -> Result<Option<(Seq, Found<Entry>)>, String> {
        match self.stream.get_last_raw_message_by_subject(&entry::subject(&self.prefix, id)).await {
            Ok(message) => {
                let seq = Seq(message.sequence);
                Ok(Some((seq, read(seq, &message.payload))))
            }
            Err(error) => nothing_or(&error).map(|_| None),
        }
    }

    /// Lets the entries after `after` come.
    pub(super) async fn consume(&self, after: Seq) -> Result<Flow, String> {
        let config = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after.next().0 },
            ..pull::OrderedConfig::default()
        };
        let consumer = self.stream.create_consumer(config).await.map_err(|error| told(&error))?;
        consumer.messages().await.map(Flow).map_err(|error| told(&error))
    }

    /// Puts `signal` into the stream, if no other of its ID is there; if `after` is given, if it comes right after that
    /// position instead.
    ///
    /// When it returns a position, the servers have it; whether they lose it if all of them lose power at once is theirs.
    pub(super) async fn publish(&self, signal: &Signal, after: Option<Seq>) -> Result<Seq, Unpublished> {
        let message = PublishMessage::build().payload(entry::to_bytes(signal).into()).expected_stream(&self.name);
        let message = match after {
            Some(after) => message.expected_last_sequence(after.0),
            None => message.expected_last_subject_sequence(0),
        };
        let acked = match self.context.send_publish(entry::subject(&self.prefix, &signal.id), message).await {
            Ok(acked) => acked.await,
            Err(error) => Err(error),
        };
        acked.map(|ack| Seq(ack.sequence)).map_err(|error| match error.kind() {
            PublishErrorKind::WrongLastSequence => Unpublished::Taken,
            _ => Unpublished::Failed(self.complaint().map_or(told(&error), |it| format!("{}: {it}", told(&error)))),
        })
    }
}

impl Flow {
    /// What has come since; waits for it. Nothing is lost if the wait is given up.
    pub(super) async fn next(&mut self) -> Result<Vec<(Seq, Option<Entry>)>, String> {
        let mut batch = Vec::new();
        let mut message = self.0.next().await;
        loop {
            let entry = message.ok_or("the flow of entries ended")?.map_err(|error| told(&error))?;
            let seq = Seq(entry.info().map_err(|error| error.to_string())?.stream_sequence);
            batch.push((seq, entry::from_bytes(seq, &entry.payload).map(Arc::new)));
            // No wait from here on, so that nothing taken out is dropped.
            message = match self.0.next().now_or_never() {
                Some(message) if batch.len() < MOST_AT_ONCE => message,
                _ => return Ok(batch),
            };
        }
    }
}

fn note(event: &Event, lose: &watch::Sender<bool>, complaint: &Complaint) {
    match event {
        Event::Closed | Event::Disconnected => drop(lose.send_replace(true)),
        Event::ServerError(error) => {
            tracing::warn!(%error, "a NATS server complains");
            *complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        }
        Event::SlowConsumer(_) => tracing::warn!("entries of the stream came faster than they were taken"),
        Event::ClientError(_) | Event::Connected | Event::Draining | Event::LameDuckMode => {}
    }
}

fn read(seq: Seq, payload: &[u8]) -> Found<Entry> {
    entry::from_bytes(seq, payload).map_or(Found::Unreadable, |signal| Found::Entry(Arc::new(signal)))
}

fn nothing_or(error: &jetstream::stream::LastRawMessageError) -> Result<Found<Entry>, String> {
    match error.kind() {
        LastRawMessageErrorKind::NoMessageFound => Ok(Found::Nothing),
        LastRawMessageErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::NO_MESSAGE_FOUND => {
            Ok(Found::Nothing)
        }
        _ => Err(told(error)),
    }
}

/// How long a server may take to answer a question.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a publication may take before it is sent again.
const ACK_TIMEOUT: Duration = Duration::from_secs(2);
/// Publications that may wait for their acknowledgement together.
const MOST_IN_FLIGHT: usize = 1024;
/// Entries that share one flush to our disk.
const MOST_AT_ONCE: usize = 1024;
