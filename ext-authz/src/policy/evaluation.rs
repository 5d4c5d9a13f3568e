//! Running Cedar over the candidate policies and merging what it says; errors count, unlike in Cedar's own merging.

use cedar_policy::{AuthorizationError, Authorizer, Decision, Entities, PolicyId, PolicySet, Request};

/// What the candidates say together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Findings {
    /// These forbid it.
    Forbidden(Vec<PolicyId>),
    /// These could not be evaluated, and nothing forbids it; with Cedar's words.
    Failed(Vec<(PolicyId, String)>),
    /// These permit it, all candidates were evaluated and none forbids it.
    Permitted(Vec<PolicyId>),
    /// No candidate has anything to say.
    Silent,
}

/// Evaluates `request` against every policy in `candidates`.
///
/// INVARIANT: equal to evaluating their union at once, because Cedar evaluates policies one by one and only then combines.
pub(super) fn evaluate<'p>(
    candidates: impl Iterator<Item = &'p PolicySet>,
    request: &Request,
    entities: &Entities,
) -> Findings {
    let authorizer = Authorizer::new();
    let (mut forbids, mut failures, mut permits) = (Vec::new(), Vec::new(), Vec::new());
    for policies in candidates {
        let response = authorizer.is_authorized(request, policies, entities);
        let reasons = response.diagnostics().reason().cloned();
        match response.decision() {
            Decision::Allow => permits.extend(reasons),
            Decision::Deny => forbids.extend(reasons),
        }
        failures.extend(response.diagnostics().errors().map(failure));
    }
    // One that is met twice fails twice.
    failures.sort_unstable();
    failures.dedup();
    if !forbids.is_empty() {
        Findings::Forbidden(forbids)
    } else if !failures.is_empty() {
        Findings::Failed(failures)
    } else if !permits.is_empty() {
        Findings::Permitted(permits)
    } else {
        Findings::Silent
    }
}

fn failure(error: &AuthorizationError) -> (PolicyId, String) {
    match error {
        AuthorizationError::PolicyEvaluationError(error) => (error.policy_id().clone(), error.inner().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use cedar_policy::Context;

    use super::*;

    #[test]
    fn a_policy_that_is_met_twice_fails_once() {
        let policies: PolicySet = "permit(principal, action, resource) when { context.missing };".parse().unwrap();
        let uid = |text: &str| text.parse().unwrap();
        let request = Request::new(uid("A::\"a\""), uid("Action::\"b\""), uid("C::\"c\""), Context::empty(), None);
        let found = evaluate([&policies, &policies].into_iter(), &request.unwrap(), &Entities::empty());
        assert!(matches!(&found, Findings::Failed(failures) if failures.len() == 1), "{found:?}");
    }
}
