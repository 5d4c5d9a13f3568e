//! `countersign signals`: the log, as a list or as it grows. It reads and changes nothing.

use std::{collections::BTreeMap, io::Write};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{CliError, Common, Exit, Output, client::refusal, moment, output::Tone};
use crate::wire::control::{Attribute, Kind, ListRequest, Outcome, Posture, Signal, SubmitResponse, TailRequest};

/// How to read the log.
#[derive(Debug, Subcommand)]
pub(super) enum SignalsCommand {
    /// Show signals in the order of the log
    List(ListArgs),
    /// Show each signal as it comes
    Tail(TailArgs),
}

/// Which part of the log.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only revocations that are in force now
    #[arg(long)]
    live: bool,
    /// Only signals after this position
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
    /// At most this many [default: all]
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    #[command(flatten)]
    common: Common,
}

/// From where on.
#[derive(Debug, Args)]
pub(super) struct TailArgs {
    /// Begin after this position; 0 shows everything [default: only what comes from now on]
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    #[command(flatten)]
    common: Common,
}

impl SignalsCommand {
    pub(super) async fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        match self {
            Self::List(args) => args.run(out).await,
            Self::Tail(args) => args.run(out).await,
        }
    }
}

impl ListArgs {
    async fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let mut out = Output::new(out, self.common.output.output);
        let mut client = self.common.control.connect().await?;
        let (mut after_seq, mut left) = (self.after, self.limit.unwrap_or(usize::MAX));
        let mut shown = 0_usize;
        while left > 0 {
            let limit = u32::try_from(left).unwrap_or(u32::MAX).min(PAGE);
            let request = ListRequest { after_seq, limit, live_only: self.live };
            let page = client.list(request).await.map_err(|status| refusal(&status))?.into_inner();
            let Some(last) = page.signals.last() else { break };
            after_seq = last.seq;
            left = left.saturating_sub(page.signals.len());
            shown += page.signals.len();
            page.signals.iter().try_for_each(|signal| show(&mut out, signal))?;
        }
        if shown == 0 {
            out.note(if self.live { "nothing is revoked" } else { "no signals" })?;
        }
        Ok(Exit::Done)
    }
}

impl TailArgs {
    async fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let mut out = Output::new(out, self.common.output.output);
        let mut client = self.common.control.connect().await?;
        let after_seq = if let Some(after) = self.after {
            after
        } else {
            let request = ListRequest { after_seq: u64::MAX, limit: 1, live_only: false };
            client.list(request).await.map_err(|status| refusal(&status))?.into_inner().head_seq
        };
        let mut stream = client.tail(TailRequest { after_seq }).await.map_err(|status| refusal(&status))?.into_inner();
        while let Some(signal) = stream.message().await.map_err(|status| refusal(&status))? {
            show(&mut out, &signal)?;
        }
        Err(CliError::Refused("the sidecar ended the stream, ask again once it is back".to_owned()))
    }
}

/// One signal as JSON; moments are RFC 3339.
#[derive(Debug, Serialize)]
pub(super) struct SignalView<'s> {
    seq: u64,
    at: String,
    id: &'s str,
    action: &'static str,
    scope: &'s str,
    who: &'s str,
    why: &'s str,
    issued_before: Option<String>,
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    source: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    risk: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compliant: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<BTreeMap<&'s str, &'s str>>,
}

impl<'s> SignalView<'s> {
    pub(super) fn of(signal: &'s Signal) -> Self {
        Self {
            seq: signal.seq,
            at: moment::to_text(signal.at_ms),
            id: &signal.id,
            action: action(signal),
            scope: &signal.scope,
            who: &signal.who,
            why: &signal.why,
            issued_before: signal.issued_before_ms.map(moment::to_text),
            expires_at: signal.expires_at_ms.map(moment::to_text),
            source: &signal.source,
            event_at: signal.event_at_ms.map(moment::to_text),
            risk: signal.risk,
            compliant: signal.posture.as_ref().map(|posture| posture.compliant),
            attributes: signal.posture.as_ref().map(attributes),
        }
    }
}

/// What people are told about an accepted signal.
pub(super) fn accepted(out: &Output<'_>, signal: &Signal, response: &SubmitResponse) -> String {
    let done = match (response.known, response.outcome(), action(signal)) {
        (true, ..) => out.paint(Tone::Warn, "known already, nothing changed:"),
        (_, Outcome::Superseded, action) => {
            out.paint(Tone::Warn, &format!("{action} is older than what is known, nothing changed:"))
        }
        (.., "restore") => out.paint(Tone::Good, "restored"),
        (.., "revoke") => out.paint(Tone::Bad, "revoked"),
        (.., action) => out.paint(Tone::Good, &format!("{action} noted of")),
    };
    let Signal { seq, id, scope, .. } = signal;
    format!("{done} {scope}{}\n  {}", details(signal), out.paint(Tone::Dim, &format!("seq {seq}, id {id}")))
}

/// The word for what a signal changed.
pub(super) fn outcome(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Changed => Some("changed"),
        Outcome::Superseded => Some("superseded"),
        Outcome::Unchanged => Some("unchanged"),
        Outcome::Unspecified => None,
    }
}

fn show(out: &mut Output<'_>, signal: &Signal) -> Result<(), CliError> {
    out.say(&SignalView::of(signal), |out| {
        let action = match action(signal) {
            "revoke" => out.paint(Tone::Bad, "revoke "),
            other => out.paint(Tone::Good, &format!("{other:<7}")),
        };
        let Signal { seq, scope, who, why, source, at_ms, .. } = signal;
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        let source = if source.is_empty() { String::new() } else { format!(" from {source}") };
        let by = out.paint(Tone::Dim, &format!("by {who}{source}{why}"));
        format!("{seq:>6}  {}  {action}  {scope}{}  {by}", moment::to_text(*at_ms), details(signal))
    })?;
    Ok(())
}

/// What its kind of signal has, for people.
fn details(signal: &Signal) -> String {
    let risk = signal.risk.map(|score| format!(" {score} of 100"));
    let posture = signal.posture.as_ref().map(|posture| {
        let word = if posture.compliant { " compliant" } else { " not compliant" };
        let more: Vec<String> = attributes(posture).iter().map(|(name, value)| format!("{name}={value}")).collect();
        if more.is_empty() { word.to_owned() } else { format!("{word} ({})", more.join(" ")) }
    });
    let issued = signal.issued_before_ms.map(|ms| format!(", issued before {}", moment::to_text(ms)));
    let event = signal.event_at_ms.map(|ms| format!(", as of {}", moment::to_text(ms)));
    let expires = signal.expires_at_ms.map(|ms| format!(", until {}", moment::to_text(ms)));
    [risk, posture, issued, event, expires].into_iter().flatten().collect()
}

fn attributes(posture: &Posture) -> BTreeMap<&str, &str> {
    posture.attributes.iter().map(|Attribute { name, value }| (name.as_str(), value.as_str())).collect()
}

fn action(signal: &Signal) -> &'static str {
    match signal.kind() {
        Kind::Revoke => "revoke",
        Kind::Posture => "posture",
        Kind::Restore => "restore",
        Kind::Risk => "risk",
        Kind::Unspecified => "unknown",
    }
}

/// Signals asked for at a time.
const PAGE: u32 = 1000;
