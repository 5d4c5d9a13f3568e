//! Expressions that compare what is made of a fact of time with constants. It looks at one expression, not into its parts.

use authz_core::reading::Test;
use cedar_policy::pst::{BinaryOp, Expr, UnaryOp};

use super::{
    constant::{Kind, number, numbers},
    place::{Place, place},
    quantity::{Party, Quantity, Step, TimeFact},
    time_test::{Operator, TimeTest},
};
use crate::policy::{
    constants::{Constant, comparison},
    walk::{compared, path},
};

/// The test that an expression is, if it is one.
pub(super) fn test(expression: &Expr) -> Option<TimeTest> {
    let Expr::BinaryOp { op, left, right } = expression else { return None };
    let test =
        |quantity, operator, constants| TimeTest::new(quantity, operator, constants, expression.to_string().into());
    if *op == BinaryOp::Contains {
        let (quantity, kind) = quantity(right)?;
        return Some(test(quantity, Operator::Among, numbers(left, kind)?));
    }
    let (operator, mirrored) = operator(*op)?;
    let compare = |operator, side: &Expr, constant: &Expr| {
        let (quantity, kind) = quantity(side)?;
        Some(test(quantity, operator, vec![number(constant, kind)?]))
    };
    compare(operator, left, right).or_else(|| compare(mirrored, right, left))
}

/// What a key must say of the time for which the caller's credential is valid altogether, for an expression that compares that
/// with a constant.
pub(super) fn lifetime_tests(expression: &Expr) -> Option<Vec<Test>> {
    let is_lifetime = |side: &Expr| {
        let (root, path) = path(side);
        matches!(place(root, &path), Place::Lifetime(Party::Caller))
    };
    let (op, constant, fact_first) = compared(expression, is_lifetime)?;
    comparison(op, &Constant::Long(number(constant, Kind::Duration)?), fact_first)
}

/// The operator, and the one for its sides exchanged.
fn operator(op: BinaryOp) -> Option<(Operator, Operator)> {
    match op {
        BinaryOp::Less => Some((Operator::Less, Operator::Greater)),
        BinaryOp::LessEq => Some((Operator::LessOrEqual, Operator::GreaterOrEqual)),
        BinaryOp::Greater => Some((Operator::Greater, Operator::Less)),
        BinaryOp::GreaterEq => Some((Operator::GreaterOrEqual, Operator::LessOrEqual)),
        // Where one comes out otherwise, so does the other.
        BinaryOp::Eq | BinaryOp::NotEq => Some((Operator::Among, Operator::Among)),
        _ => None,
    }
}

/// What an expression makes of a fact of time, if it is nothing but such.
fn quantity(expression: &Expr) -> Option<(Quantity, Kind)> {
    match expression {
        Expr::GetAttr { .. } => {
            let (root, path) = path(expression);
            let Place::Fact(fact) = place(root, &path) else { return None };
            let kind = match fact {
                TimeFact::Now => Kind::Datetime,
                TimeFact::Minute | TimeFact::Weekday => Kind::Long,
                TimeFact::Age(_) | TimeFact::ExpiresIn(_) => Kind::Duration,
            };
            Some((Quantity { fact, steps: Vec::new() }, kind))
        }
        Expr::UnaryOp { op, expr } => {
            let (mut quantity, kind) = quantity(expr)?;
            let (step, kind) = unary(*op, kind)?;
            quantity.steps.push(step);
            Some((quantity, kind))
        }
        Expr::BinaryOp { op: BinaryOp::Offset, left, right } => {
            let (mut quantity, Kind::Datetime) = quantity(left)? else { return None };
            quantity.steps.push(Step::Add(number(right, Kind::Duration)?));
            Some((quantity, Kind::Datetime))
        }
        Expr::BinaryOp { op: BinaryOp::DurationSince, left, right } => {
            let (side, step) = match (number(left, Kind::Datetime), number(right, Kind::Datetime)) {
                (None, Some(since)) => (left, Step::Subtract(since)),
                (Some(since), None) => (right, Step::From(since)),
                _ => return None,
            };
            let (mut quantity, Kind::Datetime) = quantity(side)? else { return None };
            quantity.steps.push(step);
            Some((quantity, Kind::Duration))
        }
        _ => None,
    }
}

fn unary(op: UnaryOp, kind: Kind) -> Option<(Step, Kind)> {
    let (from, step, to) = match op {
        UnaryOp::ToDate => (Kind::Datetime, Step::Date, Kind::Datetime),
        UnaryOp::ToTime => (Kind::Datetime, Step::Time, Kind::Duration),
        UnaryOp::ToMilliseconds => (Kind::Duration, Step::Divide(1), Kind::Long),
        UnaryOp::ToSeconds => (Kind::Duration, Step::Divide(1_000), Kind::Long),
        UnaryOp::ToMinutes => (Kind::Duration, Step::Divide(60_000), Kind::Long),
        UnaryOp::ToHours => (Kind::Duration, Step::Divide(3_600_000), Kind::Long),
        UnaryOp::ToDays => (Kind::Duration, Step::Divide(86_400_000), Kind::Long),
        _ => return None,
    };
    (from == kind).then_some((step, to))
}
