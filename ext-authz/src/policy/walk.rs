//! Ways through the syntax tree of a condition; it knows no fact and judges nothing.

use cedar_policy::pst::{BinaryOp, Expr};

/// The attributes on the way to an expression, and where it begins.
pub(super) fn path(expression: &Expr) -> (&Expr, Vec<&str>) {
    let mut path = Vec::new();
    let mut at = expression;
    while let Expr::GetAttr { expr, attr } = at {
        path.push(attr.as_ref());
        at = expr;
    }
    path.reverse();
    (at, path)
}

/// The operator and the other side, if one side of `expression` is what `is_meant` says; and whether that is the first.
pub(super) fn compared(expression: &Expr, is_meant: impl Fn(&Expr) -> bool) -> Option<(BinaryOp, &Expr, bool)> {
    let Expr::BinaryOp { op, left, right } = expression else { return None };
    match (is_meant(left), is_meant(right)) {
        (true, false) => Some((*op, right, true)),
        (false, true) => Some((*op, left, false)),
        _ => None,
    }
}

/// Whether we know where to look in an expression of this kind.
pub(super) fn is_known(expression: &Expr) -> bool {
    matches!(
        expression,
        Expr::Literal(_)
            | Expr::Var(_)
            | Expr::Slot(_)
            | Expr::UnaryOp { .. }
            | Expr::BinaryOp { .. }
            | Expr::GetAttr { .. }
            | Expr::HasAttr { .. }
            | Expr::Like { .. }
            | Expr::Is { .. }
            | Expr::IfThenElse { .. }
            | Expr::Set(_)
            | Expr::Record(_)
    )
}

/// The expressions in one that is no path.
pub(super) fn parts<'e>(expression: &'e Expr, open: &mut Vec<&'e Expr>) {
    match expression {
        Expr::UnaryOp { expr, .. } | Expr::Like { expr, .. } => open.push(expr),
        Expr::BinaryOp { left, right, .. } => open.extend([left.as_ref(), right.as_ref()]),
        Expr::Is { expr, in_expr, .. } => {
            open.push(expr);
            open.extend(in_expr.iter().map(AsRef::as_ref));
        }
        Expr::IfThenElse { cond, then_expr, else_expr } => {
            open.extend([cond.as_ref(), then_expr.as_ref(), else_expr.as_ref()]);
        }
        Expr::Set(members) => open.extend(members.iter().map(AsRef::as_ref)),
        Expr::Record(members) => open.extend(members.values().map(AsRef::as_ref)),
        _ => {}
    }
}
