//! What the stream must be like so that it forgets nothing: made so if it is not there, refused if it is not so. It reads no entry.

use async_nats::jetstream::{
    Context, ErrorCode,
    context::{CreateStreamErrorKind, GetStreamErrorKind},
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};

use super::{Refused, session::Unreached};
use crate::config::NatsConfig;

/// Makes sure that the stream is there and fit; if it is not there, makes it, unless it has been: then its signals are lost.
pub(super) async fn ensure(context: &Context, config: &NatsConfig, has_been: bool) -> Result<(), Unreached> {
    let found = context.get_stream(&config.stream).await;
    match found.map_err(|error| (error.kind(), error)) {
        Ok(stream) => Ok(check(&stream.cached_info().config, config)?),
        Err((GetStreamErrorKind::JetStream(error), _)) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
            if has_been {
                return Err(Refused::new(format!("the stream {} is gone", config.stream), GONE).into());
            }
            create(context, config).await
        }
        Err((GetStreamErrorKind::JetStream(error), _)) if is_disabled(error.error_code()) => {
            Err(Refused::new("the server has no JetStream for this account", NO_JETSTREAM).into())
        }
        Err((_, error)) => {
            Err(Unreached::Away(format!("the stream {} can't be asked for: {}", config.stream, told(&error))))
        }
    }
}

async fn create(context: &Context, config: &NatsConfig) -> Result<(), Unreached> {
    let name = &config.stream;
    match context.create_stream(wanted(config)).await.map_err(|error| (error.kind(), error)) {
        Ok(_) => {
            tracing::info!(stream = %name, replicas = config.replicas, "made the stream of signals");
            Ok(())
        }
        Err((CreateStreamErrorKind::JetStream(error), _)) => {
            let remedy = match error.error_code() {
                ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => {
                    "cluster the servers, or set signals.nats.replicas: 1 if one server is what you want"
                }
                ErrorCode::STREAM_SUBJECT_OVERLAP => {
                    "choose another signals.nats.subject, another stream has these subjects"
                }
                // Another sidecar may have made it just now.
                _ => "it is tried again; see the log of the servers",
            };
            Err(Refused::new(format!("the stream {name} can't be made: {error}"), remedy).into())
        }
        Err((_, error)) => Err(Unreached::Away(format!("the stream {name} can't be made: {}", told(&error)))),
    }
}

/// A stream that keeps everything it acknowledged, on disk, and whose entries nobody takes out one by one.
fn wanted(config: &NatsConfig) -> Config {
    Config {
        name: config.stream.clone(),
        description: Some("Signals of Countersign: revocations and what else changes decisions".to_owned()),
        subjects: vec![format!("{}.*", config.subject)],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: config.replicas.into(),
        discard: DiscardPolicy::New,
        deny_delete: true,
        ..Config::default()
    }
}

/// Why `stream` could lose what it acknowledged.
fn check(stream: &Config, config: &NatsConfig) -> Result<(), Refused> {
    let name = &config.stream;
    let limit = |limit: i64| limit > 0;
    let mut wrong = Vec::new();
    let mut wants = |is_wrong: bool, what: String| wrong.extend(is_wrong.then_some(what));
    let subjects = format!("{}.*", config.subject);
    wants(stream.subjects != [subjects.clone()], format!("subjects {:?} (must be {subjects})", stream.subjects));
    wants(stream.storage != StorageType::File, "storage memory (must be file)".to_owned());
    wants(stream.retention != RetentionPolicy::Limits, format!("retention {:?} (must be limits)", stream.retention));
    wants(!stream.max_age.is_zero(), format!("max_age {:?} (must be unlimited)", stream.max_age));
    let drops = stream.discard == DiscardPolicy::Old && (limit(stream.max_messages) || limit(stream.max_bytes));
    wants(drops, "max_msgs or max_bytes with discard old (must be unlimited, or discard new)".to_owned());
    wants(limit(stream.max_messages_per_subject), "max_msgs_per_subject (must be unlimited)".to_owned());
    wants(stream.allow_rollup, "allow_rollup_hdrs (must be off)".to_owned());
    wants(stream.sealed, "sealed (must not be)".to_owned());
    wants(stream.no_ack, "no_ack (must be off)".to_owned());
    wants(stream.mirror.is_some() || stream.sources.is_some(), "a mirror or sources (must have none)".to_owned());
    if stream.num_replicas < config.replicas.into() {
        let (has, wanted) = (stream.num_replicas, config.replicas);
        wants(true, format!("{has} replicas (signals.nats.replicas wants {wanted})"));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let remedy = format!("change it with `nats stream edit {name}`, or name another stream");
    Err(Refused::new(format!("the stream {name} could forget, it has {}", wrong.join(", ")), remedy))
}

fn is_disabled(code: ErrorCode) -> bool {
    code == ErrorCode::JETSTREAM_NOT_ENABLED || code == ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT
}

/// An error with what is behind it.
pub(super) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

const GONE: &str = "put the store of its servers back, or start one sidecar once with signals.nats.import: true, which makes it anew with the signals of its replica";
const NO_JETSTREAM: &str = "start nats-server with jetstream { store_dir: … }, and enable it for the account";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::signals::fleet::tests::config;

    #[test]
    fn a_stream_that_could_forget_is_refused_by_what_it_would_forget_with() {
        type Change = fn(&mut Config);
        let config = config(4222);
        assert_eq!(check(&wanted(&config), &config), Ok(()));
        let cases: [(Change, &str); 12] = [
            (|it| it.subjects.push("other".to_owned()), "subjects"),
            (|it| it.storage = StorageType::Memory, "storage memory"),
            (|it| it.retention = RetentionPolicy::WorkQueue, "retention WorkQueue"),
            (|it| it.max_age = Duration::from_hours(1), "max_age 3600s"),
            (|it| (it.discard, it.max_messages) = (DiscardPolicy::Old, 5), "discard old"),
            (|it| (it.discard, it.max_bytes) = (DiscardPolicy::Old, 5), "discard old"),
            (|it| it.max_messages_per_subject = 1, "max_msgs_per_subject"),
            (|it| it.allow_rollup = true, "allow_rollup_hdrs"),
            (|it| it.sealed = true, "sealed"),
            (|it| it.no_ack = true, "no_ack"),
            (|it| it.mirror = Some(async_nats::jetstream::stream::Source::default()), "a mirror"),
            (|it| it.num_replicas = 0, "0 replicas"),
        ];
        for (change, expected) in cases {
            let mut stream = wanted(&config);
            change(&mut stream);
            let refused = check(&stream, &config).unwrap_err().to_string();
            assert!(refused.contains(expected) && refused.contains("nats stream edit countersign"), "{refused}");
        }
        let mut full = wanted(&config);
        (full.max_messages, full.max_bytes) = (-1, 1 << 30);
        assert_eq!(check(&full, &config), Ok(()), "a full stream that takes no more loses nothing");
    }
}
