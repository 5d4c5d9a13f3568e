//! `countersign revoke` and `restore`: what they ask for; sending is done elsewhere.

use std::{io::Write, time::Duration};

use authz_core::time::Timestamp;
use clap::Args;

use super::{
    CliError, Exit,
    moment::{Moment, parse_duration, parse_moment, since},
    scope::ScopeArgs,
    send::{Order, SendArgs},
};
use crate::{
    clock,
    wire::control::{Kind, SubmitRequest},
};

/// What `revoke` takes.
#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    scopes: ScopeArgs,
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
    scopes: ScopeArgs,
    #[command(flatten)]
    send: SendArgs,
}

impl RevokeArgs {
    pub(super) async fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let now = clock::now();
        let request = SubmitRequest {
            kind: Kind::Revoke.into(),
            issued_before_ms: self.issued_before.map(|it| it.at(now)).map(Timestamp::as_millis),
            expires_at_ms: self.expires_in.map(|it| since(now, it)),
            ..SubmitRequest::default()
        };
        let targets = self.scopes.resolve()?;
        let order = Order { request, ends: true, targets, from: self.scopes.from() };
        self.send.run(order, out).await
    }
}

impl RestoreArgs {
    pub(super) async fn run(self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let request = SubmitRequest { kind: Kind::Restore.into(), ..SubmitRequest::default() };
        let targets = self.scopes.resolve()?;
        let order = Order { request, ends: false, targets, from: self.scopes.from() };
        self.send.run(order, out).await
    }
}

pub(super) const REVOKE_EXAMPLES: &str = "\
Examples:
  countersign revoke spiffe://demo.test/ns/shop/sa/web --why 'key leaked' --wait
  countersign revoke spiffe://demo.test/ns/shop/sa/web --issued-before now     # its next certificate is good
  countersign revoke 'spiffe://demo.test/ns/shop/*' --expires-in 1h --dry-run  # what would it hit?
  countersign revoke --cert svid.pem
  countersign revoke --token - < stolen.jwt                                    # by its jti, until its exp
  countersign revoke --subject https://login.demo.test#bob --device laptop-7
  countersign revoke --from leaked.txt --source scanner --wait                 # a scope, or a JSON object, in each line

Exit codes: 0 accepted (with --wait: in force everywhere), 1 refused (also one of many), 2 usage, nothing was sent, 3 accepted but
not yet in force everywhere";

pub(super) const RESTORE_EXAMPLES: &str = "\
Examples:
  countersign restore spiffe://demo.test/ns/shop/sa/web --why 'false alarm' --wait
  countersign restore --from mended.txt                                        # a scope in each line

Restore lifts every revocation of exactly this scope; what other scopes take back stays.";
