//! Who may come in at a listener: a verified workload that its list names and nobody revoked. It knows no socket and no clock.

use std::{fmt, sync::Arc};

use authz_core::{
    facts::Caller,
    identity::{IdPattern, SpiffeId},
    reason::Reason,
    time::Timestamp,
};
use rustls_pki_types::CertificateDer;
use tokio::sync::watch;

use super::outcome::Outcome;
use crate::{
    identity::{Refusal, Verifier},
    state::State,
};

/// Keeps one listener.
pub struct Gatekeeper {
    verifier: Arc<Verifier>,
    state: Arc<State>,
    allow: Vec<IdPattern>,
}

/// Why somebody may not come in, or not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The list does not name it.
    NotAllowed,
    /// What is revoked is not known yet.
    NotReady,
    /// It, or something it rests on, is revoked.
    Revoked,
    /// Its certificate proves nothing, or no longer.
    Untrusted(Refusal),
}

impl Gatekeeper {
    /// Lets in whom `allow` names, by what `verifier` trusts and `state` knows to be revoked at that moment.
    pub fn new(verifier: Arc<Verifier>, state: Arc<State>, allow: Vec<IdPattern>) -> Self {
        Self { verifier, state, allow }
    }

    /// Whom the chain, leaf first, proves to be there at `now`.
    ///
    /// # Errors
    /// [`Refused::Untrusted`].
    pub fn identify(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<Arc<Caller>, Refused> {
        self.verifier.verify_peer(chain, now).map_err(Refused::Untrusted)
    }

    /// Whether somebody who was identified may come in, or go on, at `now`.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, caller: &Caller, now: Timestamp) -> Result<(), Refused> {
        let credential = caller.credential();
        if !credential.holds_at(now) {
            let refusal = Refusal::new(Reason::CertificateExpired, "its validity is over");
            return Err(Refused::Untrusted(refusal));
        }
        if !self.names(credential.id()) {
            return Err(Refused::NotAllowed);
        }
        let snapshot = self.state.load();
        let view = snapshot.view().ok_or(Refused::NotReady)?;
        view.revocations.revokes(caller, now).map_or(Ok(()), |_| Err(Refused::Revoked))
    }

    /// Grows when what was verified must be verified again.
    pub(super) fn generation(&self) -> u64 {
        self.verifier.generation()
    }

    /// Wakes when [`Gatekeeper::admit`] may answer otherwise, time apart.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.state.subscribe()
    }

    fn names(&self, id: &SpiffeId) -> bool {
        self.allow.iter().any(|pattern| pattern.matches(id))
    }
}

impl Refused {
    /// The word for metrics and logs.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NotAllowed => Outcome::NotAllowed,
            Self::NotReady => Outcome::Error,
            Self::Revoked => Outcome::Revoked,
            Self::Untrusted(_) => Outcome::Untrusted,
        }
    }
}

/// For logs; clients are told less.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str("not on the list of this listener"),
            Self::NotReady => f.write_str("the log of revocations is not replayed yet"),
            Self::Revoked => f.write_str("revoked"),
            Self::Untrusted(refusal) => refusal.fmt(f),
        }
    }
}

impl std::error::Error for Refused {}
