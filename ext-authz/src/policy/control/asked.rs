//! What somebody asks of the control API, as control policies see it; the names are those of the schema, of metrics and of audit.

use authz_core::{
    scope::Scope,
    signal::{Action, Signal},
};

/// One use of the control API.
#[derive(Copy, Clone, Debug)]
pub enum Asked<'a> {
    /// How far a position is in force.
    Await,
    /// What a signal about the scope would hit.
    DryRun(&'a Scope),
    /// The log, up to now.
    List,
    /// A signal to be put in force.
    Signal {
        /// As it would stand in the log.
        signal: &'a Signal,
        /// Which one of its call, from 1.
        position: u64,
    },
    /// Whether the sidecar is fine.
    Status,
    /// The log, as it grows.
    Tail,
}

/// The kinds of uses.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum ControlAction {
    /// How far a position is in force.
    Await,
    /// What a signal would hit.
    DryRun,
    /// The log, up to now.
    List,
    /// State of a device or workload.
    Posture,
    /// Lifts revocations.
    Restore,
    /// Takes back.
    Revoke,
    /// How risky something is.
    Risk,
    /// Whether the sidecar is fine.
    Status,
    /// The log, as it grows.
    Tail,
}

impl<'a> Asked<'a> {
    /// Its kind.
    pub fn action(&self) -> ControlAction {
        match self {
            Self::Await => ControlAction::Await,
            Self::DryRun(_) => ControlAction::DryRun,
            Self::List => ControlAction::List,
            Self::Signal { signal, .. } => ControlAction::of(&signal.action),
            Self::Status => ControlAction::Status,
            Self::Tail => ControlAction::Tail,
        }
    }

    /// What it is about, if that is a single scope.
    pub fn scope(&self) -> Option<&'a Scope> {
        match self {
            Self::DryRun(scope) => Some(scope),
            Self::Signal { signal, .. } => Some(&signal.scope),
            Self::Await | Self::List | Self::Status | Self::Tail => None,
        }
    }
}

impl ControlAction {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Await,
        Self::DryRun,
        Self::List,
        Self::Posture,
        Self::Restore,
        Self::Revoke,
        Self::Risk,
        Self::Status,
        Self::Tail,
    ];

    /// The kind of a signal.
    pub fn of(action: &Action) -> Self {
        match action {
            Action::Posture(..) => Self::Posture,
            Action::Restore => Self::Restore,
            Action::Revoke(_) => Self::Revoke,
            Action::Risk(..) => Self::Risk,
        }
    }

    /// The name in the schema.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Await => "await",
            Self::DryRun => "dryRun",
            Self::List => "list",
            Self::Posture => "posture",
            Self::Restore => "restore",
            Self::Revoke => "revoke",
            Self::Risk => "risk",
            Self::Status => "status",
            Self::Tail => "tail",
        }
    }
}
