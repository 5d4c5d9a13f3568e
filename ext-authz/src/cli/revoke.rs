//! `countersign revoke` and `restore`: from the command line to accepted signals; what then happens is the sidecar's business.

use std::{env, fs, io::Write, time::Duration};

use authz_core::{scope::Scope, time::Timestamp};
use clap::Args;

use super::{
    CliError, Common, Exit, Output,
    client::refusal,
    moment::{Moment, parse_duration, parse_moment},
    scope::ScopeArgs,
    signals,
    wait::{self, Waited},
};
use crate::{
    clock,
    wire::control::{Kind, SubmitRequest, SubmitResponse},
};

/// What `revoke` takes.
#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    send: SendArgs,
    /// Spare credentials issued at or after this moment (RFC 3339, or now): a re-issued one is not revoked
    #[arg(long, value_name = "MOMENT", value_parser = parse_moment)]
    issued_before: Option<Moment>,
    /// End the revocation after this time, such as 90s, 10m, 1h30m or 7d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    expires_in: Option<Duration>,
}

/// What `restore` takes.
#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    send: SendArgs,
}

#[derive(Debug, Args)]
struct SendArgs {
    #[command(flatten)]
    scopes: ScopeArgs,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    why: String,
    /// Who asks, for the audit, beside the user that the socket proves [default: USER@HOST]
    #[arg(long, value_name = "TEXT")]
    who: Option<String>,
    /// Name of the signal: sent again with the same name, it changes nothing [default: a new one]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Return only when it is in force in every filter that may answer from memory (exit code 3 if that takes too long)
    #[arg(long)]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration, requires = "wait")]
    timeout: Duration,
    #[command(flatten)]
    common: Common,
}

impl RevokeArgs {
    pub(super) async fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let now = clock::now();
        let issued_before = self.issued_before.map(|it| match it {
            Moment::Now => now,
            Moment::At(moment) => moment,
        });
        let expires_at = self.expires_in.map(|it| now.saturating_add_millis(millis(it)));
        let request = SubmitRequest {
            kind: Kind::Revoke.into(),
            issued_before_ms: issued_before.map(Timestamp::as_millis),
            expires_at_ms: expires_at.map(Timestamp::as_millis),
            ..SubmitRequest::default()
        };
        self.send.run(request, out).await
    }
}

impl RestoreArgs {
    pub(super) async fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let request = SubmitRequest { kind: Kind::Restore.into(), ..SubmitRequest::default() };
        self.send.run(request, out).await
    }
}

impl SendArgs {
    /// Sends `request` for each scope, then waits for the last: a filter that has it in force has all before it.
    async fn run(self, request: SubmitRequest, out: &mut dyn Write) -> Result<Exit, CliError> {
        let scopes = self.scopes.resolve()?;
        if self.id.is_some() && scopes.len() > 1 {
            return Err(CliError::Usage("--id names one signal, give it one scope".to_owned()));
        }
        let mut out = Output::new(out, self.common.output.output);
        let mut client = self.common.control.connect().await?;
        let request = SubmitRequest {
            id: self.id.unwrap_or_default(),
            who: self.who.unwrap_or_else(default_who),
            why: self.why,
            ..request
        };
        let mut last = None;
        for scope in &scopes {
            let request = SubmitRequest { scope: scope.to_string(), ..request.clone() };
            let response = client.submit(request).await.map_err(|status| refused(scope, &status))?.into_inner();
            // With --wait, the last one is shown with what became of it.
            if let Some(before) = last.replace(response) {
                show(&mut out, &before, None)?;
            }
        }
        let Some(last) = last else { return Ok(Exit::Done) };
        let seq = last.signal.as_ref().map_or(0, |signal| signal.seq);
        let waited = if self.wait { Some(wait::wait(&mut client, seq, self.timeout).await) } else { None };
        show(&mut out, &last, waited.as_ref())?;
        Ok(waited.as_ref().map_or(Exit::Done, Waited::exit))
    }
}

fn show(out: &mut Output<'_>, response: &SubmitResponse, waited: Option<&Waited>) -> Result<(), CliError> {
    let Some(signal) = &response.signal else {
        return Err(CliError::Refused(
            "the sidecar answered without a signal, its version differs from ours".to_owned(),
        ));
    };
    let answer = serde_json::json!({
        "signal": signals::SignalView::of(signal),
        "known": response.known,
        "enforcement": waited.map(Waited::view),
    });
    out.say(&answer, |out| {
        let accepted = signals::accepted(out, signal, response.known);
        waited.map_or_else(|| accepted.clone(), |waited| format!("{accepted}\n{}", waited.to_text(out)))
    })?;
    Ok(())
}

fn refused(scope: &Scope, status: &tonic::Status) -> CliError {
    CliError::Refused(format!("{scope}: {}", refusal(status)))
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

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) const EXAMPLES: &str = "\
Examples:
  countersign revoke spiffe://demo.test/ns/shop/sa/web --why 'key leaked' --wait
  countersign revoke spiffe://demo.test/ns/shop/sa/web --issued-before now     # its next certificate is good
  countersign revoke 'spiffe://demo.test/ns/shop/*' --expires-in 1h
  countersign revoke --cert svid.pem
  countersign restore spiffe://demo.test/ns/shop/sa/web

Exit codes: 0 accepted (with --wait: in force everywhere), 1 refused, 2 usage, 3 accepted but not yet in force everywhere";
