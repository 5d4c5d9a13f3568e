//! `countersign check`: one request, decided by policies here or by a running sidecar, and why; it prints what the workbench says.

use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use authz_core::{identity::SpiffeId, reason::Reason, standing::RiskScore, time::Timestamp};
use clap::Args;

use self::{
    answer::{Reply, known},
    asking::SidecarArgs,
};
use super::{
    CliError, Exit, Output, OutputArgs,
    output::Tone,
    policy::{SetArgs, open},
};
use crate::{
    clock,
    workbench::{self, Draft, Explanation, Issued, MadeUp, Source, Workload, explain, explanation_text},
};

mod answer;
mod asking;

/// Which request, and who is to decide it.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    sidecar: SidecarArgs,
    #[command(flatten)]
    request: RequestArgs,
    /// The request in a file, written like a case of `policy test`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["address", "caller", "unverified", "method", "path", "header", "source", "hop"])]
    case: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// What is said of the request.
#[derive(Clone, Debug, Args)]
struct RequestArgs {
    /// Who asks: a SPIFFE ID
    #[arg(long, value_name = "ID", value_parser = SpiffeId::parse)]
    caller: Option<SpiffeId>,
    /// Why the caller proves nothing, such as `certificate_missing`
    #[arg(long, value_name = "CAUSE", value_parser = workbench::parse_cause)]
    unverified: Option<Reason>,
    /// When the caller's certificate was issued: a moment, or as in "1h ago"
    #[arg(long, value_name = "TIME", value_parser = workbench::parse_issued)]
    issued: Option<Issued>,
    /// For how long the caller's certificate is valid altogether, as in 12h
    #[arg(long, value_name = "LENGTH", value_parser = workbench::parse_length)]
    lifetime: Option<Duration>,
    /// What signals say of the caller's risk, 0 to 100
    #[arg(long, value_name = "RISK", value_parser = parse_risk)]
    risk: Option<RiskScore>,
    /// The method
    #[arg(long, default_value = "GET")]
    method: String,
    /// Path and query
    #[arg(long, default_value = "/")]
    path: String,
    /// The host that is asked
    #[arg(long)]
    host: Option<String>,
    /// The scheme
    #[arg(long)]
    scheme: Option<String>,
    /// The version of HTTP
    #[arg(long)]
    protocol: Option<String>,
    /// A header line, as in "x-tenant: a"
    #[arg(long, value_name = "NAME:VALUE", value_parser = parse_header)]
    header: Vec<(String, String)>,
    /// The address of the caller
    #[arg(long, value_name = "IP", value_parser = workbench::parse_source)]
    source: Option<Source>,
    /// What the caller connected to
    #[arg(long, value_name = "IP:PORT")]
    destination: Option<SocketAddr>,
    /// The server name that the caller asked for in TLS
    #[arg(long, value_name = "NAME")]
    sni: Option<String>,
    /// Who stands behind the caller, the nearest first: a SPIFFE ID
    #[arg(long, value_name = "ID", value_parser = SpiffeId::parse)]
    hop: Vec<SpiffeId>,
    /// More was claimed behind the caller than could be verified
    #[arg(long)]
    hops_incomplete: bool,
    /// A TCP connection is asked for, in place of a request
    #[arg(long, conflicts_with_all = ["method", "path", "header"])]
    connection: bool,
    /// When it is asked; else now
    #[arg(long, value_name = "TIME", value_parser = workbench::parse_point)]
    at: Option<Timestamp>,
    /// How old the knowledge of revocations is, as in a degraded state
    #[arg(long, value_name = "LENGTH", value_parser = workbench::parse_length)]
    view_age: Option<Duration>,
}

impl CheckArgs {
    pub(super) async fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let inspector = self.set.files()?.as_ref().map(open).transpose()?;
        match (self.sidecar.target()?, &inspector) {
            (Some(target), _) => {
                let draft = self.request.draft();
                let certificate = self.sidecar.certificate()?;
                let answer = asking::ask(target, &draft, certificate.as_ref()).await?;
                let explanation = inspector.as_ref().map(|inspector| {
                    let draft = Draft { at: Some(clock::now()), ..known(&answer, draft, certificate.as_ref()) };
                    draft.complete(clock::now()).map(|request| explain(inspector, &request, |_| {}))
                });
                let explanation = explanation.transpose().map_err(CliError::Usage)?;
                self.say_answer(&Reply::new(answer, explanation), out)
            }
            (None, Some(inspector)) => self.say(&explain(inspector, &self.request()?, |_| {}), out),
            (None, None) => Err(CliError::Usage(
                "name the policies that are to decide (--config, --policies) or the sidecar (--address)".to_owned(),
            )),
        }
    }

    fn request(&self) -> Result<MadeUp, CliError> {
        match &self.case {
            Some(file) => of_file(file),
            None => self.request.draft().complete(clock::now()).map_err(|wrong| {
                CliError::Usage(
                    wrong
                        .replace("name the caller", "name it with --caller")
                        .replace("why it is unverified", "say why not with --unverified"),
                )
            }),
        }
    }

    fn say(&self, explanation: &Explanation, out: &mut dyn Write) -> Result<Exit, CliError> {
        let mut output = Output::new(out, self.output.output);
        output.say(explanation, |output| {
            let text = explanation_text(explanation);
            let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
            format!("{}\n{rest}", output.paint(tone(explanation.verdict), first))
        })?;
        Ok(exit(explanation.verdict))
    }

    fn say_answer(&self, reply: &Reply, out: &mut dyn Write) -> Result<Exit, CliError> {
        let mut output = Output::new(out, self.output.output);
        output.say(reply, |output| {
            let text = reply.to_string();
            let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
            format!("{}\n{rest}", output.paint(tone(&reply.answer.verdict), first))
        })?;
        Ok(exit(&reply.answer.verdict))
    }
}

impl RequestArgs {
    fn draft(&self) -> Draft {
        let caller = self.caller.clone().map(|id| Workload {
            issued: self.issued,
            lifetime: self.lifetime,
            risk: self.risk,
            ..Workload::new(id)
        });
        Draft {
            caller,
            unverified: self.unverified,
            claimed_names: None,
            connection: Some(self.connection),
            method: Some(self.method.clone()),
            path: Some(self.path.clone()),
            host: self.host.clone(),
            scheme: self.scheme.clone(),
            protocol: self.protocol.clone(),
            headers: self.header.clone(),
            source: self.source,
            destination: self.destination,
            sni: self.sni.clone(),
            hops: Some(self.hop.iter().cloned().map(Workload::new).collect()),
            hops_complete: Some(!self.hops_incomplete),
            at: self.at,
            view_age: self.view_age,
        }
    }
}

fn of_file(file: &Path) -> Result<MadeUp, CliError> {
    workbench::load_request(file, clock::now()).map_err(|error| CliError::Usage(error.to_string()))
}

fn tone(verdict: &str) -> Tone {
    if verdict == "allow" { Tone::Good } else { Tone::Bad }
}

fn exit(verdict: &str) -> Exit {
    if verdict == "allow" { Exit::Done } else { Exit::Refused }
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as \"name: value\"")?;
    if !workbench::is_header_name(name) {
        return Err(format!("header name {name:?} is not as Envoy delivers it; write it in lower case"));
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

fn parse_risk(text: &str) -> Result<RiskScore, String> {
    let number: u32 = text.parse().map_err(|_| "write a number from 0 to 100".to_owned())?;
    RiskScore::new(number).map_err(|error| error.to_string())
}

pub(super) const EXAMPLES: &str = "\
Examples:
  countersign check --config countersign.yaml --caller spiffe://demo.test/ns/shop/sa/web --path /orders/1
  countersign check --policies policies --caller spiffe://demo.test/web --method POST --header 'x-tenant: a' --source 10.0.0.1
  countersign check --config countersign.yaml --case request.yaml --output json
  countersign check --address unix:/run/countersign/ext-authz.sock --certificate svid.pem --path /orders/1 --config countersign.yaml

Offline nobody is revoked. A sidecar that is asked decides as for Envoy, and writes the question to its audit trail.
Exit codes: 0 allowed, 1 denied or nobody there, 2 the command line or a file can't be used";

#[cfg(test)]
mod tests;
