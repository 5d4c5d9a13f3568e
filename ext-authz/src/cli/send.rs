//! From the command line to accepted signals, one or a hundred thousand; what then happens is the sidecar's business.

use std::{
    env, fs,
    io::Write,
    time::{Duration, Instant},
};

use authz_core::time::Timestamp;
use clap::Args;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;

use super::{
    CliError, Common, Exit, Output,
    client::refusal,
    dry_run,
    lines::{self, Line},
    moment::{Moment, parse_duration, parse_moment},
    output::Tone,
    scope::Target,
    signals,
    wait::{self, Waited},
};
use crate::{
    clock,
    wire::control::{
        SubmitRequest, SubmitResponse, SubmitResult, control_client::ControlClient, submit_result::Result as Outcome,
    },
};

/// What all commands that send signals take.
#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// Why, for the audit
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    why: String,
    /// Who asks, for the audit, beside the user that the socket proves [default: USER@HOST]
    #[arg(long, value_name = "TEXT")]
    who: Option<String>,
    /// Which system knows it, such as edr, for policies and the audit
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    source: String,
    /// When it happened (RFC 3339), if not now: of two signals that contradict, the later event stands
    #[arg(long, value_name = "MOMENT", value_parser = parse_moment)]
    event_at: Option<Moment>,
    /// Name of the signal: sent again with the same name, it changes nothing [default: a new one]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Send nothing: say which cached decisions and open streams a revocation would hit (exit code 3 if a filter did not answer)
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Return only when it is in force in every sidecar and every filter that may answer from memory (exit code 3 if that takes
    /// too long)
    #[arg(long)]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration, requires = "wait")]
    timeout: Duration,
    #[command(flatten)]
    common: Common,
}

/// What is to be sent.
pub(super) struct Order<'a> {
    /// The signal without its scope.
    pub request: SubmitRequest,
    /// Whether its end may be that of what it is about.
    pub ends: bool,
    /// Scopes from the command line.
    pub targets: Vec<Target>,
    /// A file with more.
    pub from: Option<&'a std::path::Path>,
}

impl SendArgs {
    /// Sends a signal for each target and line, then waits for the last: a filter that has it in force has all before it.
    pub(super) async fn run(self, order: Order<'_>, out: &mut dyn Write) -> Result<Exit, CliError> {
        let lines = self.lines(order)?;
        let mut out = Output::new(out, self.common.output.output);
        let mut client = self.common.control.connect().await?;
        if self.dry_run {
            return dry_run::run(&mut client, lines.into_iter().map(|line| line.request).collect(), &mut out).await;
        }
        let sent = if lines.first().is_some_and(|line| line.number > 0) {
            send_batch(&mut client, lines, &mut out).await?
        } else {
            send_each(&mut client, lines, &mut out).await?
        };
        let waited = match sent.last_seq() {
            Some(seq) if self.wait => Some(wait::wait(&mut client, seq, self.timeout).await),
            _ => None,
        };
        sent.finish(waited.as_ref(), &mut out)
    }

    /// Everything to be sent; number 0 is the command line.
    fn lines(&self, order: Order<'_>) -> Result<Vec<Line>, CliError> {
        let now = clock::now();
        let Order { request, ends, targets, from } = order;
        let event_at = self.event_at.map(|it| it.at(now).as_millis());
        let request = SubmitRequest {
            id: self.id.clone().unwrap_or_default(),
            who: self.who.clone().unwrap_or_else(default_who),
            why: self.why.clone(),
            source: self.source.clone(),
            event_at_ms: event_at,
            ..request
        };
        if self.id.is_some() && (targets.len() > 1 || from.is_some()) {
            return Err(CliError::Usage("--id names one signal, give it one scope".to_owned()));
        }
        let of_target = |Target { scope, ends: end }: Target| {
            let end = end.filter(|_| ends).map(Timestamp::as_millis);
            let expires_at_ms = request.expires_at_ms.or(end);
            Line { number: 0, request: SubmitRequest { scope: scope.to_string(), expires_at_ms, ..request.clone() } }
        };
        let Some(file) = from else { return Ok(targets.into_iter().map(of_target).collect()) };
        if !targets.is_empty() {
            return Err(CliError::Usage("--from brings its own scopes, give them there or here".to_owned()));
        }
        lines::read(file, &request, now)
    }
}

/// What became of all that was sent.
enum Sent {
    Batch { last: Option<u64>, accepted: u64, known: u64, refused: u64 },
    Each(Option<SubmitResponse>),
}

impl Sent {
    fn last_seq(&self) -> Option<u64> {
        match self {
            Self::Batch { last, .. } => *last,
            Self::Each(last) => last.as_ref().and_then(|last| last.signal.as_ref()).map(|signal| signal.seq),
        }
    }

    fn finish(self, waited: Option<&Waited>, out: &mut Output<'_>) -> Result<Exit, CliError> {
        let exit = waited.map_or(Exit::Done, Waited::exit);
        match self {
            Self::Each(None) => Ok(exit),
            Self::Each(Some(last)) => show(out, &last, waited).map(|()| exit),
            Self::Batch { accepted, known, refused, .. } => {
                let view = serde_json::json!({
                    "accepted": accepted, "known": known, "refused": refused, "enforcement": waited.map(Waited::view),
                });
                out.say(&view, |out| {
                    let known = if known > 0 { format!(", {known} of them known already") } else { String::new() };
                    let bad =
                        if refused > 0 { out.paint(Tone::Bad, &format!(", {refused} refused")) } else { String::new() };
                    let wait = waited.map(|waited| format!("\n{}", waited.to_text(out))).unwrap_or_default();
                    format!("{accepted} accepted{known}{bad}{wait}")
                })?;
                Ok(if refused > 0 { Exit::Refused } else { exit })
            }
        }
    }
}

/// One after the other, each shown as soon as the next is accepted: with --wait, the last one with what became of it.
async fn send_each(
    client: &mut ControlClient<Channel>,
    lines: Vec<Line>,
    out: &mut Output<'_>,
) -> Result<Sent, CliError> {
    let mut last = None;
    for Line { request, .. } in lines {
        let scope = request.scope.clone();
        let response = client.submit(request).await;
        let response = response.map_err(|status| CliError::Refused(format!("{scope}: {}", refusal(&status))))?;
        if let Some(before) = last.replace(response.into_inner()) {
            show(out, &before, None)?;
        }
    }
    Ok(Sent::Each(last))
}

/// All in one call; what is refused is said with its line.
async fn send_batch(
    client: &mut ControlClient<Channel>,
    lines: Vec<Line>,
    out: &mut Output<'_>,
) -> Result<Sent, CliError> {
    let numbers: Vec<usize> = lines.iter().map(|line| line.number).collect();
    let requests = tokio_stream::iter(lines).map(|line| line.request);
    let mut results = client.submit_batch(requests).await.map_err(|status| refusal(&status))?.into_inner();
    let mut progress = Progress::new(numbers.len());
    let (mut last, mut accepted, mut known, mut refused) = (None, 0, 0, 0);
    for number in &numbers {
        let result = results.message().await.map_err(|status| broken(*number, &refusal(&status).to_string()))?;
        let Some(SubmitResult { result: Some(result), .. }) = result else {
            return Err(broken(*number, "the sidecar ended the stream"));
        };
        match result {
            Outcome::Accepted(response) => {
                last = response.signal.as_ref().map(|signal| signal.seq).or(last);
                accepted += 1;
                known += u64::from(response.known);
                out.data(&serde_json::json!({ "line": number, "answer": view(&response, None) }))?;
            }
            Outcome::Refused(refusal) => {
                refused += 1;
                let error = serde_json::json!({ "line": number, "error": refusal.message });
                out.say(&error, |out| format!("line {number}: {}", out.paint(Tone::Bad, &refusal.message)))?;
            }
        }
        progress.step();
    }
    Ok(Sent::Batch { last, accepted, known, refused })
}

fn broken(number: usize, why: &str) -> CliError {
    CliError::Refused(format!(
        "{why}; what was answered before line {number} stands, the rest may have been taken or not: send it again, with ids \
         where one signal must not become two"
    ))
}

/// Says on standard error how far it got, where it takes long.
struct Progress {
    all: usize,
    done: usize,
    next: Instant,
}

impl Progress {
    fn new(all: usize) -> Self {
        Self { all, done: 0, next: Instant::now() + BETWEEN_WORDS }
    }

    fn step(&mut self) {
        self.done += 1;
        if self.done.is_multiple_of(256) && Instant::now() >= self.next {
            self.next = Instant::now() + BETWEEN_WORDS;
            // Standard error may be closed; nobody reads then.
            let _ = writeln!(std::io::stderr(), "{} of {} answered", self.done, self.all);
        }
    }
}

fn view(response: &SubmitResponse, waited: Option<&Waited>) -> serde_json::Value {
    serde_json::json!({
        "signal": response.signal.as_ref().map(signals::SignalView::of),
        "known": response.known,
        "outcome": signals::outcome(response.outcome()),
        "enforcement": waited.map(Waited::view),
    })
}

fn show(out: &mut Output<'_>, response: &SubmitResponse, waited: Option<&Waited>) -> Result<(), CliError> {
    let Some(signal) = &response.signal else {
        return Err(CliError::Refused(
            "the sidecar answered without a signal, its version differs from ours".to_owned(),
        ));
    };
    out.say(&view(response, waited), |out| {
        let accepted = signals::accepted(out, signal, response);
        waited.map_or_else(|| accepted.clone(), |waited| format!("{accepted}\n{}", waited.to_text(out)))
    })?;
    Ok(())
}

/// A claim; what counts is the user that the socket proves.
fn default_who() -> String {
    let user = env::var("USER").or_else(|_| env::var("LOGNAME")).unwrap_or_default();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match (user.as_str(), host.trim()) {
        ("", _) => String::new(),
        (user, "") => user.to_owned(),
        (user, host) => format!("{user}@{host}"),
    }
}

/// How often a long batch says how far it is.
const BETWEEN_WORDS: Duration = Duration::from_secs(2);
