//! What a signal does, from the fields of its message: each kind has its own, and no others. It looks at no clock.

use std::sync::Arc;

use authz_core::{
    revocation::Mark,
    scope::{Scope, ScopeKind},
    signal::Action,
    standing::{Posture, RiskScore},
};
use authz_wire::control::{self, Kind};

use super::{InvalidSignal, MAX_ATTRIBUTE, MAX_VALUE, bound, text};

/// The fields that say what a signal does.
pub(super) struct Asked {
    pub kind: i32,
    pub issued_before_ms: Option<u64>,
    pub expires_at_ms: Option<u64>,
    pub risk: Option<u32>,
    pub posture: Option<control::Posture>,
}

/// What is asked for, about `scope`.
pub(super) fn read(asked: Asked, scope: &Scope) -> Result<Action, InvalidSignal> {
    let kind = match Kind::try_from(asked.kind) {
        Ok(Kind::Unspecified) | Err(_) => return Err(InvalidSignal::Kind(asked.kind)),
        Ok(kind) => kind,
    };
    let name = name(kind);
    asked.check_fields(kind, name)?;
    let Asked { issued_before_ms, expires_at_ms, risk, posture, .. } = asked;
    let expires_at = bound("expires_at_ms", expires_at_ms)?;
    match kind {
        Kind::Posture => {
            let posture = posture.ok_or(InvalidSignal::Missing { field: "posture", kind: name })?;
            read_posture(posture, scope.kind()).map(|posture| Action::Posture(Arc::new(posture), expires_at))
        }
        Kind::Restore => Ok(Action::Restore),
        Kind::Risk => {
            let risk = risk.ok_or(InvalidSignal::Missing { field: "risk", kind: name })?;
            Ok(Action::Risk(RiskScore::new(risk)?, expires_at))
        }
        Kind::Revoke | Kind::Unspecified => {
            Ok(Action::Revoke(Mark { issued_before: bound("issued_before_ms", issued_before_ms)?, expires_at }))
        }
    }
}

impl Asked {
    fn check_fields(&self, kind: Kind, name: &'static str) -> Result<(), InvalidSignal> {
        let misplaced = [
            ("issued_before_ms", self.issued_before_ms.is_some() && kind != Kind::Revoke),
            ("expires_at_ms", self.expires_at_ms.is_some() && kind == Kind::Restore),
            ("risk", self.risk.is_some() && kind != Kind::Risk),
            ("posture", self.posture.is_some() && kind != Kind::Posture),
        ];
        match misplaced.iter().find(|(_, misplaced)| *misplaced) {
            Some((field, _)) => Err(InvalidSignal::Misplaced { field, kind: name }),
            None => Ok(()),
        }
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Posture => "posture",
        Kind::Restore => "restore",
        Kind::Revoke | Kind::Unspecified => "revoke",
        Kind::Risk => "risk",
    }
}

fn read_posture(posture: control::Posture, of: ScopeKind) -> Result<Posture, InvalidSignal> {
    match of {
        ScopeKind::Agent | ScopeKind::Certificate | ScopeKind::Device | ScopeKind::PathPrefix | ScopeKind::SpiffeId => {
        }
        ScopeKind::IssuerSerial
        | ScopeKind::Session
        | ScopeKind::Subject
        | ScopeKind::Token
        | ScopeKind::TrustDomain => return Err(InvalidSignal::PostureOf(of)),
    }
    let attribute = |control::Attribute { name, value }| {
        Ok((text("attribute name", name, 1, MAX_ATTRIBUTE)?, text("attribute value", value, 0, MAX_VALUE)?))
    };
    let attributes = posture.attributes.into_iter().map(attribute).collect::<Result<Vec<_>, InvalidSignal>>()?;
    Ok(Posture::new(posture.compliant, attributes)?)
}
