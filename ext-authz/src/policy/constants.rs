//! Comparisons with constants as tests that a key can hold; whatever is no such comparison is none of its business.

use authz_core::reading::{IpRange, Pattern, Test};
use cedar_policy::pst::{BinaryOp, Expr, Literal, PatternElem, UnaryOp};

/// A value that is the same for every request.
pub(super) enum Constant<'e> {
    /// A workload, by its SPIFFE ID.
    Workload(&'e str),
    /// `ip("…")`.
    Ip(IpRange),
    /// A number.
    Long(i64),
    /// Several of one kind.
    Set(Vec<Constant<'e>>),
    /// A text.
    Text(&'e str),
}

impl<'e> Constant<'e> {
    /// The constant that `expression` is, if it is one of these kinds.
    pub fn of(expression: &'e Expr) -> Option<Self> {
        match expression {
            Expr::Literal(Literal::EntityUID(uid)) if uid.ty.to_string() == "Workload" => {
                Some(Self::Workload(&uid.eid))
            }
            Expr::Literal(Literal::Long(number)) => Some(Self::Long(*number)),
            Expr::Literal(Literal::String(text)) => Some(Self::Text(text)),
            Expr::UnaryOp { op: UnaryOp::Ip, expr } => match expr.as_ref() {
                Expr::Literal(Literal::String(text)) => IpRange::parse(text).map(Self::Ip),
                _ => None,
            },
            // A set in a set compares with no fact.
            Expr::Set(members) => members
                .iter()
                .map(|member| Self::of(member).filter(|constant| !matches!(constant, Self::Set(_))))
                .collect::<Option<_>>()
                .map(Self::Set),
            _ => None,
        }
    }

    /// Whether a fact is this.
    fn equality(&self) -> Option<Vec<Test>> {
        match self {
            Self::Workload(id) | Self::Text(id) => Some(vec![Test::Equals((*id).into())]),
            // A single address; a fact is no range, so where this is one, nothing is lost.
            Self::Ip(range) => Some(vec![Test::InRange(*range)]),
            Self::Long(number) => {
                Some([Some(*number), number.checked_sub(1)].into_iter().flatten().map(Test::AtMost).collect())
            }
            Self::Set(_) => None,
        }
    }
}

/// The tests that the outcome of `fact op constant` rests on, or, without `fact_first`, that of `constant op fact`.
pub(super) fn comparison(op: BinaryOp, constant: &Constant<'_>, fact_first: bool) -> Option<Vec<Test>> {
    match (op, constant) {
        (BinaryOp::Eq | BinaryOp::NotEq, constant) => constant.equality(),
        (BinaryOp::Less | BinaryOp::GreaterEq, Constant::Long(number)) => Some(threshold(*number, fact_first)),
        (BinaryOp::LessEq | BinaryOp::Greater, Constant::Long(number)) => Some(threshold(*number, !fact_first)),
        (BinaryOp::IsInRange, Constant::Ip(range)) if fact_first => Some(vec![Test::InRange(*range)]),
        (BinaryOp::Contains, Constant::Set(members)) if !fact_first => {
            members.iter().map(Constant::equality).collect::<Option<Vec<_>>>().map(|tests| tests.concat())
        }
        (BinaryOp::Contains, Constant::Workload(id)) if fact_first => Some(vec![Test::Contains((*id).into())]),
        (BinaryOp::ContainsAll | BinaryOp::ContainsAny, Constant::Set(members)) if fact_first => {
            let member = |member: &Constant<'_>| match member {
                Constant::Workload(id) => Some(Test::Contains((*id).into())),
                _ => None,
            };
            members.iter().map(member).collect()
        }
        _ => None,
    }
}

/// Where a number passes from the one side to the other: between the number before and `number` itself, if that is on the
/// `upper` side, or else behind it.
fn threshold(number: i64, upper: bool) -> Vec<Test> {
    let last_below = if upper { number.checked_sub(1) } else { Some(number) };
    last_below.map(Test::AtMost).into_iter().collect()
}

/// What `like` asks.
pub(super) fn pattern(elements: &[PatternElem]) -> Test {
    Test::Like(Pattern::new(elements.iter().map(|element| match element {
        PatternElem::Char(character) => Some(*character),
        PatternElem::Wildcard => None,
    })))
}

/// What the questions that need no constant ask of an address.
pub(super) fn version_tests(op: UnaryOp) -> Option<Vec<Test>> {
    let ranges: &[&str] = match op {
        UnaryOp::IsIPv4 => &[IpRange::IPV4],
        UnaryOp::IsIPV6 => &[IpRange::IPV6],
        UnaryOp::IsLoopback => &IpRange::LOOPBACK,
        UnaryOp::IsMulticast => &IpRange::MULTICAST,
        _ => return None,
    };
    ranges.iter().map(|range| IpRange::parse(range).map(Test::InRange)).collect()
}
