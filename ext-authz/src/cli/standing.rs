//! `countersign risk` and `posture`: what is known of a device or workload, for policies to judge; sending is done elsewhere.

use std::{io::Write, time::Duration};

use authz_core::scope::Scope;
use clap::{ArgGroup, Args};

use super::{
    CliError, Exit,
    moment::{parse_duration, since},
    scope::{NamedArgs, ScopeArgs, parse_scope},
    send::{Order, SendArgs},
};
use crate::{
    clock,
    wire::control::{Attribute, Kind, Posture, SubmitRequest},
};

/// What `risk` takes.
#[derive(Debug, Args)]
#[command(override_usage = "countersign risk [OPTIONS] [SCOPE]... SCORE")]
pub(super) struct RiskArgs {
    /// Scopes as revoke takes them, and at the end how risky they are: from 0 (not at all) to 100
    #[arg(value_name = "SCOPE|SCORE", required = true)]
    words: Vec<String>,
    #[command(flatten)]
    named: NamedArgs,
    #[command(flatten)]
    send: SendArgs,
    /// Forget it after this time, such as 90s, 10m, 1h30m or 7d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    expires_in: Option<Duration>,
}

/// What `posture` takes.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("verdict").args(["compliant", "not_compliant"]).required(true)))]
pub(super) struct PostureArgs {
    #[command(flatten)]
    scopes: ScopeArgs,
    /// It is as it should be
    #[arg(long)]
    compliant: bool,
    /// It is not
    #[arg(long)]
    not_compliant: bool,
    /// What else is known of it, such as os=14.2; may be given many times
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_attribute)]
    attribute: Vec<Attribute>,
    #[command(flatten)]
    send: SendArgs,
    /// Forget it after this time, such as 90s, 10m, 1h30m or 7d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    expires_in: Option<Duration>,
}

impl RiskArgs {
    pub(super) async fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let (risk, scopes) = self.split().map_err(CliError::Usage)?;
        let targets = self.named.resolve(&scopes)?;
        if targets.is_empty() && self.named.from.is_none() {
            return Err(CliError::Usage(
                "nothing is named: write risk SCOPE SCORE, or risk --device NAME SCORE".to_owned(),
            ));
        }
        let request = SubmitRequest {
            kind: Kind::Risk.into(),
            risk: Some(risk),
            expires_at_ms: self.expires_in.map(|it| since(clock::now(), it)),
            ..SubmitRequest::default()
        };
        self.send.run(Order { request, ends: true, targets, from: self.named.from.as_deref() }, out).await
    }

    fn split(&self) -> Result<(u32, Vec<Scope>), String> {
        let (score, scopes) = self.words.split_last().ok_or("the score is missing")?;
        let risk = score.parse::<u32>().ok().filter(|score| *score <= 100);
        let risk =
            risk.ok_or_else(|| format!("the score is {score:?}, write a number from 0 to 100 as the last word"))?;
        let scopes = scopes.iter().map(|text| parse_scope(text).map_err(|error| format!("{text}: {error}")));
        Ok((risk, scopes.collect::<Result<_, String>>()?))
    }
}

impl PostureArgs {
    pub(super) async fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let posture = Posture { compliant: self.compliant, attributes: self.attribute };
        let request = SubmitRequest {
            kind: Kind::Posture.into(),
            posture: Some(posture),
            expires_at_ms: self.expires_in.map(|it| since(clock::now(), it)),
            ..SubmitRequest::default()
        };
        let targets = self.scopes.resolve()?;
        self.send.run(Order { request, ends: true, targets, from: self.scopes.from() }, out).await
    }
}

fn parse_attribute(text: &str) -> Result<Attribute, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(Attribute { name: name.to_owned(), value: value.to_owned() }),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

pub(super) const RISK_EXAMPLES: &str = "\
Examples:
  countersign risk --device laptop-7 80 --source edr --expires-in 1h
  countersign risk spiffe://demo.test/ns/shop/sa/web 20 --event-at 2026-11-22T12:00:00Z

A later event stands, whatever order they arrive in. Nothing is denied by it alone: policies judge.";

pub(super) const POSTURE_EXAMPLES: &str = "\
Examples:
  countersign posture --device laptop-7 --not-compliant --attribute disk=plain --source mdm --expires-in 1d
  countersign posture --device laptop-7 --compliant --event-at 2026-11-22T12:00:00Z

An older \"compliant\" never undoes a newer \"not compliant\". Nothing is denied by it alone: policies judge.";
