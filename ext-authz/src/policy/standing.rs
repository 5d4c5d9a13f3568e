//! What one policy reads of risk and posture, and these as attributes of a workload's entity. It asks no signals and judges nothing.

use authz_core::{plan::Read, reading::Uses, standing::Effective};
use cedar_policy::{
    Entity,
    pst::{self, Clause, Expr, Var},
};
use serde_json::{Map, Value, json};

use super::{
    constants::{Constant, comparison},
    problem::Unexpected,
    walk::{compared, is_known, parts, path},
};

/// The attribute of a `Workload` that says how risky it is.
pub(super) const RISK: &str = "risk";
/// The attribute of a `Workload` that says whether it is as it should be.
pub(super) const POSTURE: &str = "posture";

/// What `policy` reads of risk and posture, and how.
pub(super) fn standing_uses(policy: &pst::Policy) -> Uses {
    let mut uses = Uses::default();
    for clause in policy.body().clauses() {
        let (Clause::When(condition) | Clause::Unless(condition)) = clause;
        // A stack of our own: conditions may be nested deeper than ours.
        let mut open: Vec<&Expr> = vec![condition];
        while let Some(expression) = open.pop() {
            if !test(expression, &mut uses) {
                visit(expression, &mut uses, &mut open);
            }
        }
    }
    uses
}

/// What a policy may read that can't be looked into.
pub(super) fn every_use() -> Uses {
    [Read::Risk, Read::Posture, Read::HopStandings].into_iter().collect()
}

/// Notes a comparison of the caller's risk with constants, if `expression` is one.
fn test(expression: &Expr, uses: &mut Uses) -> bool {
    let is_risk = |side: &Expr| {
        let (root, path) = path(side);
        matches!(root, Expr::Var(Var::Principal)) && path == [RISK]
    };
    let tests = compared(expression, is_risk)
        .and_then(|(op, constant, fact_first)| comparison(op, &Constant::of(constant)?, fact_first));
    let Some(tests) = tests else { return false };
    uses.presence(Read::Risk);
    for test in tests {
        uses.test(Read::Risk, test);
    }
    true
}

fn visit<'e>(expression: &'e Expr, uses: &mut Uses, open: &mut Vec<&'e Expr>) {
    let (root, path, asks) = match expression {
        Expr::GetAttr { .. } => {
            let (root, path) = path(expression);
            (root, path, false)
        }
        Expr::HasAttr { expr, attrs } => {
            let (root, mut path) = path(expr);
            path.extend(attrs.iter().map(|attribute| -> &str { attribute.as_ref() }));
            (root, path, true)
        }
        other if !is_known(other) => return uses.add(&every_use()),
        other => return parts(other, open),
    };
    match (root, path.as_slice()) {
        (Expr::Var(Var::Principal), [RISK]) if asks => uses.presence(Read::Risk),
        (Expr::Var(Var::Principal), [RISK, ..]) => uses.whole(Read::Risk),
        (Expr::Var(Var::Principal), [POSTURE, ..]) => uses.whole(Read::Posture),
        // Nothing else in the context leads to a workload: these may be names of headers.
        (Expr::Var(Var::Context), [first, ..]) if *first != "origin" => {}
        // Whose it is, is not followed.
        (_, path) if path.contains(&RISK) || path.contains(&POSTURE) => uses.add(&every_use()),
        _ => {}
    }
    if !matches!(root, Expr::Var(_)) {
        open.push(root);
    }
}

/// `entity` with what signals say of it.
pub(super) fn with(entity: &Entity, standing: &Effective) -> Result<Entity, Unexpected> {
    let mut whole = entity.to_json_value().map_err(Unexpected::of)?;
    let attributes = whole.get_mut("attrs").and_then(Value::as_object_mut);
    let attributes = attributes.ok_or_else(|| Unexpected::new("an entity has no attributes"))?;
    if let Some(risk) = standing.risk {
        attributes.insert(RISK.to_owned(), json!(risk.get()));
    }
    if let Some(compliant) = standing.compliant {
        let named = standing.attributes.iter().map(|(name, value)| (name.to_string(), json!(&**value)));
        let named: Map<String, Value> = named.collect();
        attributes.insert(POSTURE.to_owned(), json!({"compliant": compliant, "attributes": named}));
    }
    Entity::from_json_value(whole, None).map_err(Unexpected::of)
}
