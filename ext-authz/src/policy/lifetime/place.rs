//! Where in a request an expression leads, as far as facts of time stand there. It judges no use.

use cedar_policy::pst::{Expr, Var};

use super::quantity::{Party, TimeFact};

/// What stands at a path.
pub(super) enum Place {
    /// Nothing of time.
    Elsewhere,
    /// All of the context.
    Context,
    /// `context.clock`.
    Clock,
    /// A fact of time.
    Fact(TimeFact),
    /// How long a credential is valid altogether.
    Lifetime(Party),
    /// A credential as a whole.
    Credential(Party),
    /// The credential of somebody who may be anybody.
    OtherCredential,
}

impl Place {
    /// How to use it so that decisions can be reused.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Elsewhere | Self::Lifetime(_) => "use it as it is",
            Self::Context => "name the attributes of context that are meant",
            Self::Clock | Self::Fact(TimeFact::Minute | TimeFact::Weekday) => {
                "compare it with constants, as in `context.clock.minute < 17 * 60` or `[6, 7].contains(context.clock.weekday)`"
            }
            Self::Fact(TimeFact::Now) => {
                "compare it with a constant, as in `context.now < datetime(\"2027-01-01\")` or `context.now.toTime() < duration(\"17h\")`"
            }
            Self::Fact(TimeFact::Age(_) | TimeFact::ExpiresIn(_)) | Self::Credential(_) => {
                "compare its age, expires_in or lifetime with a constant, as in `principal.credential.age < duration(\"1h\")`"
            }
            Self::OtherCredential => "only those of principal and context.origin are followed; look at one of them",
        }
    }
}

/// What stands at `path` from `root`.
pub(super) fn place(root: &Expr, path: &[&str]) -> Place {
    match (root, path) {
        (Expr::Var(Var::Context), []) => Place::Context,
        (Expr::Var(Var::Context), ["now", ..]) => Place::Fact(TimeFact::Now),
        (Expr::Var(Var::Context), ["clock"]) => Place::Clock,
        (Expr::Var(Var::Context), ["clock", "minute", ..]) => Place::Fact(TimeFact::Minute),
        (Expr::Var(Var::Context), ["clock", "weekday", ..]) => Place::Fact(TimeFact::Weekday),
        (Expr::Var(Var::Context), ["origin", "credential", of @ ..]) => of_credential(Party::Origin, of),
        (Expr::Var(Var::Principal), ["credential", of @ ..]) => of_credential(Party::Caller, of),
        // Nothing else in the context leads to a workload: "credential" may be the name of a header.
        (Expr::Var(Var::Context), [first, ..]) if *first != "origin" => Place::Elsewhere,
        (_, path) if path.contains(&"credential") => Place::OtherCredential,
        _ => Place::Elsewhere,
    }
}

fn of_credential(party: Party, path: &[&str]) -> Place {
    match path {
        [] => Place::Credential(party),
        ["age", ..] => Place::Fact(TimeFact::Age(party)),
        ["expires_in", ..] => Place::Fact(TimeFact::ExpiresIn(party)),
        ["lifetime", ..] => Place::Lifetime(party),
        _ => Place::OtherCredential,
    }
}
