//! What constant expressions in policies come to, computed by Cedar itself; an expression that looks at anything is none.

use cedar_policy::{
    Context, Entities, EntityId, EntityTypeName, EntityUid, EvalResult, Expression, Request, eval_expression,
    pst::{BinaryOp, Expr, Literal},
};

/// What kind of value an expression has.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A `datetime`; its number is milliseconds since the epoch.
    Datetime,
    /// A `duration`; its number is milliseconds.
    Duration,
    /// A number.
    Long,
}

/// The number of a constant of this kind; nothing if it is no constant, of another kind, or none that Cedar can compute.
pub(super) fn number(expression: &Expr, kind: Kind) -> Option<i64> {
    if !is_constant(expression) {
        return None;
    }
    let text = match kind {
        Kind::Datetime => format!("({expression}).durationSince(datetime(\"1970-01-01\")).toMilliseconds()"),
        Kind::Duration => format!("({expression}).toMilliseconds()"),
        Kind::Long => expression.to_string(),
    };
    let nobody = EntityUid::from_type_name_and_id("Nobody".parse::<EntityTypeName>().ok()?, EntityId::new(""));
    let request = Request::new(nobody.clone(), nobody.clone(), nobody, Context::empty(), None).ok()?;
    match eval_expression(&request, &Entities::empty(), &text.parse::<Expression>().ok()?).ok()? {
        EvalResult::Long(number) => Some(number),
        _ => None,
    }
}

/// The numbers of a set of constants of this kind.
pub(super) fn numbers(expression: &Expr, kind: Kind) -> Option<Vec<i64>> {
    match expression {
        Expr::Set(members) => members.iter().map(|member| number(member, kind)).collect(),
        _ => None,
    }
}

/// Whether it is made of literals alone, by operators that look at nothing else.
fn is_constant(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(literal) => !matches!(literal, Literal::EntityUID(_)),
        Expr::UnaryOp { expr, .. } => is_constant(expr),
        Expr::BinaryOp { op: BinaryOp::In | BinaryOp::GetTag | BinaryOp::HasTag, .. } => false,
        Expr::BinaryOp { left, right, .. } => is_constant(left) && is_constant(right),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use cedar_policy::{Policy, pst::Clause};

    use super::*;

    fn expression(text: &str) -> Expr {
        let policy = format!("permit(principal, action, resource) when {{ {text} }};");
        let tree = Policy::parse(None, policy).unwrap().to_pst().unwrap();
        let (Clause::When(expression) | Clause::Unless(expression)) = &tree.body().clauses()[0];
        Expr::clone(expression)
    }

    #[test]
    fn constants_come_to_what_cedar_makes_of_them() {
        let cases = [
            ("17 * 60 + 30", Kind::Long, Some(1050)),
            ("-5", Kind::Long, Some(-5)),
            ("duration(\"1h30m\")", Kind::Duration, Some(5_400_000)),
            ("duration(\"-1ms\")", Kind::Duration, Some(-1)),
            ("datetime(\"1970-01-02\")", Kind::Datetime, Some(86_400_000)),
            ("datetime(\"1970-01-01T00:00:01+0100\")", Kind::Datetime, Some(1000 - 3_600_000)),
            ("datetime(\"1970-01-02\").offset(duration(\"-1d\"))", Kind::Datetime, Some(0)),
            ("duration(\"90m\").toHours()", Kind::Long, Some(1)),
            ("duration(\"1h\")", Kind::Datetime, None),
            ("1", Kind::Duration, None),
            ("9223372036854775807 + 1", Kind::Long, None),
            ("context.now", Kind::Datetime, None),
            ("principal.n", Kind::Long, None),
            ("if true then 1 else 2", Kind::Long, None),
        ];
        for (text, kind, expected) in cases {
            assert_eq!(number(&expression(text), kind), expected, "{text}");
        }
        assert_eq!(numbers(&expression("[6, 1 + 6]"), Kind::Long), Some(vec![6, 7]));
        assert_eq!(numbers(&expression("[6, context.n]"), Kind::Long), None);
    }
}
