//! From the sidecar's types to messages for a filter; it decides nothing about what is sent.

use authz_core::{
    plan::{Plan, Rules},
    revocation::Mark,
    scope::Scope,
    signal::{Action, Seq, Signal},
};

use crate::wire::link::{self, Invalidation};

/// A plan without its name.
pub fn wire_plan(plan: &Plan) -> link::Plan {
    let reads = plan.reads().iter().map(ToString::to_string);
    // Among the reads, so that a filter which does not know the rule keeps nothing rather than the wrong thing.
    let rule = plan.rules().refuse_path_parameters.then(|| Rules::NO_PATH_PARAMETERS.to_owned());
    link::Plan { digest: Vec::new(), reads: reads.chain(rule).collect() }
}

pub(super) fn invalidation(seq: Seq, signal: &Signal) -> Invalidation {
    match signal.action {
        Action::Revoke(mark) => revocation(seq, &signal.scope, mark),
        Action::Restore => Invalidation {
            seq: seq.0,
            scope: signal.scope.to_string(),
            revoke: false,
            issued_before_ms: 0,
            expires_at_ms: 0,
        },
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
