//! From the sidecar's types to messages for a filter; it decides nothing about what is sent.

use authz_core::{
    plan::{Plan, Rules},
    revocation::{Mark, RevocationSet},
    scope::Scope,
    signal::{Action, Outcome, Seq},
};

use crate::{
    signals::Entry,
    wire::link::{self, Invalidation},
};

/// A plan without its name.
pub fn wire_plan(plan: &Plan) -> link::Plan {
    let reads = plan.reads().iter().map(ToString::to_string);
    // Among the reads, so that a filter which does not know the rule keeps nothing rather than the wrong thing.
    let rule = plan.rules().refuse_path_parameters.then(|| Rules::NO_PATH_PARAMETERS.to_owned());
    link::Plan { digest: Vec::new(), reads: reads.chain(rule).collect() }
}

/// What one entry means to a filter: nothing, if it changed nothing here.
///
/// A filter forgets the marks of a scope when anything else is said of it, so those that stand follow at once.
pub(super) fn invalidations(entry: &Entry, revocations: &RevocationSet) -> Vec<Invalidation> {
    let Entry { seq, signal, outcome, .. } = entry;
    let scope = &signal.scope;
    match signal.action {
        _ if *outcome != Outcome::Changed => Vec::new(),
        Action::Revoke(mark) => vec![revocation(*seq, scope, mark)],
        Action::Posture(..) | Action::Risk(..) => {
            vec![Invalidation { seq: seq.0, scope: scope.to_string(), standing: true, ..Invalidation::default() }]
        }
        Action::Restore => {
            let touched = Invalidation { seq: seq.0, scope: scope.to_string(), ..Invalidation::default() };
            let standing = revocations.marks(scope).map(|mark| revocation(*seq, scope, mark));
            [touched].into_iter().chain(standing).collect()
        }
    }
}

pub(super) fn revocation(seq: Seq, scope: &Scope, mark: Mark) -> Invalidation {
    Invalidation {
        seq: seq.0,
        scope: scope.to_string(),
        revoke: true,
        standing: false,
        issued_before_ms: mark.issued_before.as_millis(),
        expires_at_ms: mark.expires_at.as_millis(),
    }
}
