//! From the sidecar's types to messages for a filter; it decides nothing about what is sent.

use authz_core::{
    operations::Operations,
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
    let operations = plan.operations().map(Operations::list).unwrap_or_default();
    // Among the reads, so that a filter which does not know the one or the other keeps nothing rather than the wrong thing.
    let by_operation = (!operations.is_empty()).then(|| Plan::BY_OPERATION.to_owned());
    let rule = plan.rules().refuse_path_parameters.then(|| Rules::NO_PATH_PARAMETERS.to_owned());
    link::Plan {
        digest: Vec::new(),
        reads: reads.chain(rule).chain(by_operation).collect(),
        operations: operations.iter().map(ToString::to_string).collect(),
    }
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
        Action::Posture(..) | Action::Restore | Action::Risk(..) => {
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
        issued_before_ms: mark.issued_before.as_millis(),
        expires_at_ms: mark.expires_at.as_millis(),
    }
}
